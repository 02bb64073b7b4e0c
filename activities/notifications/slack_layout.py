"""The part of a Slack message below its text: a colour, the facts that decide what to do, and buttons that link.

Source: Slack's reference of Block Kit and of secondary message attachments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from activities.notifications.facts import Gravity, gravity, links, shown_facts
from tidegate.contract import Notification

_COLOURS: Final = {
    Gravity.DONE: "#2eb67d",
    Gravity.NEWS: "#36c5f0",
    Gravity.WAITS: "#ecb22e",
    Gravity.HARM: "#e01e5a",
}
_MAX_FACT: Final = 1500  # Slack takes 2000 characters of a field


def attachment(notification: Notification, run_url: str, escape: Callable[[str], str]) -> dict[str, Any]:
    """The attachment of a message. `run_url` is the release in the Temporal UI, or empty; facts are escaped."""
    facts = [f"*{title}*\n{escape(text[:_MAX_FACT])}" for title, text in shown_facts(notification)]
    buttons = [
        {"type": "button", "text": {"type": "plain_text", "text": title}, "url": url}
        for title, url in links(notification, run_url)
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "section", "fields": [{"type": "mrkdwn", "text": fact} for fact in facts]},
        *([{"type": "actions", "elements": buttons}] if buttons else []),
    ]
    return {"color": _COLOURS[gravity(notification)], "fallback": notification.reason, "blocks": blocks}
