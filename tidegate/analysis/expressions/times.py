"""Durations, dates and time zones inside conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.layouts import format_time, parse_time
from tidegate.analysis.expressions.values import Duration, type_name
from tidegate.manifests.durations import parse_duration

_LAYOUTS: Final = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)


def _duration(arguments: list[object]) -> Duration:
    text = arguments[0]
    if not isinstance(text, str):
        raise ConditionError(f"duration takes a string (got {type_name(text)})")
    try:
        return Duration(parse_duration(text) // timedelta(microseconds=1) * 1000)
    except ValueError as error:
        raise ConditionError(str(error), hint="write for example 300ms, 90s, 5m or 1h30m") from None


def _zone(name: object) -> ZoneInfo:
    if not isinstance(name, str):
        raise ConditionError(f"a time zone is a string (got {type_name(name)})")
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConditionError(f"unknown time zone {name}", hint="write for example Europe/Berlin") from None


def _date(arguments: list[object]) -> datetime:
    zone = arguments[0] if arguments and isinstance(arguments[0], ZoneInfo) else None
    texts = arguments[1:] if zone else arguments
    if not 1 <= len(texts) <= 3 or not all(isinstance(text, str) for text in texts):
        raise ConditionError("date takes a text, optionally a layout and a time zone")
    text, *rest = (str(text) for text in texts)
    if len(rest) == 2:
        zone = _zone(rest[1])
    for layout in rest[:1] or _LAYOUTS:
        timestamp = parse_time(layout, text, zone or UTC)
        if timestamp is not None:
            return timestamp
    raise ConditionError(f"invalid date {text}", hint="write for example 2026-01-31 or 2026-01-31T12:00:00Z")


def now(arguments: list[object], timestamp: datetime) -> datetime:
    """Return the time of the evaluation, in the time zone given as the only argument, if any."""
    zone = arguments[0] if arguments else UTC
    if not isinstance(zone, ZoneInfo) and zone is not UTC:
        raise ConditionError(f"now takes a time zone (got {type_name(zone)})")
    return timestamp.astimezone(zone)


def render_duration(duration: Duration) -> str:
    """Return a duration as Go prints it: 1h30m0s, 1.5s, 300ms, 0s."""
    sign, rest = ("-" if duration.nanoseconds < 0 else ""), abs(duration.nanoseconds)
    if rest < 1_000_000_000:
        for unit, size in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if rest >= size:
                return f"{sign}{_decimal(rest, size)}{unit}"
        return "0s"
    minutes, seconds = divmod(rest, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{text}{_decimal(seconds, 1_000_000_000)}s"


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    fraction = str(rest).zfill(len(str(unit)) - 1).rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def render_time(timestamp: datetime) -> str:
    """Return a time as Go prints it."""
    return format_time("2006-01-02 15:04:05.999999999 -0700 MST", timestamp)


def render_rfc3339(timestamp: datetime) -> str:
    """Return a time as encoding/json writes it."""
    return format_time("2006-01-02T15:04:05.999999999Z07:00", timestamp)


FUNCTIONS: Final[Mapping[str, Callable[[list[object]], object]]] = {
    "date": _date,
    "duration": _duration,
    "timezone": lambda arguments: _zone(arguments[0]),
}
"""Functions that make durations, times and time zones."""
