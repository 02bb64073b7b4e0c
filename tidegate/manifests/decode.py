"""Data into models: whatever does not fit is named with its path, its value and the nearest field that exists."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tidegate.manifests.findings import Finding, ManifestError, Path, Severity
from tidegate.manifests.source import Document

M = TypeVar("M", bound=BaseModel)

_MESSAGES = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
_REMEDIES = {"int_type": "write it without quotes"}


def decode(model: type[M], document: Document, label: str) -> M:
    """The document as a model; `label` such as `Rollout/checkout` is what findings call the object.

    Raises ManifestError with one finding for each field that is unknown or of another type.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        details = error.errors(include_url=False)
    raise ManifestError(
        (_finding(model, detail, document, label) for detail in details), faults=(detail["loc"] for detail in details)
    )


def decode_object(model: type[M], data: Mapping[str, Any], label: str) -> M:
    """As `decode`, for an object from the cluster or from the wire, which has no file."""
    return decode(model, Document(dict(data)), label)


def nearest(name: str, names: Sequence[str], cutoff: float = 0.7) -> str:
    """The name that was probably meant, or an empty text; `cutoff` is the likeness needed, from 0 to 1."""
    folded = {known.lower(): known for known in names}
    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else ""


def unknown_field_remedy(name: str, names: Sequence[str]) -> str:
    """The remedy for a field that does not exist beside these."""
    meant = nearest(name, names)
    return f"did you mean {meant}?" if meant else f"known fields: {', '.join(sorted(names))}"


def quotes_remedy(value: object) -> str:
    """The remedy for a value that is not the text that it has to be."""
    if isinstance(value, dict | list):
        return ""
    hint = ": a bare y, yes, on, n, no or off is true or false for Kubernetes" if isinstance(value, bool) else ""
    return f"put the value in quotes{hint}"


def _finding(model: type[BaseModel], detail: ErrorDetails, document: Document, label: str) -> Finding:
    path: Path = tuple(detail["loc"])
    kind = detail["type"]
    code, value = "type", detail["input"]
    message = _MESSAGES.get(kind, detail["msg"].removeprefix("Value error, "))
    remedy = quotes_remedy(value) if kind == "string_type" else _REMEDIES.get(kind, "")
    if kind == "extra_forbidden":
        code, value, message = "unknown-field", None, "unknown field"
        remedy = unknown_field_remedy(str(path[-1]), list(_known_fields(model, path[:-1])))
    return document.finding(Severity.ERROR, code, path, message, value=value, remedy=remedy, object=label)


def _known_fields(model: type[BaseModel], path: Path) -> Iterator[str]:
    """Wire names of the fields of the model at a path."""
    for part in path:
        if isinstance(part, int):
            continue
        by_alias = {info.alias or name: info for name, info in model.model_fields.items()}
        inner = _model_in(by_alias[part].annotation) if part in by_alias else None
        if inner is None:
            # A key of a map: its values are of the model that was found last.
            continue
        model = inner
    for name, info in model.model_fields.items():
        yield info.alias or name


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
