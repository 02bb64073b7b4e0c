"""Plain JSON objects of the Kubernetes API, read with care: they come from a wire and may be anything."""

from __future__ import annotations

from pydantic import JsonValue

Document = dict[str, JsonValue]
Key = tuple[str, str]  # namespace, name


def mapping(value: JsonValue | None) -> Document:
    """`value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: JsonValue | None) -> list[Document]:
    """The objects of the list `value`; nothing when it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: JsonValue | None) -> dict[str, str]:
    """The text entries of the object `value`, as labels, selectors and annotations are."""
    return {key: item for key, item in mapping(value).items() if isinstance(item, str)}


def metadata(document: Document | None) -> Document:
    """The object's metadata, empty when there is none."""
    return mapping((document or {}).get("metadata"))


def key_of(document: Document) -> Key:
    """(namespace, name) of an object, the namespace being "" for one of the whole cluster."""
    meta = metadata(document)
    return str(meta.get("namespace") or ""), str(meta.get("name") or "")


def resource_version(document: Document | None) -> int:
    """metadata.resourceVersion as a number; 0 when there is none."""
    text = str(metadata(document).get("resourceVersion") or "")
    return int(text) if text.isdecimal() else 0
