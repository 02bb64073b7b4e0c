"""Who owns which field: managedFields after an ordinary write, and server-side apply with its conflicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from typing import Any

from sandbox.kubernetes_api.field_sets import FieldPath, decode, describe, encode, field_values, list_elements
from sandbox.kubernetes_api.list_keys import Path, atomic_map
from sandbox.kubernetes_api.objects import Object, clone, meta, with_metadata
from sandbox.kubernetes_api.status import apply_conflict

_ABSENT = object()


@dataclass(frozen=True)
class Writer:
    """For whom an object is written: field manager, API version of the request, subresource (empty: the object)."""

    manager: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True)
class _Entry:
    """One item of managedFields."""

    writer: Writer
    operation: str  # Apply | Update
    paths: frozenset[FieldPath]
    time: str

    @classmethod
    def load(cls, raw: dict[str, Any]) -> _Entry:
        writer = Writer(raw.get("manager", ""), raw.get("apiVersion", ""), raw.get("subresource", ""))
        return cls(writer, raw.get("operation", ""), frozenset(decode(raw.get("fieldsV1") or {})), raw.get("time", ""))

    def dump(self) -> dict[str, Any]:
        raw = {
            "manager": self.writer.manager,
            "operation": self.operation,
            "apiVersion": self.writer.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": encode(set(self.paths)),
        }
        return raw | ({"subresource": self.writer.subresource} if self.writer.subresource else {})

    def without(self, paths: set[FieldPath]) -> _Entry:
        return replace(self, paths=self.paths - paths)


def _entries(obj: Object | None) -> list[_Entry]:
    return [_Entry.load(raw) for raw in meta(obj or {}).get("managedFields") or []]


def _dump(entries: Iterable[_Entry], untouched: Iterable[dict[str, Any]] = ()) -> list[dict[str, Any]] | None:
    raw = [*(entry.dump() for entry in entries if entry.paths), *untouched]
    return sorted(raw, key=_order) or None


def _order(raw: dict[str, Any]) -> tuple[str, ...]:
    return tuple(raw.get(name, "") for name in ("operation", "time", "manager", "apiVersion", "subresource"))


def track_update(old: Object | None, new: Object, writer: Writer, *, custom: bool, now: str) -> Object:
    """`new` with managedFields as they are after `writer` replaced `old` by it; `now` is the cluster's time.

    The writer owns what it changed; whoever owned that before, or owned what is gone, no longer does. Parts that are
    the same (as the spec is while a status is written) are not walked through.
    """
    before = field_values(_differing(old or {}, new), custom=custom, around=True)
    after = field_values(_differing(new, old or {}), custom=custom, around=True)
    changed = {path for path, value in after.items() if before.get(path, _ABSENT) != value}
    gone = before.keys() - after.keys()
    parts = {path[0] for path in changed | gone}
    entries: list[_Entry] = []
    untouched: list[dict[str, Any]] = []
    own = _Entry(writer, "Update", frozenset(), "")
    for raw in meta(old or {}).get("managedFields") or []:
        if not parts & (raw.get("fieldsV1") or {}).keys() and not (changed and _is_of(raw, writer)):
            untouched.append(raw)
        elif _is_of(raw, writer):
            own = _Entry.load(raw)
        else:
            entries.append(_Entry.load(raw).without(changed | gone))
    if changed:
        own = replace(own, time=now)
    entries.append(replace(own, paths=(own.paths - gone) | changed))
    return with_metadata(new, managedFields=_dump(entries, untouched))


def _differing(obj: Object, other: Object) -> Object:
    """The parts of an object that another one has not, or not so."""
    return {name: value for name, value in obj.items() if name not in other or other[name] != value}


def _is_of(raw: dict[str, Any], writer: Writer) -> bool:
    found = (raw.get("manager", ""), raw.get("apiVersion", ""), raw.get("subresource", ""), raw.get("operation", ""))
    return found == (*astuple(writer), "Update")


def apply(live: Object | None, config: Object, writer: Writer, *, force: bool, custom: bool, now: str) -> Object:
    """Server-side apply: `live` with the fields of `config`, and without those that only this manager applied before.

    `now` is the cluster's time.

    Raises:
        ApiError: 409 when another manager owns a field that `config` would change, and `force` is not set.
    """
    wanted = field_values(config, custom=custom)
    current = field_values(live or {}, custom=custom)
    previous = frozenset[FieldPath]()
    others: list[_Entry] = []
    time = now
    for entry in _entries(live):
        if (entry.writer, entry.operation) == (writer, "Apply"):
            previous, time = entry.paths, entry.time
        else:
            others.append(entry)
    conflicts = list(_conflicts(others, wanted, current))
    if conflicts and not force:
        raise apply_conflict(conflicts)
    others = [entry.without({p for p in entry.paths if _changes(p, wanted, current)}) for entry in others]
    orphaned = previous - wanted.keys()
    merged = _remove(clone(live or {}), orphaned, others, custom=custom)
    merged = _merge(merged, config, (), custom)
    unchanged = previous == wanted.keys() and field_values(merged, custom=custom) == current
    own = _Entry(writer, "Apply", frozenset(wanted), time if unchanged else now)
    return with_metadata(merged, managedFields=_dump([own, *others]))


def _changes(path: FieldPath, wanted: dict[FieldPath, Any], current: dict[FieldPath, Any]) -> bool:
    return path in wanted and current.get(path, _ABSENT) != wanted[path]


def _conflicts(
    others: list[_Entry], wanted: dict[FieldPath, Any], current: dict[FieldPath, Any]
) -> Iterator[tuple[str, str]]:
    for entry in others:
        for path in sorted(entry.paths):
            if path in current and _changes(path, wanted, current):
                yield describe(path), f'conflict with "{entry.writer.manager}" using {entry.writer.api_version}'


def _merge(live: Any, config: Any, names: Path, custom: bool) -> Any:
    if isinstance(config, dict) and isinstance(live, dict) and not (names and atomic_map(names, custom=custom)):
        merged = dict(live)
        for name, value in config.items():
            merged[name] = _merge(live.get(name), value, (*names, name), custom)
        return merged
    if isinstance(config, list) and isinstance(live, list):
        items = list_elements(live, names, custom=custom)
        wanted = list_elements(config, names, custom=custom)
        if items is not None and wanted is not None:
            merged = {element: _merge(items.get(element), item, names, custom) for element, item in wanted.items()}
            return list({**items, **merged}.values())
    return config


def _remove(obj: Object, paths: frozenset[FieldPath], others: list[_Entry], *, custom: bool) -> Object:
    """`obj` without the fields at `paths` that nobody else owns, or owns something inside of."""
    owned = {path[:length] for entry in others for path in entry.paths for length in range(1, len(path) + 1)}
    for path in sorted(paths - owned, key=len):  # an item goes before the key fields that it is found by
        _drop(obj, path, (), custom)
    return obj


def _drop(node: Any, path: FieldPath, names: Path, custom: bool) -> None:
    """Remove one field in place, with the mappings and lists that it leaves empty."""
    element, rest = path[0], path[1:]
    if isinstance(node, list):
        items = list_elements(node, names, custom=custom) or {}
        if element not in items:
            return
        if rest:
            _drop(items[element], rest, names, custom)
        else:
            node.remove(items[element])
        return
    name = element.removeprefix("f:")
    if not isinstance(node, dict) or name not in node:
        return
    if rest:
        _drop(node[name], rest, (*names, name), custom)
    if not rest or node[name] in ({}, []):
        del node[name]
