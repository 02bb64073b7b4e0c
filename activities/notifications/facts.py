"""Facts of a notification that every service shows below its text, in one order, and how grave an event is."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from tidegate.contract import Notification

MAX_URL: Final = 3000  # characters; Slack takes no longer ones in a button


class Gravity(StrEnum):
    """Gravity of an event for the person who reads of it."""

    DONE = "done"
    NEWS = "news"
    WAITS = "waits"  # for a person, or with no end of its own
    HARM = "harm"


_GRAVITY: Final = {
    "RolloutCompleted": Gravity.DONE,
    "AnalysisRunSuccessful": Gravity.DONE,
    "BakeCompleted": Gravity.DONE,
    "RolloutAborted": Gravity.HARM,
    "AnalysisRunFailed": Gravity.HARM,
    "AnalysisRunError": Gravity.HARM,
    "CompensationFailed": Gravity.HARM,
    "IncidentOpened": Gravity.HARM,
    "RolloutPaused": Gravity.WAITS,
    "AnalysisRunInconclusive": Gravity.WAITS,
    "ForeignWeights": Gravity.WAITS,
    "ProgressDeadlineExceeded": Gravity.WAITS,
}


def gravity(notification: Notification) -> Gravity:
    """Gravity of the event's reason; one that has none of its own is news."""
    return _GRAVITY.get(notification.reason, Gravity.NEWS)


def shown_facts(notification: Notification) -> Iterator[tuple[str, str]]:
    """Title and text of each fact that is there."""
    for title, text in _facts(notification):
        if text:
            yield title, text


def links(notification: Notification, run_url: str) -> Iterator[tuple[str, str]]:
    """Title and http(s) address of each link; `run_url` is the release in the Temporal UI, or empty."""
    for title, url in (("Release", run_url), ("Incident", notification.incident_url), ("CI run", notification.ci_url)):
        if url.startswith(("https://", "http://")) and len(url) <= MAX_URL:
            yield title, url


def _facts(notification: Notification) -> Iterator[tuple[str, str]]:
    yield "Version", ", ".join(notification.images.values()) or f"revision {notification.revision}"
    yield "Weight", f"{notification.weight} %"
    if notification.step is not None:
        yield "Step", f"{notification.step}/{notification.steps} ({notification.step_text})"
    yield "Reading", notification.reading
    yield "Started by", notification.by
    yield "Incident", notification.incident
    yield "Next", notification.command
