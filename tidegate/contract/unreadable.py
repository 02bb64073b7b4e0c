"""Placeholder for a payload that cannot be read, in the argument of a message or of a start.

Such a payload must neither be lost nor block anything. An unreadable abort is an abort (law 8). An unreadable start
fails with the reason.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate.manifests.plain_text import REPLACEMENT, harmless

_MOST_BYTES: Final = 256 * 1024
_MOST_LEVELS: Final = 50
_LONGEST_NUMBER: Final = 300
_LONGEST_REASON: Final = 1000
_FIELD: Final = r'"%s"\s*:\s*"((?:[^"\\]|\\.){0,1000})'
_LEVEL: Final = re.compile(r"[\[{]|[\]}]")


@dataclass(frozen=True)
class Unreadable:
    """A payload without a value: encrypted with the key `key_id`, or damaged."""

    key_id: str = ""
    why: str = ""  # for operators
    data: bytes = field(default=b"", repr=False)  # its content, where that is not encrypted

    def __str__(self) -> str:
        return self.why or f"encrypted with key {self.key_id!r}, which this process could not decrypt with"


def read_leniently(data: bytes) -> Any:
    """The probable content of a message: its JSON, its fields `reason` and `by`, or its text; else None.

    Never raises, and takes time in proportion to a bounded part of the content. The same bytes always give the same
    result.
    """
    text = data[:_MOST_BYTES].decode("utf-8-sig", "replace")
    if _levels(text) <= _MOST_LEVELS:
        try:
            return json.loads(text, parse_int=_number, parse_float=_number)
        except ValueError:
            pass  # halves of it may be readable
    found = {name: match[1] for name in ("reason", "by") if (match := re.search(_FIELD % name, text))}
    if found:
        return {name: _unescaped(each) for name, each in found.items()}
    return _if_text(text)


def _levels(text: str) -> int:
    deepest = level = 0
    for match in _LEVEL.finditer(text):
        level += 1 if match[0] in "[{" else -1
        deepest = max(deepest, level)
    return deepest


def _number(text: str) -> Any:
    """A number; the digits of one that Python refuses to read or that would not fit."""
    if len(text) > _LONGEST_NUMBER:
        return text[:_LONGEST_NUMBER]
    return float(text) if set(text) & set(".eE") else int(text)


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:  # cut within an escape
        return text


def _if_text(text: str) -> str | None:
    """The text itself, None when it is mostly none."""
    shown = harmless(text[:_LONGEST_REASON]).strip()
    return None if not shown or 4 * shown.count(REPLACEMENT) > len(shown) else shown
