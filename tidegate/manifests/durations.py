"""Go durations and Kubernetes int-or-string values, read as Argo Rollouts reads them."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_MAX_INT32 = 2**31 - 1
_TERM = re.compile(r"(?P<number>[0-9]*(?:\.[0-9]*)?)(?P<unit>[^0-9.]*)")
_MAX_INT64 = 2**63 - 1
_LONGEST_INT64 = 19  # digits
_DIGITS = re.compile(r"[+-]?[0-9]+")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # what is longer is no pause

DURATION_HINT = "a number with a unit such as 90s, 5m or 1h30m; units: ns, us, ms, s, m, h"
PAUSE_HINT = f"whole seconds, or {DURATION_HINT}"


def parse_duration(text: str | int) -> timedelta:
    """Length of a Go duration such as `1h30m`, `1.5s` or `-300ms`, rounded to microseconds.

    An integer is accepted only where it is 0, as a bare `0` is the one duration without a unit. Raises ValueError with
    the text of Go's `time.ParseDuration`.
    """
    return timedelta(microseconds=round(_nanoseconds(str(text)) / 1000))


def format_duration(duration: timedelta) -> str:
    """Shortest Go duration that `parse_duration` reads back as the same time: `1h30m`, `1.5s`, `0s`."""
    microseconds = duration // timedelta(microseconds=1)
    sign, rest = ("-" if microseconds < 0 else ""), abs(microseconds)
    hours, rest = divmod(rest, 3_600_000_000)
    minutes, rest = divmod(rest, 60_000_000)
    text = f"{hours}h" * bool(hours) + f"{minutes}m" * bool(minutes)
    if rest:
        text += f"{(Decimal(rest) / 1_000_000).normalize():f}s"
    return sign + (text or "0s")


def pause_seconds(duration: str | int | None) -> int:
    """Whole seconds of a pause step: an integer or numeric string is seconds, other text a Go duration cut to seconds.

    0 for an absent duration (an operator ends the pause), -1 for text that is no duration.
    """
    if duration is None:
        return 0
    if isinstance(duration, int) or _INTEGER.fullmatch(duration):
        seconds = int(duration)
        return seconds if abs(seconds) <= _MAX_INT32 else -1
    try:
        nanoseconds = _nanoseconds(duration)
    except ValueError:
        return -1
    # Go divides towards zero; floor division would turn -0.5s into -1.
    return nanoseconds // 10**9 if nanoseconds >= 0 else -(-nanoseconds // 10**9)


def int_or_zero(value: str | int | None) -> int:
    """Number of an int-or-string field of a metric: text that is no integer reads as 0, as does an absent field.

    A number that is too large for Go is the largest that is not.
    """
    if not isinstance(value, str):
        return value or 0
    if not _DIGITS.fullmatch(value):
        return 0
    digits = value.lstrip("+-").lstrip("0")
    number = int(digits or "0") if len(digits) <= _LONGEST_INT64 else _MAX_INT64 + 1
    return max(-_MAX_INT64 - 1, -number) if value[0] == "-" else min(number, _MAX_INT64)


def percent_or_int(value: str | int | None) -> int:
    """Number of a field such as maxSurge, `25%` reading as 25; text that is neither reads as 0."""
    if isinstance(value, str):
        return int_or_zero(value[:-1]) if is_percentage(value) else 0
    return value or 0


def is_percentage(text: str) -> bool:
    """True when text is a share of the pods, such as `25%`."""
    return text.endswith("%") and _DIGITS.fullmatch(text[:-1]) is not None


def _nanoseconds(text: str) -> int:
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0
    if not body:
        raise _invalid(text)
    total, position = Decimal(0), 0
    while position < len(body):
        term = _TERM.match(body, position)
        if term is None or term["number"] in ("", "."):
            raise _invalid(text)
        total += Decimal(term["number"]) * _unit(term["unit"], text)
        position = term.end()
    nanoseconds = int(total)
    if nanoseconds > _MAX_INT64:
        raise _invalid(text)
    return -nanoseconds if text.startswith("-") else nanoseconds


def _unit(unit: str, text: str) -> int:
    if not unit:
        raise ValueError(f'time: missing unit in duration "{text}"')
    if unit not in _NANOSECONDS:
        raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
    return _NANOSECONDS[unit]


def _invalid(text: str) -> ValueError:
    return ValueError(f'time: invalid duration "{text}"')
