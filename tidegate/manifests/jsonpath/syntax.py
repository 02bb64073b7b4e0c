"""The steps of a path, each of which leads from values to values."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True)
class PathField:
    """The value under `name` in each map."""

    name: str


@dataclass(frozen=True)
class Wildcard:
    """All that each map and each list holds."""


@dataclass(frozen=True)
class Descent:
    """Each map and list, and all maps and lists in it, however deep."""


@dataclass(frozen=True)
class Index:
    """One element of each list; a negative `position` counts from its end."""

    position: int


@dataclass(frozen=True)
class PathSlice:
    """The elements of each list from `start` to before `end`, every `step`th; None is the beginning, the end and 1."""

    start: int | None = None
    end: int | None = None
    step: int | None = None


@dataclass(frozen=True)
class Union:
    """The values at several paths, one after the other."""

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class PathLiteral:
    """The value itself."""

    value: JsonValue


@dataclass(frozen=True)
class Exists:
    """The elements of each list in which `path` leads to something."""

    path: Path


@dataclass(frozen=True)
class Compared:
    """The elements of each list for which a comparison holds between what two paths lead to."""

    left: Path
    operator: str
    right: Path


Step = PathField | Wildcard | Descent | Index | PathSlice | Union | PathLiteral | Exists | Compared
Path = tuple[Step, ...]
