"""Text from outside made harmless before it is shown, sent or stored. The decision is made here alone.

Text that operators read may come from any source: the reason of an abort, a pod's message, an answer of a provider. A
terminal obeys escape sequences. Some characters turn the direction of the text and mislead a reader. Others are no
characters at all, and can be neither sent nor stored.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

REPLACEMENT: Final = "\ufffd"

# C0 and C1 without line end and tab, halves of surrogate pairs, and what is seen by no eye but acts on what is: marks,
# overrides and isolates of direction (Unicode TR 36, section 2.7), separators of lines, fillers, annotations and tags.
# The joiners U+200C and U+200D stay: scripts and emoji are written with them.
_HARMFUL: Final = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u115f\\u1160\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e"
    "\\u2060-\\u206f\\u3164\\ud800-\\udfff\\ufeff\\uffa0\\ufff9-\\ufffb\\U000e0000-\\U000e007f]"
)


def harmless(text: str) -> str:
    """The text with U+FFFD for each character that would act instead of being read; line ends and tabs stay."""
    return _HARMFUL.sub(REPLACEMENT, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The same on one line, for a title, a cell of a table or a field that ends with the line."""
    return " ".join(harmless(text).split())


def harmless_json(text: str) -> str:
    """JSON with such characters written as escapes: it means what it meant."""
    return _HARMFUL.sub(lambda found: json.dumps(found[0])[1:-1], text)


def harmless_values(value: Any) -> Any:
    """JSON-like data with every text in it made harmless, keys as well."""
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, dict):
        return {harmless_values(key): harmless_values(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [harmless_values(each) for each in value]
    return value
