"""What the server refuses: names, types and rules that clients meet in practice, with the real server's wording."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Object, labels, lookup, meta
from sandbox.kubernetes_api.selectors import label_selector
from sandbox.kubernetes_api.status import bad_request, invalid
from sandbox.kubernetes_api.virtual_service import virtual_service_problems

Problem = tuple[str, str, str]
"""(cause reason, field path, message)"""

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?")
_DNS_1035 = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', and start with a letter"
_RFC_1123 = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
_MAX_PORT = 65_535
_WORKLOADS = ("deployments", "replicasets")
_JOB_NUMBERS = (
    "activeDeadlineSeconds",
    "backoffLimit",
    "completions",
    "parallelism",
    "ttlSecondsAfterFinished",
)
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
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)) and not kind.custom:
            raise bad_request(f"{kind.kind} cannot be handled: {'.'.join(path)} must be an integer, got {value!r}")
    return {name: value for name, value in obj.items() if value is not None}


def validate(kind: Kind, old: Object | None, new: Object) -> None:
    """Check `new`, which is to be created (`old` None) or to replace `old`.

    Raises:
        ApiError: 422 naming every offending field.
    """
    problems = [*_metadata(kind, new), *_CHECKS.get(kind.plural, _nothing)(new)]
    if kind.plural in _WORKLOADS:
        problems += _workload(new)
        if old is not None and lookup(old, "spec", "selector") != lookup(new, "spec", "selector"):
            problems.append(_invalid("spec.selector", lookup(new, "spec", "selector"), "field is immutable"))
    elif kind.plural == "jobs" and old is not None:
        problems += _changed_for_good(old, new)
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


def _labels(field: str, values: Any) -> Iterator[Problem]:
    if not isinstance(values, dict):
        yield _invalid(field, values, "must be of type object")
        return
    for key, value in values.items():
        if not _QUALIFIED.fullmatch(key):
            yield _invalid(field, key, "name part must consist of alphanumeric characters, '-', '_' or '.'")
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


def _replicas(obj: Object) -> Iterator[Problem]:
    replicas = lookup(obj, "spec", "replicas")
    if replicas is None:
        return
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        yield _invalid("spec.replicas", replicas, "spec.replicas must be of type integer")
    elif replicas < 0:
        yield _invalid("spec.replicas", replicas, "must be greater than or equal to 0")


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
}
