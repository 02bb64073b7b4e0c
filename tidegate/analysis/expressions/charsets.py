"""Sets of characters in regular expressions."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from tidegate.analysis.expressions.errors import ConditionError

Ranges = tuple[tuple[str, str], ...]

_DIGIT: Final[Ranges] = (("0", "9"),)
_SPACE: Final[Ranges] = (("\t", "\n"), ("\f", "\r"), (" ", " "))
_WORD: Final[Ranges] = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_PERL: Final = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
_POSIX: Final[dict[str, Ranges]] = {
    "alnum": (("0", "9"), ("A", "Z"), ("a", "z")),
    "alpha": (("A", "Z"), ("a", "z")),
    "ascii": (("\0", "\x7f"),),
    "blank": (("\t", "\t"), (" ", " ")),
    "cntrl": (("\0", "\x1f"), ("\x7f", "\x7f")),
    "digit": _DIGIT,
    "graph": (("!", "~"),),
    "lower": (("a", "z"),),
    "print": ((" ", "~"),),
    "punct": (("!", "/"), (":", "@"), ("[", "`"), ("{", "~")),
    "space": (("\t", "\r"), (" ", " ")),
    "upper": (("A", "Z"),),
    "word": _WORD,
    "xdigit": (("0", "9"), ("A", "F"), ("a", "f")),
}
_CONTROL: Final = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_CATEGORY: Final = re.compile(r"\\([pP])(?:\{(\^?)(\w+)\}|([A-Z]))")
_ITEM: Final = re.compile(
    r"\[:(?P<not>\^?)(?P<posix>[a-z]+):\]|(?P<category>\\[pP](?:\{\^?\w+\}|[A-Z]))|\\(?P<perl>[dDsSwW])"
    r"|(?P<first>\\x\{[\da-fA-F]+\}|\\x[\da-fA-F]{2}|\\[0-7]{1,3}|\\[\s\S]|[\s\S])"
    r"(?:-(?P<last>\\x\{[\da-fA-F]+\}|\\x[\da-fA-F]{2}|\\[0-7]{1,3}|\\[\s\S]|[^\]]))?"
)


@dataclass(frozen=True, slots=True)
class Part:
    """Characters by range or by Unicode category (a prefix of its two letters), or all others."""

    ranges: Ranges = ()
    category: str = ""
    negated: bool = False

    def has(self, character: str) -> bool:
        """True when the character is meant."""
        if self.category:
            found = unicodedata.category(character).startswith(self.category)
        else:
            found = any(first <= character <= last for first, last in self.ranges)
        return found is not self.negated


@dataclass(frozen=True, slots=True)
class CharSet:
    """Any of several parts, or none of them; `fold` ignores the case."""

    parts: tuple[Part, ...]
    negated: bool = False
    fold: bool = False

    def has(self, character: str) -> bool:
        """True when the character is in the set."""
        variants = {character, character.lower(), character.upper()} if self.fold else (character,)
        found = any(part.has(variant) for variant in variants if len(variant) == 1 for part in self.parts)
        return found is not self.negated


def single(character: str, *, fold: bool) -> CharSet:
    """Return the set of one character."""
    return CharSet((Part(((character, character),)),), fold=fold)


def anything(*, newline: bool) -> CharSet:
    """Return the set of all characters, with or without the newline."""
    return CharSet((), negated=True) if newline else CharSet((Part((("\n", "\n"),)),), negated=True)


def escape_set(escape: str, *, fold: bool) -> CharSet:
    """Return the set that an escape outside of brackets stands for; raises ConditionError when there is none."""
    if escape[1] in "pP":
        return CharSet((_category(escape),), fold=fold)
    if escape[1] in "dDsSwW":
        return CharSet((Part(_PERL[escape[1].lower()], negated=escape[1].isupper()),), fold=fold)
    return single(_character(escape), fold=fold)


def bracket_set(text: str, *, fold: bool) -> CharSet:
    """Return the set that `[...]` stands for; raises ConditionError for an unknown class or a range turned round."""
    body = text[1:-1]
    negated = body.startswith("^")
    return CharSet(tuple(_part(match) for match in _ITEM.finditer(body[negated:])), negated, fold)


def _part(match: re.Match[str]) -> Part:
    if match["posix"]:
        if match["posix"] not in _POSIX:
            raise ConditionError(f"error parsing regexp: invalid character class range: `{match[0]}`")
        return Part(_POSIX[match["posix"]], negated=bool(match["not"]))
    if match["category"]:
        return _category(match["category"])
    if match["perl"]:
        return Part(_PERL[match["perl"].lower()], negated=match["perl"].isupper())
    first = _character(match["first"])
    last = _character(match["last"]) if match["last"] else first
    if last < first:
        raise ConditionError(f"error parsing regexp: invalid character class range: `{match[0]}`")
    return Part(((first, last),))


def _category(escape: str) -> Part:
    match = _CATEGORY.fullmatch(escape)
    name = (match[3] or match[4]) if match else ""
    if match is None or len(name) > 2 or not name[:1].isupper():
        raise ConditionError(
            f"error parsing regexp: invalid character class range: `{escape}`",
            hint="known are Unicode's general categories, such as \\pL or \\p{Lu}",
        )
    return Part(category=name, negated=(match[1] == "P") is not (match[2] == "^"))


def _character(text: str) -> str:
    if not text.startswith("\\"):
        return text
    body = text[1:]
    if body[0] == "x" and len(body) > 1:
        code = int(body[1:].strip("{}"), 16)
        if code <= 0x10FFFF:
            return chr(code)
    elif body[0] == "0" or (body[0] in "1234567" and len(body) > 1):
        return chr(int(body, 8))
    elif body in _CONTROL:
        return _CONTROL[body]
    elif body.isascii() and not body.isalnum():
        return body
    raise ConditionError(
        f"error parsing regexp: invalid escape sequence: `{text}`",
        hint="back-references are not part of RE2" if body.isdigit() else "",
    )
