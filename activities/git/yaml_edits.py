"""Edits of single scalars in a YAML text, each read again: nothing else may come to mean something else. Pure.

Every other byte of the file stays, and so do the anchor and the tag of a scalar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import yaml

MAX_NODES = 100_000  # of a text whose aliases are written out
# What YAML of any version takes for a number where no quotes say otherwise.
_NUMBER = re.compile(r"[-+]?(0[xob][0-9a-fA-F_]+|(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?)")
_STRING = "tag:yaml.org,2002:str"
_OTHER_TYPES = "tag:yaml.org,2002:"

Setting = tuple[yaml.ScalarNode, str]  # a scalar, and what it is to say
Settings = Callable[[Sequence[yaml.Node]], Iterable[Setting]]


class NotEditableError(ValueError):
    """A value cannot be written at its position; the text names the obstacle."""


@dataclass(frozen=True)
class Edit:
    """`text` in the place of the characters from `start` to before `end`."""

    start: int
    end: int
    text: str


def edited(text: str, edits: Sequence[Edit]) -> str:
    """The text with all edits made."""
    for edit in sorted(edits, key=lambda each: each.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def documents(text: str) -> list[yaml.Node]:
    """The documents of a text. Raises yaml.YAMLError, RecursionError."""
    return [node for node in yaml.compose_all(text, yaml.SafeLoader) if node is not None]


def edits_of(text: str, settings: Settings) -> tuple[Edit, ...]:
    """The edits that make a text say what `settings` asks of its documents, and nothing else.

    Raises NotEditableError: a block of text, a scalar that others share by its anchor, and whatever else would not be
    read as it was meant. Raises yaml.YAMLError, RecursionError for a text that cannot be read.
    """
    # A node begins with its anchor and tag; the token of its scalar does not.
    starts = {token.end_mark.index: token.start_mark.index for token in _scalars(text)}
    edits = {id(node): _edit(node, value, starts) for node, value in settings(documents(text))}
    found = tuple(sorted({edit.start: edit for edit in edits.values()}.values(), key=lambda each: each.start))
    if found:
        _check(text, edited(text, found), settings)
    return found


def _scalars(text: str) -> Iterator[yaml.Token]:
    return (token for token in yaml.scan(text, yaml.SafeLoader) if isinstance(token, yaml.ScalarToken))


def _edit(node: yaml.ScalarNode, value: str, starts: dict[int, int]) -> Edit:
    line = node.start_mark.line + 1
    if node.style in ("|", ">"):
        raise NotEditableError(f"line {line}: an image in a block of text")
    start = starts.get(node.end_mark.index)
    if start is None:
        raise NotEditableError(f"line {line}: there is no text to change")
    quote = node.style or ("" if _is_plain(value) else '"')
    return Edit(start, node.end_mark.index, f"{quote}{value}{quote}")


def _is_plain(value: str) -> bool:
    try:
        return isinstance(yaml.safe_load(value), str) and not _NUMBER.fullmatch(value)
    except yaml.YAMLError:
        return False


def _check(before: str, after: str, settings: Settings) -> None:
    """Read the result, and compare it with what was meant."""
    try:
        read = _Copies().of(documents(after))
    except (yaml.YAMLError, RecursionError) as error:
        raise NotEditableError(f"the file could not be read after the edit: {error}") from error
    meant = _Copies().of(documents(before))
    changed = {}
    for node, value in settings(meant):
        node.value = value
        changed[id(node)] = node
    if len(meant) != len(read):
        raise NotEditableError("the edit would change how many documents there are")
    for expected, got in zip(meant, read, strict=True):
        _compare(expected, got, changed)


def _compare(expected: yaml.Node, got: yaml.Node, changed: dict[int, yaml.ScalarNode]) -> None:
    pairs = [(expected, got)]
    while pairs:
        one, other = pairs.pop()
        line = one.start_mark.line + 1
        if id(one) in changed:
            own = one.tag == other.tag and not one.tag.startswith(_OTHER_TYPES)
            if one.value != other.value or not (other.tag == _STRING or own):
                raise NotEditableError(f"line {line}: {one.value} would be read as {str(other.value)[:80]!r}")
        elif isinstance(one, yaml.ScalarNode):
            if (one.tag, one.value) != (other.tag, other.value):
                raise NotEditableError(
                    f"line {line}: {one.value[:80]!r} would change as well: it shares its text with the image, "
                    "by an anchor; write the image out"
                )
        elif type(one) is not type(other) or one.tag != other.tag or len(one.value) != len(other.value):
            raise NotEditableError(f"line {line}: the edit would change more than the image")
        elif isinstance(one, yaml.MappingNode):
            for (key, value), (other_key, other_value) in zip(one.value, other.value, strict=True):
                pairs += [(key, other_key), (value, other_value)]
        else:
            pairs += list(zip(one.value, other.value, strict=True))


class _Copies:
    """Documents whose aliases are written out, so that each place has a node of its own."""

    def __init__(self) -> None:
        self._remaining = MAX_NODES

    def of(self, found: Sequence[yaml.Node]) -> list[yaml.Node]:
        return [self._copy(node, ()) for node in found]

    def _copy(self, node: yaml.Node, within: tuple[int, ...]) -> yaml.Node:
        self._remaining -= 1
        if self._remaining < 0 or id(node) in within:
            raise NotEditableError(f"line {node.start_mark.line + 1}: too many aliases, or one within its own anchor")
        if isinstance(node, yaml.ScalarNode):
            return yaml.ScalarNode(node.tag, node.value, node.start_mark, node.end_mark, node.style)
        inner = (*within, id(node))
        if isinstance(node, yaml.MappingNode):
            pairs = [(self._copy(key, inner), self._copy(value, inner)) for key, value in node.value]
            return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark)
        items = [self._copy(item, inner) for item in node.value]
        return yaml.SequenceNode(node.tag, items, node.start_mark, node.end_mark)
