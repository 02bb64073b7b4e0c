"""Methods of times, durations, months and weekdays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tidegate.analysis.expressions import operators, times, types
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.layouts import format_time
from tidegate.analysis.expressions.signatures import METHODS, check_call
from tidegate.analysis.expressions.values import Duration, NamedInt, type_of, wrap_int

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def has_method(base: object, name: object) -> bool:
    """True when `base.name(...)` is a method of a time, a duration, a month or a weekday."""
    return isinstance(name, str) and name in METHODS.get(type_of(base).name, {})


def call_method(base: object, name: str, arguments: list[object]) -> object:
    """Return what a method gives; raises ConditionError when it does not take these values."""
    signature = METHODS[type_of(base).name][name].called
    check_call(name, (signature,), [type_of(argument) for argument in arguments])
    return _METHODS[type(base)][name](base, *arguments)


def _round(duration: Duration, unit: Duration) -> Duration:
    size = unit.nanoseconds
    if size <= 0:
        return duration
    whole, rest = divmod(abs(duration.nanoseconds), size)
    nearest = (whole + (rest + rest >= size)) * size
    return Duration(wrap_int(nearest if duration.nanoseconds >= 0 else -nearest))


def _truncate(duration: Duration, unit: Duration) -> Duration:
    size = unit.nanoseconds
    if size <= 0:
        return duration
    whole = abs(duration.nanoseconds) // size * size
    return Duration(whole if duration.nanoseconds >= 0 else -whole)


def _quotient(size: int) -> Callable[[Duration], int]:
    return lambda duration: int(_truncate(duration, Duration(size)).nanoseconds / size)


def _ratio(size: int) -> Callable[[Duration], float]:
    return lambda duration: duration.nanoseconds / size


def _add_date(timestamp: datetime, years: int, months: int, days: int) -> datetime:
    month = timestamp.month - 1 + months
    try:
        first = timestamp.replace(year=timestamp.year + years + month // 12, month=month % 12 + 1, day=1)
        return first + timedelta(days=timestamp.day - 1 + days)
    except (ValueError, OverflowError):
        raise ConditionError("a time before year 1 or after year 9999") from None


def _compare(left: datetime, right: datetime) -> int:
    return (left > right) - (left < right)


def _in_zone(timestamp: datetime, zone: ZoneInfo | None) -> datetime:
    if zone is None:
        raise ConditionError("In needs a time zone (got nil)")
    return timestamp.astimezone(zone)


def _weekday(timestamp: datetime) -> NamedInt:
    return NamedInt(timestamp.isoweekday() % 7, format_time("Monday", timestamp), types.WEEKDAY)


_DURATION: Final[Mapping[str, Callable[..., object]]] = {
    "Abs": lambda duration: Duration(min(abs(duration.nanoseconds), 2**63 - 1)),
    "Hours": _ratio(3_600_000_000_000),
    "Microseconds": _quotient(1_000),
    "Milliseconds": _quotient(1_000_000),
    "Minutes": _ratio(60_000_000_000),
    "Nanoseconds": lambda duration: duration.nanoseconds,
    "Round": _round,
    "Seconds": _ratio(1_000_000_000),
    "String": times.render_duration,
    "Truncate": _truncate,
}
_TIME: Final[Mapping[str, Callable[..., object]]] = {
    "Add": lambda timestamp, duration: operators.shift(timestamp, duration.nanoseconds),
    "AddDate": _add_date,
    "After": lambda timestamp, other: timestamp > other,
    "Before": lambda timestamp, other: timestamp < other,
    "Compare": _compare,
    "Day": lambda timestamp: timestamp.day,
    "Equal": lambda timestamp, other: timestamp == other,
    "Format": lambda timestamp, layout: format_time(layout, timestamp),
    "Hour": lambda timestamp: timestamp.hour,
    "In": _in_zone,
    "IsZero": lambda timestamp: timestamp == datetime(1, 1, 1, tzinfo=UTC),
    "Minute": lambda timestamp: timestamp.minute,
    "Month": lambda timestamp: NamedInt(timestamp.month, format_time("January", timestamp), types.MONTH),
    "Nanosecond": lambda timestamp: timestamp.microsecond * 1000,
    "Second": lambda timestamp: timestamp.second,
    "Sub": operators.subtract,
    "UTC": lambda timestamp: timestamp.astimezone(UTC),
    "Unix": lambda timestamp: (timestamp - _EPOCH) // timedelta(seconds=1),
    "UnixMilli": lambda timestamp: (timestamp - _EPOCH) // timedelta(milliseconds=1),
    "Weekday": _weekday,
    "Year": lambda timestamp: timestamp.year,
    "YearDay": lambda timestamp: timestamp.timetuple().tm_yday,
}
_METHODS: Final[Mapping[type, Mapping[str, Callable[..., object]]]] = {
    Duration: _DURATION,
    datetime: _TIME,
    NamedInt: {"String": lambda named: named.name},
}
