"""Runs a regular expression over a text as a set of states that move together, so that no text can make it slow."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tidegate.analysis.expressions.charsets import CharSet
from tidegate.analysis.expressions.limits import Budget

_WORD: Final = re.compile(r"\w", re.ASCII)


@dataclass(frozen=True, slots=True)
class SetState:
    """Takes one character of a set."""

    characters: CharSet
    target: int = -1


@dataclass(frozen=True, slots=True)
class SplitState:
    """Goes both ways without taking a character."""

    branch: int
    target: int = -1


@dataclass(frozen=True, slots=True)
class AnchorState:
    """Goes on without taking a character where its condition holds; "match" is the end."""

    condition: str
    target: int = -1


State = SetState | SplitState | AnchorState


def _is_word(text: str, position: int) -> bool:
    return 0 <= position < len(text) and _WORD.match(text[position]) is not None


_CONDITIONS: Final[dict[str, Callable[[str, int], bool]]] = {
    "always": lambda text, at: True,
    "start": lambda text, at: at == 0,
    "end": lambda text, at: at == len(text),
    "line start": lambda text, at: at == 0 or text[at - 1] == "\n",
    "line end": lambda text, at: at == len(text) or text[at] == "\n",
    "boundary": lambda text, at: _is_word(text, at - 1) is not _is_word(text, at),
    "inside": lambda text, at: _is_word(text, at - 1) is _is_word(text, at),
}


@dataclass(frozen=True, slots=True)
class Automaton:
    """A regular expression that is ready to search."""

    states: tuple[State, ...]
    start: int

    def search(self, text: str, budget: Budget) -> bool:
        """True when the expression matches anywhere in the text; raises ConditionError when the budget is used up."""
        waiting: list[SetState] = []
        for position in range(len(text) + 1):
            targets = [state.target for state in waiting if state.characters.has(text[position - 1])]
            budget.spend(1 + len(waiting))
            reached = self._closure([self.start, *targets], text, position, budget)
            if reached is None:
                return True
            waiting = reached
        return False

    def _closure(self, pending: list[int], text: str, position: int, budget: Budget) -> list[SetState] | None:
        """Follow what takes no character; None when the end is reached."""
        seen: set[int] = set()
        waiting: list[SetState] = []
        while pending:
            index = pending.pop()
            if index in seen:
                continue
            seen.add(index)
            budget.spend()
            state = self.states[index]
            if isinstance(state, SetState):
                waiting.append(state)
            elif isinstance(state, SplitState):
                pending += (state.branch, state.target)
            elif state.condition == "match":
                return None
            elif _CONDITIONS[state.condition](text, position):
                pending.append(state.target)
        return waiting
