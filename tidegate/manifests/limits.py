"""Limits of one object: the same numbers at lint, at start, at the watcher and in the workflow.

The workers of all teams work on the object of one. Kubernetes itself takes objects of 1.5 MiB. A release keeps its
manifest in a history, reads all of it in each pass, and starts something for each step and each metric. The limits are
far beyond real manifests, and an object within them takes bounded time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.manifests.findings import Path, path_text

# Of its texts and values, about that of its JSON. `kubectl apply` takes no more: it keeps a copy in an annotation.
MAX_OBJECT_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 50_000
MAX_ENTRIES: Final = 1000  # of any list or map
MAX_STEPS: Final = 300
MAX_CONTAINERS: Final = 100  # of any kind, in one pod template
MAX_METRICS: Final = 100  # of one template, and of one analysis run
MAX_EXPERIMENTS: Final = 20  # templates of one experiment, and analyses of one

_SHOWN_DEPTH: Final = 6
_VALUE_BYTES: Final = 8  # of a number, a bracket and the like, with what separates it from the next
_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")
_SPLIT_STEPS: Final = "split it into releases, or let one pause stand for many"
_SPLIT_METRICS: Final = "split them into several analyses"
Excess = tuple[Path, str, str]  # field, message, remedy


def excesses(document: Mapping[str, Any], *, listed: bool = True) -> Iterator[Excess]:
    """Parts of an object that exceed the limits. Reads no more than the first MAX_VALUES of its values.

    `listed` says that lists and maps are limited as well, as they are in the part that a release works through.
    """
    named = list(_named(document))
    yield from named
    # What is too much in all is mostly too much of one of these, which says more.
    if not named and not _is_plainly_small(document):
        yield from itertools.islice(_too_much(document, listed), 1)


def _named(document: Mapping[str, Any]) -> Iterator[Excess]:
    spec = _mapping(document.get("spec"))
    canary = _mapping(_mapping(spec.get("strategy")).get("canary"))
    at: Path = ("spec", "strategy", "canary", "steps")
    steps = _sequence(canary.get("steps"))
    yield from _too_many(steps, MAX_STEPS, at, "steps", _SPLIT_STEPS)
    for index, step in enumerate(steps[:MAX_STEPS]):
        experiment = _mapping(_mapping(step).get("experiment"))
        for field in ("templates", "analyses"):
            path = (*at, index, "experiment", field)
            yield from _too_many(
                _sequence(experiment.get(field)), MAX_EXPERIMENTS, path, field, "use several experiments"
            )
    pod = _mapping(_mapping(spec.get("template")).get("spec"))
    containers = sum(len(_sequence(pod.get(field))) for field in _CONTAINERS)
    if containers > MAX_CONTAINERS:
        message = f"{containers} containers are more than {MAX_CONTAINERS}, the most that one pod may have here"
        yield ("spec", "template", "spec", "containers"), message, ""
    yield from _too_many(_sequence(spec.get("metrics")), MAX_METRICS, ("spec", "metrics"), "metrics", _SPLIT_METRICS)


def excess_text(excess: Excess) -> str:
    """One line for operators."""
    path, message, remedy = excess
    where = f"{path_text(path)}: " if path else ""
    return f"{where}{message}{f' ({remedy})' if remedy else ''}"


def _is_plainly_small(document: Mapping[str, Any]) -> bool:
    """True when no limit is exceeded, found without names of fields; False also where that is unknown."""
    size = values = 0
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            kind = type(value)  # an exact type is compared far faster than by isinstance
            if kind is dict:
                size += sum(map(len, filter(_is_text, value)))
                below.extend(value.values())
            elif kind is list:
                below.extend(value)
            elif kind is str:
                size += len(value)
            else:
                continue
            if kind is not str and len(value) > MAX_ENTRIES:
                return False
        values += len(level)
        if not below:
            return size + values * _VALUE_BYTES <= MAX_OBJECT_BYTES
        if values + len(below) > MAX_VALUES:
            return False
        level = below
    return False


def _is_text(value: Any) -> bool:
    return type(value) is str


def _too_much(document: Mapping[str, Any], listed: bool) -> Iterator[Excess]:
    """Values one after the other, without recursion: what is nested too deeply would exhaust the stack."""
    size = values = 0
    waiting: list[tuple[Any, Path]] = [(document, ())]
    while waiting:
        value, path = waiting.pop()
        values += 1
        size += _VALUE_BYTES + (len(value) if isinstance(value, str) else 0)
        if values > MAX_VALUES:
            yield (), f"it has more than {MAX_VALUES} values", "leave out what no release needs"
        if size > MAX_OBJECT_BYTES:
            yield (), f"it is larger than {MAX_OBJECT_BYTES // 1024} KiB", "leave out what no release needs"
        if isinstance(value, Mapping | list | tuple):
            if len(path) >= MAX_DEPTH:
                yield path[:_SHOWN_DEPTH], f"it is nested deeper than {MAX_DEPTH} levels", ""
            if listed and len(value) > MAX_ENTRIES:
                yield path, f"{len(value)} entries are more than {MAX_ENTRIES}, the most that are taken", ""
            if len(value) > MAX_VALUES - values:
                yield path, f"{len(value)} entries are more than can be taken", ""
            if isinstance(value, Mapping):
                size += sum(len(key) for key in value if isinstance(key, str))
                waiting.extend((each, (*path, key)) for key, each in value.items())
            else:
                waiting.extend((each, (*path, index)) for index, each in enumerate(value))


def _too_many(found: list[Any] | tuple[Any, ...], most: int, path: Path, what: str, remedy: str) -> Iterator[Excess]:
    if len(found) > most:
        yield path, f"{len(found)} {what} are more than {most}, the most that are taken", remedy


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, list | tuple) else []
