"""`kind: List`, `RolloutList` and their like: several objects in one document, as `kubectl get -o yaml` gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tidegate.manifests.findings import Finding, ManifestError
from tidegate.manifests.kinds import KINDS
from tidegate.manifests.source import Document

Thing = TypeVar("Thing")

_SUFFIX = "List"


def unpacked(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents, with the items of a list in the place of the list.

    Raises ManifestError for a list whose items are none.
    """
    for document in documents:
        header = _header(document)
        if header is None:
            yield document
            continue
        items = document.value(("items",))
        if not isinstance(items, list | None):
            raise document.refused("type", ("items",), "must be a list", value=items)
        yield from unpacked(document.items(("items",), header))


def in_all(things: Iterable[Thing], read: Callable[[Thing], Iterable[Document]]) -> list[Document]:
    """Results of reading each item, lists unpacked. Raises ManifestError with all errors."""
    documents: list[Document] = []
    findings: list[Finding] = []
    for thing in things:
        try:
            documents += unpacked(read(thing))
        except ManifestError as error:
            findings += error.findings
            documents += error.rest if isinstance(error.rest, list) else []
    if findings:
        raise ManifestError(findings, rest=documents)
    return documents


def _header(document: Document) -> dict[str, str] | None:
    """Fields that the items of a list omit; None for a document that is no list."""
    api_version, kind = document.value(("apiVersion",)), document.value(("kind",))
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return None
    if (api_version, kind) == ("v1", _SUFFIX):
        return {}
    single = kind.removesuffix(_SUFFIX)
    known = single != kind and (api_version.rpartition("/")[0], single) in KINDS
    return {"apiVersion": api_version, "kind": single} if known else None
