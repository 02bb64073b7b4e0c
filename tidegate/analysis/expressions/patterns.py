"""Regular expressions in the syntax of RE2, matched in time linear in the text.

Python's own `re` backtracks: `(a+)+$` can keep it busy for hours, which a condition from a manifest must not do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, cast

from lark import Token, Tree, UnexpectedInput

from tidegate.analysis.expressions.automaton import AnchorState, Automaton, SetState, SplitState, State
from tidegate.analysis.expressions.charsets import anything, bracket_set, escape_set, single
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import MAX_TEXT
from tidegate.analysis.expressions.unexpected import unexpected
from tidegate.manifests.grammar import Grammar

_MAX_REPEAT: Final = 1_000
_MAX_STATES: Final = 2_000
# Each level takes six frames of Python's stack, on top of those of the condition.
_MAX_GROUPS: Final = 40
_REPETITION: Final = re.compile(r"\{(\d+)(,?)(\d*)\}")
_SIMPLE: Final = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_ESCAPED_ANCHORS: Final = {"\\A": "start", "\\z": "end", "\\b": "boundary", "\\B": "inside"}

_Fragment = tuple[int, list[int]]
"""Where a part of the automaton begins, and the states that have an open end."""


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool = False
    multiline: bool = False
    dot_newline: bool = False

    def changed(self, text: str) -> _Flags:
        """Return the flags after `(?i-s)`; lazy or not makes no difference to whether something matches."""
        on, _, off = text.strip("(?:)").partition("-")
        flags = self
        for letters, value in ((on, True), (off, False)):
            flags = replace(
                flags,
                fold=value if "i" in letters else flags.fold,
                multiline=value if "m" in letters else flags.multiline,
                dot_newline=value if "s" in letters else flags.dot_newline,
            )
        return flags


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Automaton:
    """Return the automaton of a regular expression; raises ConditionError when it is not one, or too large."""
    if len(text) > MAX_TEXT:
        raise ConditionError(f"the regular expression has {len(text)} characters, at most {MAX_TEXT} are allowed")
    try:
        tree = _GRAMMAR.parse(text)
    except UnexpectedInput as error:
        found = unexpected(error, text)[0]
        what = f"unexpected {found!r}" if found else "an end is missing"
        raise ConditionError(f"error parsing regexp: {what} in `{text}`") from None
    return _Builder().automaton(tree)


_GRAMMAR: Final = Grammar("patterns.lark", rel_to=__file__, lexer="basic")


class _Builder:
    """Makes states bottom up (Thompson's construction)."""

    def __init__(self) -> None:
        self._states: list[State] = []
        self._flags = _Flags()

    def automaton(self, tree: Tree[Token]) -> Automaton:
        """Return the automaton of a whole expression."""
        (alternation,) = _subtrees(tree)
        start, ends = self._alternation(alternation, 1)
        self._patch(ends, self._add(AnchorState("match")))
        return Automaton(tuple(self._states), start)

    def _add(self, state: State) -> int:
        if len(self._states) >= _MAX_STATES:
            raise ConditionError("error parsing regexp: expression too large")
        self._states.append(state)
        return len(self._states) - 1

    def _patch(self, ends: list[int], target: int) -> None:
        for index in ends:
            self._states[index] = replace(self._states[index], target=target)

    def _alternation(self, tree: Tree[Token], depth: int) -> _Fragment:
        if depth > _MAX_GROUPS:
            raise ConditionError(f"error parsing regexp: groups are nested more than {_MAX_GROUPS} levels deep")
        branches = [self._branch(branch, depth) for branch in _subtrees(tree)]
        start, ends = branches.pop()
        for other, more in reversed(branches):
            start, ends = self._add(SplitState(other, target=start)), more + ends
        return start, ends

    def _branch(self, tree: Tree[Token], depth: int) -> _Fragment:
        fragment: _Fragment | None = None
        for child in tree.children:
            if isinstance(child, Token):
                self._flags = self._flags.changed(child)
                continue
            fragment = self._then(fragment, self._piece(child, depth))
        return fragment or self._empty()

    def _then(self, first: _Fragment | None, second: _Fragment) -> _Fragment:
        if first is None:
            return second
        self._patch(first[1], second[0])
        return first[0], second[1]

    def _empty(self) -> _Fragment:
        index = self._add(AnchorState("always"))
        return index, [index]

    def _piece(self, tree: Tree[Token], depth: int) -> _Fragment:
        content, *quantifiers = tree.children
        if not quantifiers:
            return self._content(content, depth)
        lowest, highest = _bounds(str(quantifiers[0]))
        if isinstance(content, Token) and content.type == "QUOTED":
            # The quantifier belongs to the last character only.
            quoted = content.removeprefix("\\Q").removesuffix("\\E")
            before = self._text(quoted[:-1])
            return self._then(before, self._repeated(Token("LITERAL", quoted[-1:]), lowest, highest, depth))
        return self._repeated(content, lowest, highest, depth)

    def _repeated(self, content: Token | Tree[Token], lowest: int, highest: int | None, depth: int) -> _Fragment:
        flags = self._flags
        fragment: _Fragment | None = None
        for _ in range(lowest):
            self._flags = flags
            fragment = self._then(fragment, self._content(content, depth))
        self._flags = flags
        if highest is None:
            return self._then(fragment, self._loop(self._content(content, depth)))
        skipped: list[int] = []
        for _ in range(highest - lowest):
            self._flags = flags
            start, ends = self._content(content, depth)
            split = self._add(SplitState(start))
            skipped.append(split)
            fragment = self._then(fragment, (split, ends))
        if fragment is None:
            return self._empty()
        return fragment[0], fragment[1] + skipped

    def _loop(self, body: _Fragment) -> _Fragment:
        split = self._add(SplitState(body[0]))
        self._patch(body[1], split)
        return split, [split]

    def _content(self, content: Token | Tree[Token], depth: int) -> _Fragment:
        if isinstance(content, Token):
            return self._atom(content)
        flags = self._flags
        opening, alternation = cast("tuple[Token, Tree[Token]]", tuple(content.children))
        if opening.endswith(":"):
            self._flags = flags.changed(opening)
        fragment = self._alternation(alternation, depth + 1)
        self._flags = flags
        return fragment

    def _atom(self, token: Token) -> _Fragment:
        fold = self._flags.fold
        if token.type == "QUOTED":
            return self._text(token.removeprefix("\\Q").removesuffix("\\E")) or self._empty()
        if token.type == "ANCHOR" or token in _ESCAPED_ANCHORS:
            index = self._add(AnchorState(self._anchor(token)))
        elif token.type == "CLASS":
            index = self._add(SetState(bracket_set(token, fold=fold)))
        elif token.type == "DOT":
            index = self._add(SetState(anything(newline=self._flags.dot_newline)))
        elif token.type == "ESCAPE":
            index = self._add(SetState(escape_set(token, fold=fold)))
        else:
            index = self._add(SetState(single(token, fold=fold)))
        return index, [index]

    def _text(self, text: str) -> _Fragment | None:
        fragment: _Fragment | None = None
        for character in text:
            index = self._add(SetState(single(character, fold=self._flags.fold)))
            fragment = self._then(fragment, (index, [index]))
        return fragment

    def _anchor(self, symbol: str) -> str:
        if symbol in _ESCAPED_ANCHORS:
            return _ESCAPED_ANCHORS[symbol]
        line = "line " if self._flags.multiline else ""
        return f"{line}start" if symbol == "^" else f"{line}end"


def _subtrees(tree: Tree[Token]) -> Iterator[Tree[Token]]:
    return (child for child in tree.children if isinstance(child, Tree))


def _bounds(quantifier: str) -> tuple[int, int | None]:
    match = _REPETITION.match(quantifier)
    if match is None:
        return _SIMPLE[quantifier[0]]
    lowest = int(match[1])
    highest = (int(match[3]) if match[3] else None) if match[2] else lowest
    if max(lowest, highest or 0) > _MAX_REPEAT or (highest is not None and highest < lowest):
        raise ConditionError(f"error parsing regexp: invalid repeat count: `{quantifier}`")
    return lowest, highest
