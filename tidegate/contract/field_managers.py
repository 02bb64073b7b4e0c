"""The last writer of a field, as the API server records it (Kubernetes, metadata.managedFields).

A writer is known by the user agent of its process. A removed field has no writer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from tidegate.contract.payload import Document

WORKER_AGENT: Final = "tidegate-worker"
"""Field manager of everything that a release writes."""


def writers_of(found: Mapping[str, Any], section: str, field: str = "") -> tuple[str, ...]:
    """Managers of `spec` or `status`, or of one field of it, the last writer first; empty without a record."""
    entries = sorted(_of(found, section, field), key=_time, reverse=True)
    return tuple(str(entry["manager"]) for entry in entries if entry.get("manager"))


def written_at(found: Mapping[str, Any], section: str) -> datetime | None:
    """Time of the last write to `spec` or `status` by others than a release, to the second; None without a record."""
    with suppress(ValueError):
        at = datetime.fromisoformat(max(map(_time, _of_others(found, section)), default=""))
        return at if at.tzinfo is not None else None
    return None


def last_write(found: Mapping[str, Any], section: str, field: str) -> str:
    """The last writer of a field beside releases, and the time, which tells writes apart; empty without a record."""
    newest = max(_of_others(found, section, field), key=_time, default={})
    return f"{newest['manager']} {_time(newest)}" if newest.get("manager") else ""


def is_own(found: Mapping[str, Any], field: str) -> bool:
    """True when a release wrote that field of the status, and no other writer did."""
    writers = writers_of(found, "status", field)
    return bool(writers) and all(writer == WORKER_AGENT for writer in writers)


def _of_others(found: Mapping[str, Any], section: str, field: str = "") -> Iterator[Document]:
    return (entry for entry in _of(found, section, field) if entry.get("manager") != WORKER_AGENT)


def _of(found: Mapping[str, Any], section: str, field: str = "") -> Iterator[Document]:
    """Entries of the writers of a section, or of one field of it."""
    for entry in _entries(found):
        fields = _mapping(entry.get("fieldsV1"))
        if f"f:{section}" in fields and (not field or f"f:{field}" in _mapping(fields[f"f:{section}"])):
            yield entry


def _time(entry: Document) -> str:
    return str(entry.get("time") or "")


def _entries(found: Mapping[str, Any]) -> Iterator[Document]:
    entries = _mapping(found.get("metadata")).get("managedFields")
    yield from (entry for entry in (entries if isinstance(entries, list) else []) if isinstance(entry, dict))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
