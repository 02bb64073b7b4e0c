"""`{{name}}` in a text or in a metric: found, and filled in once, as Argo's templates do (valyala/fasttemplate)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

_OPEN: Final = "{{"
_CLOSE: Final = "}}"
_LONGEST_QUOTE: Final = 500
# What Go escapes in JSON, so that it can stand in a page.
_JSON_ESCAPES: Final = str.maketrans(
    {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
)
_GO_ESCAPES: Final = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


class PlaceholderError(ValueError):
    """A placeholder that has no end, or that nothing fills in; the text is Argo's."""


def tags(template: str) -> list[str]:
    """Texts between `{{` and `}}`, blanks included. Raises PlaceholderError for `{{` without an end."""
    return [tag for _, tag in _parts(template) if tag is not None]


def fill(template: str, values: Mapping[str, str | None], escape: Callable[[str], str] = lambda value: value) -> str:
    """The text with each `{{name}}` replaced; one whose value is None stays as it is.

    Raises PlaceholderError as `tags` does, and for names that `values` do not have, of which it names the last.
    """
    filled: list[str] = []
    unknown: str | None = None
    for text, tag in _parts(template):
        filled.append(text)
        if tag is None:
            continue
        name = tag.strip()
        if name not in values:
            unknown = tag
            continue
        value = values[name]
        filled.append(f"{_OPEN}{tag}{_CLOSE}" if value is None else escape(value))
    if unknown is not None:
        raise PlaceholderError(f"failed to resolve {{{{{_cut(unknown)}}}}}")
    return "".join(filled)


def fill_object(document: Mapping[str, Any], values: Mapping[str, str | None]) -> dict[str, Any]:
    """As `fill`, for a JSON object: everywhere in it, keys included. Raises PlaceholderError."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).translate(_JSON_ESCAPES)
    filled: dict[str, Any] = json.loads(fill(text, values, lambda value: json.dumps(value)[1:-1]))
    return filled


def names_in(value: object) -> Iterator[str]:
    """Names of the placeholders anywhere in JSON-like data; what has no end is none."""
    if isinstance(value, str):
        yield from (found.strip() for found in _closed(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from names_in(key)
            yield from names_in(item)
    elif isinstance(value, Iterable):
        for item in value:
            yield from names_in(item)


def go_quoted(text: str) -> str:
    """The text as Go writes it with `%q`."""
    return '"' + "".join(map(_go_escaped, text)) + '"'


def _closed(text: str) -> list[str]:
    try:
        return tags(text)
    except PlaceholderError:
        return tags(text[: text.rfind(_OPEN)])


def _parts(template: str) -> Iterator[tuple[str, str | None]]:
    """Pieces of the text, each with the tag after it; the last one has none."""
    position = 0
    while (start := template.find(_OPEN, position)) >= 0:
        opened = start + len(_OPEN)
        end = template.find(_CLOSE, opened)
        if end < 0:
            shown, rest = go_quoted(_cut(template)), go_quoted(_cut(template[opened:]))
            raise PlaceholderError(f'Cannot find end tag="{_CLOSE}" in the template={shown} starting from {rest}')
        yield template[position:start], template[opened:end]
        position = end + len(_CLOSE)
    yield template[position:], None


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def _go_escaped(character: str) -> str:
    if character in _GO_ESCAPES:
        return _GO_ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
