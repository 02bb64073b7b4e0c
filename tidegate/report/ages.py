"""Lengths of time and times of day, as `kubectl` writes them."""

from __future__ import annotations

from datetime import datetime, timedelta

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY
# Under so many seconds an age is written in these units, the second only when it is not 0 (k8s HumanDuration).
_AGES = (
    (2 * _MINUTE, (1, "s"), None),
    (10 * _MINUTE, (_MINUTE, "m"), (1, "s")),
    (3 * _HOUR, (_MINUTE, "m"), None),
    (8 * _HOUR, (_HOUR, "h"), (_MINUTE, "m")),
    (2 * _DAY, (_HOUR, "h"), None),
    (8 * _DAY, (_DAY, "d"), (_HOUR, "h")),
    (2 * _YEAR, (_DAY, "d"), None),
    (8 * _YEAR, (_YEAR, "y"), (_DAY, "d")),
    (float("inf"), (_YEAR, "y"), None),
)


def age(span: timedelta) -> str:
    """A length of time as `kubectl` writes it: `48s`, `2m30s`, `5h`; what is not yet is `0s`."""
    seconds = max(0, int(span.total_seconds()))
    _, (size, unit), second = next(row for row in _AGES if seconds < row[0])
    whole, rest = divmod(seconds, size)
    text = f"{whole}{unit}"
    if second is not None and rest // second[0]:
        text += f"{rest // second[0]}{second[1]}"
    return text


def since(start: datetime | None, now: datetime) -> str:
    """Age of something that started at `start`; empty when it did not."""
    return age(now - start) if start is not None else ""


def clock(at: datetime) -> str:
    """Time of day, UTC."""
    return f"{at:%H:%M:%S}"
