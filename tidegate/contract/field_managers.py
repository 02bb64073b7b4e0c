"""Who wrote a field of an object last, as the API server records it (Kubernetes, metadata.managedFields).

A process is known by the user agent that it names, and so is whoever else writes. A field that was taken away has no
writer any more.
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
    """Managers of `spec` or `status`, or of one field of it, who wrote last first; empty where there is no record."""
    entries = sorted(_of(found, section, field), key=_time, reverse=True)
    return tuple(str(entry["manager"]) for entry in entries if entry.get("manager"))


def written_at(found: Mapping[str, Any], section: str) -> datetime | None:
    """When somebody else than a release wrote `spec` or `status` last, to the second; None where it is not recorded."""
    with suppress(ValueError):
        at = datetime.fromisoformat(max(map(_time, _of_others(found, section)), default=""))
        return at if at.tzinfo is not None else None
    return None


def last_write(found: Mapping[str, Any], section: str, field: str) -> str:
    """Who wrote a field last beside releases, and when: tells one write of it from another; empty without a record."""
    newest = max(_of_others(found, section, field), key=_time, default={})
    return f"{newest['manager']} {_time(newest)}" if newest.get("manager") else ""


def is_own(found: Mapping[str, Any], field: str) -> bool:
    """Whether a release wrote that field of the status, and nobody else did."""
    writers = writers_of(found, "status", field)
    return bool(writers) and all(writer == WORKER_AGENT for writer in writers)


def _of_others(found: Mapping[str, Any], section: str, field: str = "") -> Iterator[Document]:
    return (entry for entry in _of(found, section, field) if entry.get("manager") != WORKER_AGENT)


def _of(found: Mapping[str, Any], section: str, field: str = "") -> Iterator[Document]:
    """The entries of those who wrote a section, or one field of it."""
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
