"""Built-in functions on strings."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Final

from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.operators import decode, encode, to_int
from tidegate.analysis.expressions.types import STRINGS
from tidegate.analysis.expressions.values import TypedList, type_name

# unicode.IsSpace of Go: what trim without a second argument removes.
_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def _texts(name: str, arguments: list[object], budget: Budget) -> list[str]:
    for argument in arguments:
        if not isinstance(argument, str):
            raise ConditionError(f"invalid argument for {name} (type {type_name(argument)})")
        budget.string(len(argument))
    return [argument for argument in arguments if isinstance(argument, str)]


def _simple(name: str, operate: Callable[..., object]) -> Callable[[list[object], Budget], object]:
    return lambda arguments, budget: operate(*_texts(name, arguments, budget))


def _index(find: Callable[[bytes, bytes], int]) -> Callable[[str, str], int]:
    return lambda text, part: find(encode(text), encode(part))


def _split(name: str, *, keep: bool) -> Callable[[list[object], Budget], object]:
    def call(arguments: list[object], budget: Budget) -> object:
        text, separator = _texts(name, arguments[:2], budget)
        limit = to_int(arguments[2]) if len(arguments) > 2 else -1
        if limit == 0:
            return TypedList([], STRINGS)
        budget.allocate(text.count(separator) + 1)
        parts = _parts(text, separator, limit)
        glue = separator if keep else ""
        return TypedList([*(part + glue for part in parts[:-1]), *parts[-1:]], STRINGS)

    return call


def _parts(text: str, separator: str, limit: int) -> list[str]:
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    if 0 < limit < len(text):
        return [*text[: limit - 1], text[limit - 1 :]]
    return list(text)


def _join(arguments: list[object], budget: Budget) -> str:
    items = arguments[0]
    if not isinstance(items, list):
        raise ConditionError(f"invalid argument for join (type {type_name(items)})")
    parts = _texts("join", items, budget)
    (glue,) = _texts("join", arguments[1:], budget) or [""]
    budget.string(sum(len(part) for part in parts) + len(glue) * len(parts))
    return glue.join(parts)


def _replace(arguments: list[object], budget: Budget) -> str:
    text, old, new = _texts("replace", arguments[:3], budget)
    limit = to_int(arguments[3]) if len(arguments) > 3 else -1
    budget.string(len(text) + text.count(old) * len(new))
    return text.replace(old, new, max(limit, -1))


def _repeat(arguments: list[object], budget: Budget) -> str:
    (text,) = _texts("repeat", arguments[:1], budget)
    times = to_int(arguments[1])
    if times < 0:
        raise ConditionError(f"invalid argument for repeat (expected positive integer, got {times})")
    budget.string(len(text) * times)
    return text * times


def _from_base64(text: str) -> str:
    try:
        return decode(base64.b64decode(encode(text.replace("\n", "").replace("\r", "")), validate=True))
    except binascii.Error as error:
        raise ConditionError(f"fromBase64: {error}") from None


FUNCTIONS: Final[Mapping[str, Callable[[list[object], Budget], object]]] = {
    "trim": _simple("trim", lambda text, cutset=_SPACE: text.strip(cutset) if cutset else text),
    "trimPrefix": _simple("trimPrefix", lambda text, prefix=" ": text.removeprefix(prefix)),
    "trimSuffix": _simple("trimSuffix", lambda text, suffix=" ": text.removesuffix(suffix)),
    "upper": _simple("upper", lambda text: "".join(c.upper() if len(c.upper()) == 1 else c for c in text)),
    "lower": _simple("lower", lambda text: "".join(c.lower() if len(c.lower()) == 1 else c for c in text)),
    "split": _split("split", keep=False),
    "splitAfter": _split("splitAfter", keep=True),
    "replace": _replace,
    "repeat": _repeat,
    "join": _join,
    "indexOf": _simple("indexOf", _index(bytes.find)),
    "lastIndexOf": _simple("lastIndexOf", _index(bytes.rfind)),
    "hasPrefix": _simple("hasPrefix", str.startswith),
    "hasSuffix": _simple("hasSuffix", str.endswith),
    "toBase64": _simple("toBase64", lambda text: base64.b64encode(encode(text)).decode()),
    "fromBase64": _simple("fromBase64", _from_base64),
}
"""Functions on strings; positions count bytes, as in Go."""
