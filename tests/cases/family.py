"""What a family of cases is to the runner: how its input becomes an answer, and when two answers are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Answer = Any
Input = dict[str, Any]


def equal(expected: Answer, actual: Answer) -> bool:
    """Whether two answers agree when absent, null and empty are one."""
    return bool(pruned(expected) == pruned(actual))


def pruned(value: Any) -> Any:
    if isinstance(value, dict):
        items = {key: pruned(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item not in (None, {}, [])}
    return [pruned(item) for item in value] if isinstance(value, list) else value


def followed(given: Input) -> str:
    """Every case of most families is one to follow."""
    return ""


@dataclass(frozen=True)
class Family:
    """One kind of cases. `quirk` says of an input, where Argo is not followed on purpose, why; else nothing."""

    name: str
    run: Callable[[Input], Answer]
    same: Callable[[Answer, Answer], bool] = equal
    quirk: Callable[[Input], str] = followed
