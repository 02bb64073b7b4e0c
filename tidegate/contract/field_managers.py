"""Who wrote a field of an object last, as the API server records it (Kubernetes, metadata.managedFields).

A process is known by the user agent that it names, and so is whoever else writes. A field that was taken away has no
writer any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.contract.payload import Document

WORKER_AGENT: Final = "tidegate-worker"
"""Field manager of everything that a release writes."""


def writers_of(found: Mapping[str, Any], section: str, field: str = "") -> tuple[str, ...]:
    """Managers of `spec` or `status`, or of one field of it, who wrote last first; empty where there is no record."""
    entries = [entry for entry in _entries(found) if f"f:{section}" in _mapping(entry.get("fieldsV1"))]
    if field:
        entries = [entry for entry in entries if f"f:{field}" in _mapping(entry["fieldsV1"][f"f:{section}"])]
    entries.sort(key=lambda entry: str(entry.get("time") or ""), reverse=True)
    return tuple(str(entry["manager"]) for entry in entries if entry.get("manager"))


def is_own(found: Mapping[str, Any], field: str) -> bool:
    """Whether a release wrote that field of the status, and nobody else did."""
    writers = writers_of(found, "status", field)
    return bool(writers) and all(writer == WORKER_AGENT for writer in writers)


def _entries(found: Mapping[str, Any]) -> Iterator[Document]:
    entries = _mapping(found.get("metadata")).get("managedFields")
    yield from (entry for entry in (entries if isinstance(entries, list) else []) if isinstance(entry, dict))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
