"""What a cluster refuses for as long as it does: in the server's words, and when two of them are one cause."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from tidegate.canary.conditions import Reason
from tidegate.contract.payload import Payload

_COUNTED = re.compile(r"[0-9a-fA-F-]*\d[0-9a-fA-F-]*")  # versions, uids, counts, times: another one in each answer


class Failing(Payload):
    """What is refused, in the words of who refuses it, which work, and since when; it is tried again all the while."""

    what: str
    since: datetime
    reason: Reason = Reason.REFUSED

    def __str__(self) -> str:
        return f"refused since {self.since:%H:%M:%S} UTC, tried again: {self.what}"


def is_known(cause: str, known: Iterable[str]) -> bool:
    """Whether a cause is one of those that are known, numbers and ids aside."""
    return _bare(cause) in map(_bare, known)


def _bare(cause: str) -> str:
    return _COUNTED.sub("#", cause)
