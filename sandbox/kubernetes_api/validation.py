"""What the server refuses: names, types and rules that clients meet in practice, with the real server's wording."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.kubernetes_api.gateway_routes import route_problems
from sandbox.kubernetes_api.kinds import ROUTES, Kind
from sandbox.kubernetes_api.objects import FOREGROUND, ORPHAN, Object, labels, lookup, meta
from sandbox.kubernetes_api.selectors import label_selector
from sandbox.kubernetes_api.status import bad_request, invalid
from sandbox.kubernetes_api.virtual_service import virtual_service_problems

Problem = tuple[str, str, str]
"""(cause reason, field path, message)"""

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?")
_DNS_1035 = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', and start with a letter"
_RFC_1123 = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
_NAME_PART = "name part must consist of alphanumeric characters, '-', '_' or '.'"
_MAX_PORT = 65_535
_WORKLOADS = ("deployments", "replicasets")
_JOB_NUMBERS = (
    "activeDeadlineSeconds",
    "backoffLimit",
    "completions",
    "parallelism",
    "ttlSecondsAfterFinished",
)
_OF_64_BITS = ("activeDeadlineSeconds", "terminationGracePeriodSeconds")
_LARGEST_ANNOTATIONS = 256 * 1024
_STANDARD_FINALIZERS = (FOREGROUND, ORPHAN, "kubernetes")
_IMMUTABLE_IN_A_JOB = ("completions", "selector", "template")
_INTEGERS = (
    ("spec", "replicas"),
    ("spec", "minReadySeconds"),
    ("spec", "revisionHistoryLimit"),
    ("spec", "progressDeadlineSeconds"),
    ("spec", "terminationGracePeriodSeconds"),
    *(("spec", name) for name in _JOB_NUMBERS),
)


def _required(field: str, message: str = "Required value") -> Problem:
    return ("FieldValueRequired", field, message)


def _invalid(field: str, value: Any, why: str) -> Problem:
    shown = f'"{value}"' if isinstance(value, str) else value
    return ("FieldValueInvalid", field, f"Invalid value: {shown}: {why}")


def check_shape(kind: Kind, obj: Any) -> Object:
    """The decoded body as an object, once its outline is one.

    Raises:
        ApiError: 400 when metadata, labels, annotations or a number has a type that cannot be decoded.
    """
    if not isinstance(obj, dict):
        raise bad_request(f"the object provided is unrecognized: expected a mapping, got {type(obj).__name__}")
    for name in ("metadata", "spec", "status"):
        if obj.get(name) is not None and not isinstance(obj[name], dict):
            raise bad_request(
                f"{kind.kind} in version {kind.versions[0]!r} cannot be handled: {name} must be an object"
            )
    for name in ("labels", "annotations"):
        values = meta(obj).get(name)
        if values is not None and not (
            isinstance(values, dict) and all(isinstance(value, str) for value in values.values())
        ):
            raise bad_request(
                f"{kind.kind} cannot be handled: metadata.{name} must map strings to strings, got {values!r}"
            )
    for path in _INTEGERS:
        value = lookup(obj, *path)
        if value is not None and not kind.custom and not _is_integer(value, _bits(path[-1])):
            bits = _bits(path[-1])
            raise bad_request(f"{kind.kind} cannot be handled: {'.'.join(path)} must be an int{bits}, got {value!r}")
    data = obj.get("data")
    texts = isinstance(data, dict) and all(isinstance(value, str) for value in data.values())
    if kind.plural in ("configmaps", "secrets") and data is not None and not texts:
        raise bad_request(f"{kind.kind} cannot be handled: data must map strings to strings, got {data!r:.200}")
    return {name: value for name, value in obj.items() if value is not None}


def _bits(name: str) -> int:
    return 64 if name in _OF_64_BITS else 32


def _is_integer(value: Any, bits: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)


def validate(kind: Kind, old: Object | None, new: Object) -> None:
    """Check `new`, which is to be created (`old` None) or to replace `old`.

    Raises:
        ApiError: 422 naming every offending field.
    """
    problems = [*_metadata(kind, new), *_references(old, new), *_CHECKS.get(kind.plural, _nothing)(new)]
    if kind.plural in _WORKLOADS:
        problems += _workload(new)
        if old is not None and lookup(old, "spec", "selector") != lookup(new, "spec", "selector"):
            problems.append(_invalid("spec.selector", lookup(new, "spec", "selector"), "field is immutable"))
    elif kind.plural == "jobs" and old is not None:
        problems += _changed_for_good(old, new)
    elif kind.plural == "services" and old is not None:
        problems += _moved(old, new)
    if problems:
        raise invalid(kind, meta(new).get("name", ""), problems)


def _metadata(kind: Kind, obj: Object) -> Iterator[Problem]:
    name = meta(obj).get("name")
    if not name:
        yield _required("metadata.name", "Required value: name or generateName is required")
    elif kind.plural == "services":
        if len(name) > 63 or not _LABEL.fullmatch(name):
            yield _invalid(
                "metadata.name", name, "a DNS-1035 label must consist of lower case alphanumeric characters or '-'"
            )
    elif len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        yield _invalid(
            "metadata.name", name, "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters"
        )
    yield from _labels("metadata.labels", labels(obj))
    annotations = meta(obj).get("annotations") or {}
    for key in annotations:
        if not _qualified(key.lower()):
            yield _invalid(
                "metadata.annotations", key, "name part must consist of alphanumeric characters, '-', '_' or '.'"
            )
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _LARGEST_ANNOTATIONS:
        why = f"Too long: may not be more than {_LARGEST_ANNOTATIONS} bytes"
        yield ("FieldValueTooLong", "metadata.annotations", why)


def _qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    prefixed = not slash or (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix) is not None)
    return prefixed and len(name) <= 63 and _QUALIFIED.fullmatch(name) is not None


def _references(old: Object | None, new: Object) -> Iterator[Problem]:
    """What holds an object, and whose it is."""
    finalizers = meta(new).get("finalizers") or []
    for index, name in enumerate(finalizers):
        if name not in _STANDARD_FINALIZERS and "/" not in name:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield _invalid(f"metadata.finalizers[{index}]", name, why)
    added = [name for name in finalizers if name not in (meta(old or {}).get("finalizers") or [])]
    if old is not None and meta(old).get("deletionTimestamp") and added:
        why = "no new finalizers can be added if the object is being deleted, found new finalizers"
        yield ("FieldValueForbidden", "metadata.finalizers", f"Forbidden: {why} {added}")
    owners = meta(new).get("ownerReferences") or []
    for index, owner in enumerate(owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield _invalid(
                    f"metadata.ownerReferences[{index}].{field}", owner.get(field, ""), f"{field} must not be empty"
                )
    if sum(1 for owner in owners if owner.get("controller")) > 1:
        yield _invalid("metadata.ownerReferences", len(owners), "Only one reference can have Controller set to true")


def _labels(field: str, values: Any) -> Iterator[Problem]:
    if not isinstance(values, dict):
        yield _invalid(field, values, "must be of type object")
        return
    for key, value in values.items():
        if not _qualified(key):
            yield _invalid(field, key, _NAME_PART)
        if not isinstance(value, str) or len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            yield _invalid(field, value, "a valid label must be at most 63 alphanumeric characters, '-', '_' or '.'")


def _nothing(_: Object) -> Iterator[Problem]:
    return iter(())


def _workload(obj: Object) -> Iterator[Problem]:
    selector = lookup(obj, "spec", "selector")
    template_labels = lookup(obj, "spec", "template", "metadata", "labels") or {}
    yield from _replicas(obj)
    if not isinstance(selector, dict) or not (selector.get("matchLabels") or selector.get("matchExpressions")):
        yield _required("spec.selector")
    elif not isinstance(template_labels, dict) or not label_selector(selector)(template_labels):
        yield _invalid("spec.template.metadata.labels", template_labels, "`selector` does not match template `labels`")
    yield from _labels("spec.template.labels", template_labels)
    yield from _containers(lookup(obj, "spec", "template", "spec"), "spec.template.spec")
    yield from _seconds(obj)
    policy = lookup(obj, "spec", "template", "spec", "restartPolicy")
    if policy not in (None, "Always"):
        message = f'Unsupported value: "{policy}": supported values: "Always"'
        yield ("FieldValueNotSupported", "spec.template.spec.restartPolicy", message)


def _seconds(obj: Object) -> Iterator[Problem]:
    ready, deadline = lookup(obj, "spec", "minReadySeconds") or 0, lookup(obj, "spec", "progressDeadlineSeconds")
    if ready < 0:
        yield _invalid("spec.minReadySeconds", ready, "must be greater than or equal to 0")
    if deadline is not None and deadline <= ready:
        yield _invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _replicas(obj: Object) -> Iterator[Problem]:
    replicas = lookup(obj, "spec", "replicas")
    if replicas is None:
        return
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        why = f'Invalid value: "{_type(replicas)}": spec.replicas in body must be of type integer: "{_type(replicas)}"'
        yield ("FieldValueTypeInvalid", "spec.replicas", why)
    elif replicas < 0:
        yield _invalid("spec.replicas", replicas, "must be greater than or equal to 0")
    elif replicas >= 2**31:
        yield _invalid("spec.replicas", replicas, "should be less than or equal to 2147483647")


def _type(value: Any) -> str:
    names = {bool: "boolean", str: "string", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _containers(spec: Any, field: str) -> Iterator[Problem]:
    containers = lookup(spec, "containers")
    if not isinstance(containers, list) or not containers:
        yield _required(f"{field}.containers")
        return
    seen: set[str] = set()
    for index, container in enumerate(containers):
        where = f"{field}.containers[{index}]"
        if not isinstance(container, dict):
            yield _invalid(where, container, "must be an object")
            continue
        name = container.get("name")
        if not name:
            yield _required(f"{where}.name")
        elif name in seen:
            yield ("FieldValueDuplicate", f"{where}.name", f'Duplicate value: "{name}"')
        seen.add(str(name))
        if not container.get("image"):
            yield _required(f"{where}.image")


def _pod(obj: Object) -> Iterator[Problem]:
    yield from _containers(obj.get("spec"), "spec")


def _job(obj: Object) -> Iterator[Problem]:
    for name in _JOB_NUMBERS:
        number = lookup(obj, "spec", name)
        if number is not None and number < 0:
            yield _invalid(f"spec.{name}", number, "must be greater than or equal to 0")
    yield from _labels("spec.template.labels", lookup(obj, "spec", "template", "metadata", "labels") or {})
    yield from _containers(lookup(obj, "spec", "template", "spec"), "spec.template.spec")
    policy = lookup(obj, "spec", "template", "spec", "restartPolicy")
    if policy not in ("Never", "OnFailure"):
        message = f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
        yield ("FieldValueNotSupported", "spec.template.spec.restartPolicy", message)


def _changed_for_good(old: Object, new: Object) -> Iterator[Problem]:
    for name in _IMMUTABLE_IN_A_JOB:
        value = lookup(new, "spec", name)
        if value != lookup(old, "spec", name):
            yield _invalid(f"spec.{name}", value, "field is immutable")


def _moved(old: Object, new: Object) -> Iterator[Problem]:
    """A Service keeps its address for as long as it is of its type."""
    kept, asked = lookup(old, "spec", "clusterIP"), lookup(new, "spec", "clusterIP")
    if kept and asked and asked != kept and lookup(old, "spec", "type") == lookup(new, "spec", "type"):
        yield _invalid("spec.clusterIPs[0]", [asked], "may not change once set")


def _service(obj: Object) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield _required("spec.ports")
    if not isinstance(ports, list):
        yield _invalid("spec.ports", ports, "must be of type array")
        return
    for index, port in enumerate(ports):
        number = port.get("port") if isinstance(port, dict) else None
        if not isinstance(number, int) or not 1 <= number <= _MAX_PORT:
            yield _invalid(f"spec.ports[{index}].port", number, "must be between 1 and 65535, inclusive")
        elif len(ports) > 1 and not port.get("name"):
            yield _required(f"spec.ports[{index}].name")
    yield from _labels("spec.selector", spec.get("selector") or {})


_CHECKS: dict[str, Callable[[Object], Iterator[Problem]]] = {
    "pods": _pod,
    "jobs": _job,
    "services": _service,
    "rollouts": _replicas,
    "virtualservices": virtual_service_problems,
    **{kind.plural: route_problems for kind in ROUTES},
}
