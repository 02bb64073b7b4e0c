"""The part of a Slack message below its text: a colour, the facts that decide what to do, and buttons that link.

Source: Slack's reference of Block Kit and of secondary message attachments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tidegate.contract import Notification

_GREEN: Final = "#2eb67d"
_RED: Final = "#e01e5a"
_YELLOW: Final = "#ecb22e"
_BLUE: Final = "#36c5f0"
_COLOURS: Final = {
    "RolloutCompleted": _GREEN,
    "AnalysisRunSuccessful": _GREEN,
    "BakeCompleted": _GREEN,
    "RolloutAborted": _RED,
    "AnalysisRunFailed": _RED,
    "AnalysisRunError": _RED,
    "CompensationFailed": _RED,
    "IncidentOpened": _RED,
    "RolloutPaused": _YELLOW,
    "AnalysisRunInconclusive": _YELLOW,
    "ForeignWeights": _YELLOW,
    "ProgressDeadlineExceeded": _YELLOW,
}
_MAX_FACT: Final = 1500  # Slack takes 2000 characters of a field
_MAX_URL: Final = 3000


def attachment(notification: Notification, run_url: str, escape: Callable[[str], str]) -> dict[str, Any]:
    """The attachment of a message. `run_url` is the release in the Temporal UI, or empty; facts are escaped."""
    facts = [f"*{title}*\n{escape(text[:_MAX_FACT])}" for title, text in _facts(notification) if text]
    blocks: list[dict[str, Any]] = [
        {"type": "section", "fields": [{"type": "mrkdwn", "text": fact} for fact in facts]},
        *([{"type": "actions", "elements": buttons}] if (buttons := list(_buttons(notification, run_url))) else []),
    ]
    return {"color": _COLOURS.get(notification.reason, _BLUE), "fallback": notification.reason, "blocks": blocks}


def _facts(notification: Notification) -> Iterator[tuple[str, str]]:
    yield "Version", ", ".join(notification.images.values()) or f"revision {notification.revision}"
    yield "Weight", f"{notification.weight} %"
    if notification.step is not None:
        yield "Step", f"{notification.step}/{notification.steps} ({notification.step_text})"
    yield "Reading", notification.reading
    yield "Started by", notification.by
    yield "Incident", notification.incident
    yield "Next", notification.command


def _buttons(notification: Notification, run_url: str) -> Iterator[dict[str, Any]]:
    links = {"Release": run_url, "Incident": notification.incident_url, "CI run": notification.ci_url}
    for title, url in links.items():
        if url.startswith(("https://", "http://")) and len(url) <= _MAX_URL:
            yield {"type": "button", "text": {"type": "plain_text", "text": title}, "url": url}
