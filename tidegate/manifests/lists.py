"""`kind: List`, `RolloutList` and their like: several objects in one document, as `kubectl get -o yaml` gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidegate.manifests.kinds import KINDS
from tidegate.manifests.source import Document

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


def _header(document: Document) -> dict[str, str] | None:
    """What the items of a list leave out of themselves; None for a document that is no list."""
    api_version, kind = document.value(("apiVersion",)), document.value(("kind",))
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return None
    if (api_version, kind) == ("v1", _SUFFIX):
        return {}
    single = kind.removesuffix(_SUFFIX)
    known = single != kind and (api_version.rpartition("/")[0], single) in KINDS
    return {"apiVersion": api_version, "kind": single} if known else None
