"""Channels of the embedded Slack, and the messages in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass
class Message:
    """One message; `ts` is what Slack calls it by within its channel."""

    ts: str
    text: str
    metadata: Mapping[str, Any] | None = None
    attachments: tuple[Mapping[str, Any], ...] = ()
    thread_ts: str = ""  # of the message that it answers, empty for one of the channel
    broadcast: bool = False  # an answer that the channel shows as well
    files: tuple[str, ...] = ()  # names
    contents: tuple[bytes, ...] = ()  # of the files

    @property
    def at(self) -> datetime:
        """Time at which it was sent."""
        return datetime.fromtimestamp(float(self.ts), UTC)


@dataclass
class Channel:
    """A channel that the bot may have been invited to, with its messages, the oldest first."""

    id: str
    name: str
    invited: bool = True
    private: bool = False
    messages: list[Message] = field(default_factory=list)
