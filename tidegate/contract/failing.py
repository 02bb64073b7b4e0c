"""Rejections of a release's work by the cluster, and when two of them are one cause."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from tidegate.contract.payload import Payload
from tidegate.rollouts.conditions import Reason

_COUNTED = re.compile(r"[0-9a-fA-F-]*\d[0-9a-fA-F-]*")  # versions, uids, counts, times: another one in each answer


class Failing(Payload):
    """A current rejection, which is retried all the while."""

    what: str  # in the words of the server that rejects it
    since: datetime
    reason: Reason = Reason.REFUSED

    def __str__(self) -> str:
        return f"refused since {self.since:%H:%M:%S} UTC, tried again: {self.what}"


def is_known(cause: str, known: Iterable[str]) -> bool:
    """True when a cause is one of `known`, numbers and ids aside."""
    return _bare(cause) in map(_bare, known)


def _bare(cause: str) -> str:
    return _COUNTED.sub("#", cause)
