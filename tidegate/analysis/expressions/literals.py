"""Numbers and quoted text as expr-lang writes them."""

from __future__ import annotations

import re
from typing import Final

from tidegate.analysis.expressions.errors import ConditionError

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1

_ESCAPE: Final = re.compile(
    r"\\(?:(?P<plain>[abfnrtv\\'\"])|(?P<octal>[0-7]{3})|x(?P<byte>[\da-fA-F]{2})|u\{(?P<any>[\da-fA-F]{1,6})\}"
    r"|u(?P<short>[\da-fA-F]{4})|U(?P<long>[\da-fA-F]{8})|(?P<bad>.|$))",
    re.DOTALL,
)
_PLAIN: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def read_number(text: str, column: int) -> int | float:
    """Return the value of a number: int for integers of any base, float with a point or an exponent.

    Raises ConditionError when the number is malformed or does not fit 64 bits.
    """
    digits = text.replace("_", "").lower()
    try:
        if digits.startswith(("0x", "0o", "0b")):
            value: int | float = int(digits, 0)
        elif "." in digits or "e" in digits:
            value = float(digits)
        else:
            value = int(digits, 10)
    except ValueError:
        raise ConditionError(f"bad number {text!r}", column=column, hint="write 10, 0.05, 1e3 or 0xff") from None
    if (isinstance(value, int) and value > INT_MAX) or value == float("inf"):
        raise ConditionError(f"number {text!r} is too large", column=column, hint=f"the largest integer is {INT_MAX}")
    return value


def read_string(text: str, column: int) -> str:
    """Return the value of a quoted string with its escapes replaced; raises ConditionError for an unknown escape."""
    quote = text[0]

    def replace(match: re.Match[str]) -> str:
        plain = match["plain"]
        if plain is not None and (plain not in "'\"" or plain == quote):
            return _PLAIN.get(plain, plain)
        code = _code_point(match)
        if code is None or code > 0x10FFFF or 0xD800 <= code < 0xE000:
            at = column + match.start() + 1
            raise ConditionError(f"invalid escape {match[0]!r} in a string", column=at, hint="a backslash is \\\\")
        return chr(code)

    return _ESCAPE.sub(replace, text[1:-1].replace("\r\n", "\n").replace("\r", "\n"))


def read_raw_string(text: str) -> str:
    """Return the value of a string in backticks: nothing is escaped, a doubled backtick stands for one."""
    return text[1:-1].replace("``", "`")


def read_bytes(text: str, column: int) -> bytes:
    """Return the value of `b"..."`: escapes name bytes, everything else is UTF-8."""

    def replace(match: re.Match[str]) -> str:
        if match["plain"] is not None:
            return _PLAIN.get(match["plain"], match["plain"])
        code = _code_point(match) if match["octal"] or match["byte"] else None
        if code is None or code > 0xFF:
            raise ConditionError(
                f"invalid escape {match[0]!r} in bytes", column=column + match.start() + 2, hint="write \\x41 or \\101"
            )
        return chr(code)

    return _ESCAPE.sub(replace, text[2:-1].encode().decode("latin-1")).encode("latin-1")


def _code_point(match: re.Match[str]) -> int | None:
    if match["octal"] is not None:
        return int(match["octal"], 8)
    for group in ("byte", "any", "short", "long"):
        if match[group] is not None:
            return int(match[group], 16)
    return None
