"""Errors of a pod template: unknown and mistyped fields, and Kubernetes' requirements of its containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import JsonValue

from tidegate.manifests.decode import nearest, quotes_remedy, unknown_field_remedy
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.labels import dns_label_problems, key_problems, value_problems
from tidegate.manifests.model import INT32, INT64, out_of_range
from tidegate.manifests.pod_template.quantity import QUANTITY_HINT, canonical_quantity
from tidegate.manifests.pod_template.types import KUBERNETES_VERSION, ROOT, SCALARS, Field, fields_of

_CONTAINERS = ("containers", "initContainers")
_RESTARTS = ("Always", "OnFailure", "Never")
# The fields of a pod template that are int64 in k8s.io/api/core/v1; all other numbers are int32.
_INT64_FIELDS = frozenset(
    (
        "activeDeadlineSeconds",
        "defaultUser",
        "deletionGracePeriodSeconds",
        "expirationSeconds",
        "fsGroup",
        "generation",
        "runAsGroup",
        "runAsUser",
        "seconds",
        "supplementalGroups",
        "terminationGracePeriodSeconds",
        "tolerationSeconds",
        "user",
    )
)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "bool": (bool,),
    "Quantity": (str, int, float),
    "Time": (str,),
    "IntOrString": (int, str),
    "FieldsV1": (dict,),
}
_EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "bool": "true or false",
    "Quantity": "a quantity",
    "Time": "a time",
    "IntOrString": "a whole number or text",
    "FieldsV1": "an object",
}


class Problem(NamedTuple):
    """A field that Kubernetes would not read as it is meant; `certain` is False where it may only be too new for us."""

    path: Path
    message: str
    remedy: str
    certain: bool = True


def template_labels(template: Mapping[str, JsonValue]) -> dict[str, str]:
    """Labels of a pod template."""
    metadata = template.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return {key: str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}


def template_problems(template: Mapping[str, JsonValue], path: Path) -> Iterator[Problem]:
    """Fields of a pod template at `path` that are unknown, mistyped, or quantities that are none."""
    yield from _struct_problems(template, ROOT, path)


def image_problems(template: Mapping[str, JsonValue], path: Path) -> Iterator[Problem]:
    """Images that Kubernetes takes in a template and in no pod."""
    spec = template.get("spec")
    if not isinstance(spec, dict):
        return
    for group in _CONTAINERS:
        for index, container in enumerate(_objects(spec.get(group))):
            image = container.get("image")
            if isinstance(image, str) and image.strip() != image:
                at = (*path, "spec", group, index, "image")
                yield Problem(at, "must not have leading or trailing whitespace", "leave the whitespace out")


def pod_spec_errors(
    template: Mapping[str, JsonValue], path: Path, restarts: Sequence[str] = ("Always",)
) -> Iterator[FieldError]:
    """The main rules of Kubernetes for pods: labels, containers, their names and images, restarts.

    `restarts` are the restart policies that the owner of the pods may have; those of a ReplicaSet by default.
    """
    yield from _metadata_errors(template, path)
    spec = template.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    at = (*path, "spec")
    if not _objects(spec.get("containers")):
        yield FieldError((*at, "containers"), "", "Required", "at least one container")
    seen: set[JsonValue] = set()
    for group in _CONTAINERS:
        for index, container in enumerate(_objects(spec.get(group))):
            yield from _container_errors(container, (*at, group, index), seen)
    policy = spec.get("restartPolicy") or "Always"
    for supported in (_RESTARTS, restarts):
        if policy not in supported:
            text = ", ".join(f'"{each}"' for each in supported)
            yield FieldError((*at, "restartPolicy"), f"supported values: {text}", "NotSupported")
    if "Always" in restarts and spec.get("activeDeadlineSeconds") is not None:
        detail = "activeDeadlineSeconds in ReplicaSet is not Supported"
        yield FieldError((*at, "activeDeadlineSeconds"), detail, "Forbidden", "leave it out")


def _metadata_errors(template: Mapping[str, JsonValue], path: Path) -> Iterator[FieldError]:
    metadata = template.get("metadata")
    for section in ("labels", "annotations"):
        given = metadata.get(section) if isinstance(metadata, dict) else None
        for key, value in given.items() if isinstance(given, dict) else ():
            at = (*path, "metadata", section, key)
            problems = key_problems(key)
            if section == "labels" and isinstance(value, str):
                problems += value_problems(value)
            # Kubernetes leaves `metadata` out of these paths.
            yield from (FieldError(at, problem, argo_path=(*path, section)) for problem in problems)


def _container_errors(container: Mapping[str, Any], path: Path, seen: set[JsonValue]) -> Iterator[FieldError]:
    name, image = container.get("name"), container.get("image")
    if not name:
        yield FieldError((*path, "name"), "", "Required")
    elif isinstance(name, str):
        yield from (FieldError((*path, "name"), problem) for problem in dns_label_problems(name))
        if name in seen:
            yield FieldError((*path, "name"), "", "Duplicate", "every container needs a name of its own")
        seen.add(name)
    if not image:
        yield FieldError((*path, "image"), "", "Required")


def _objects(value: JsonValue) -> list[dict[str, JsonValue]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _struct_problems(value: JsonValue | Mapping[str, JsonValue], struct: str, path: Path) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield Problem(path, "must be an object", "")
        return
    fields = fields_of(struct)
    for name, given in value.items():
        if name in fields:
            yield from _field_problems(given, fields[name], (*path, name))
        else:
            yield _unknown(name, list(fields), path)


def _unknown(name: str, known: list[str], path: Path) -> Problem:
    remedy = unknown_field_remedy(name, known)
    if nearest(name, known):
        return Problem((*path, name), "unknown field", remedy)
    message = f"Kubernetes {KUBERNETES_VERSION} has no such field; it is passed on as it is"
    return Problem((*path, name), message, remedy, certain=False)


def _field_problems(given: JsonValue, field: Field, path: Path) -> Iterator[Problem]:
    if given is None:
        return
    if field.shape == "[]":
        if isinstance(given, list):
            for index, item in enumerate(given):
                yield from _single_problems(item, field.type, (*path, index))
        else:
            yield Problem(path, "must be a list", "")
    elif field.shape == "{}":
        if isinstance(given, dict):
            for key, item in given.items():
                yield from _single_problems(item, field.type, (*path, key))
        else:
            yield Problem(path, "must be an object", "")
    else:
        yield from _single_problems(given, field.type, path)


def _name(path: Path) -> str:
    """Name of the field, also of an entry of a list."""
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _single_problems(given: JsonValue, kind: str, path: Path) -> Iterator[Problem]:
    if kind not in SCALARS:
        yield from _struct_problems(given, kind, path)
    elif given is None:
        return
    elif not isinstance(given, _TYPES[kind]) or (isinstance(given, bool) and kind != "bool"):
        remedy = quotes_remedy(given) if kind == "string" else ""
        yield Problem(path, f"must be {_EXPECTED[kind]}", remedy)
    elif isinstance(given, int) and kind in ("int", "IntOrString"):
        if problem := out_of_range(given, INT64 if _name(path) in _INT64_FIELDS else INT32):
            yield Problem(path, problem, "")
    elif kind == "Quantity":
        try:
            canonical_quantity(str(given))
        except ValueError as error:
            yield Problem(path, str(error), QUANTITY_HINT)
