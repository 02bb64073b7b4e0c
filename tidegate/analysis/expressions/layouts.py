"""Go's time layouts, which describe a format by how it writes 2006-01-02 15:04:05."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_MAX_LAYOUT: Final = 200
_ELEMENT: Final = re.compile(
    r"2006|January|Jan|Monday|Mon|MST|Z07:00|Z0700|-07:00|-0700|-07|[.,](?:0+|9+)(?![0-9])|002|01|02|03|04|05|06|15|PM|pm"
    r"|_2|1|2|3|4|5"
)
_OFFSET: Final = re.compile(r"([+-])(\d\d):?(\d\d)?")


def _offset(timestamp: datetime, separator: str) -> str:
    minutes = (timestamp.utcoffset() or timedelta()) // timedelta(minutes=1)
    sign, rest = ("-" if minutes < 0 else "+"), abs(minutes)
    return f"{sign}{rest // 60:02d}{separator}{rest % 60:02d}"


def _zulu(timestamp: datetime, separator: str) -> str:
    return "Z" if not timestamp.utcoffset() else _offset(timestamp, separator)


_FORMATS: Final[dict[str, Callable[[datetime], str]]] = {
    "2006": lambda m: f"{m.year:04d}",
    "06": lambda m: f"{m.year % 100:02d}",
    "January": lambda m: _MONTHS[m.month - 1],
    "Jan": lambda m: _MONTHS[m.month - 1][:3],
    "01": lambda m: f"{m.month:02d}",
    "1": lambda m: str(m.month),
    "Monday": lambda m: _DAYS[m.weekday()],
    "Mon": lambda m: _DAYS[m.weekday()][:3],
    "002": lambda m: f"{m.timetuple().tm_yday:03d}",
    "02": lambda m: f"{m.day:02d}",
    "_2": lambda m: f"{m.day:2d}",
    "2": lambda m: str(m.day),
    "15": lambda m: f"{m.hour:02d}",
    "03": lambda m: f"{(m.hour - 1) % 12 + 1:02d}",
    "3": lambda m: str((m.hour - 1) % 12 + 1),
    "PM": lambda m: "PM" if m.hour >= 12 else "AM",
    "pm": lambda m: "pm" if m.hour >= 12 else "am",
    "04": lambda m: f"{m.minute:02d}",
    "4": lambda m: str(m.minute),
    "05": lambda m: f"{m.second:02d}",
    "5": lambda m: str(m.second),
    "MST": lambda m: m.tzname() or _offset(m, ""),
    "Z07:00": lambda m: _zulu(m, ":"),
    "Z0700": lambda m: _zulu(m, ""),
    "-07:00": lambda m: _offset(m, ":"),
    "-0700": lambda m: _offset(m, ""),
    "-07": lambda m: _offset(m, "")[:3],
}
_PATTERNS: Final = {
    "2006": r"(?P<year>\d{4})",
    "06": r"(?P<short_year>\d\d)",
    "January": rf"(?P<month_name>{'|'.join(_MONTHS)})",
    "Jan": rf"(?P<month_name>{'|'.join(month[:3] for month in _MONTHS)})",
    "01": r"(?P<month>\d\d)",
    "1": r"(?P<month>\d\d?)",
    "Monday": rf"(?:{'|'.join(_DAYS)})",
    "Mon": rf"(?:{'|'.join(day[:3] for day in _DAYS)})",
    "002": r"(?P<day_of_year>\d{3})",
    "02": r"(?P<day>\d\d)",
    "_2": r"(?P<day> ?\d\d?)",
    "2": r"(?P<day>\d\d?)",
    "15": r"(?P<hour>\d\d?)",
    "03": r"(?P<hour12>\d\d)",
    "3": r"(?P<hour12>\d\d?)",
    "PM": r"(?P<half>AM|PM)",
    "pm": r"(?P<half>am|pm)",
    "04": r"(?P<minute>\d\d)",
    "4": r"(?P<minute>\d\d?)",
    "05": r"(?P<second>\d\d)(?P<fraction>[.,]\d+)?",
    "5": r"(?P<second>\d\d?)(?P<fraction>[.,]\d+)?",
    "MST": r"(?P<zone>[A-Z]{3,5}|[+-]\d\d(?:\d\d)?)",
    "Z07:00": r"(?P<offset>Z|[+-]\d\d:\d\d)",
    "Z0700": r"(?P<offset>Z|[+-]\d{4})",
    "-07:00": r"(?P<offset>[+-]\d\d:\d\d)",
    "-0700": r"(?P<offset>[+-]\d{4})",
    "-07": r"(?P<offset>[+-]\d\d)",
}


def format_time(layout: str, timestamp: datetime) -> str:
    """Return a time in a layout."""

    def replace(match: re.Match[str]) -> str:
        element = match[0]
        if element in _FORMATS:
            return _FORMATS[element](timestamp)
        digits = f"{timestamp.microsecond:06d}000"[: len(element) - 1]
        if element[1] == "9":
            digits = digits.rstrip("0")
        return element[0] + digits if digits else ""

    return _ELEMENT.sub(replace, layout)


def parse_time(layout: str, text: str, zone: tzinfo) -> datetime | None:
    """Return the time that a text stands for in a layout, in `zone` where it names none; None when it does not fit."""
    pattern = _pattern(layout)
    match = pattern.fullmatch(text) if pattern is not None else None
    if match is None:
        return None
    try:
        return _moment(match.groupdict(), zone)
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _pattern(layout: str) -> re.Pattern[str] | None:
    if len(layout) > _MAX_LAYOUT:
        return None
    parts, position = [], 0
    for match in _ELEMENT.finditer(layout):
        parts.append(re.escape(layout[position : match.start()]))
        # A fraction is read together with the seconds before it.
        parts.append(_PATTERNS.get(match[0], ""))
        position = match.end()
    try:
        return re.compile("".join(parts) + re.escape(layout[position:]), re.ASCII)
    except re.error:
        # The same element stands in the layout twice.
        return None


def _moment(found: dict[str, str | None], zone: tzinfo) -> datetime:
    def number(name: str, default: int) -> int:
        text = found.get(name)
        return default if text is None else int(text)

    # Go gives year 0 to a time without a date, which Python cannot hold.
    year = number("year", 1)
    if found.get("short_year") is not None:
        short = number("short_year", 0)
        year = short + (1900 if short >= 69 else 2000)
    hour = number("hour", number("hour12", 0))
    half = (found.get("half") or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    fraction = ((found.get("fraction") or "")[1:] + "000000")[:6]
    timestamp = datetime(
        year,
        _month(found, number("month", 1)),
        number("day", 1),
        hour,
        number("minute", 0),
        number("second", 0),
        int(fraction),
        tzinfo=_zone(found, zone),
    )
    days = number("day_of_year", 0)
    return timestamp.replace(month=1, day=1) + timedelta(days=days - 1) if days else timestamp


def _month(found: dict[str, str | None], number: int) -> int:
    name = found.get("month_name")
    return number if name is None else next(i for i, month in enumerate(_MONTHS, 1) if month.startswith(name))


def _zone(found: dict[str, str | None], default: tzinfo) -> tzinfo:
    offset, name = found.get("offset"), found.get("zone")
    match = _OFFSET.fullmatch(offset or "")
    if match is not None:
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes)) if minutes else UTC
    if offset == "Z" or name in ("UTC", "GMT"):
        return UTC
    # Go keeps an unknown abbreviation as a zone of that name at UTC.
    return timezone(timedelta(), name) if name is not None else default
