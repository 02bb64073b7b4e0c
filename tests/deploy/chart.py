"""The chart's templates, written from the overlays: `python -m tests.deploy.chart`.

An overlay is the same objects with other parts. Each part that only some overlays have stands under the value that
chooses it, and each address is replaced by its value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.deploy.manifests import DEPLOY, Object, render

CHART: Final = DEPLOY / "helm" / "tidegate"
TEMPLATES: Final = CHART / "templates"
OVERLAYS: Final = DEPLOY / "kustomize" / "overlays"
BASE: Final = "single-cluster"
# Overlay -> the value under which its parts stand.
VARIANTS: Final = {
    "single-cluster-encrypted": "$.Values.encryption.enabled",
    "single-cluster-injected": "$.Values.codec.injector",
    "single-cluster-without-vault": "not $.Values.vault.enabled",
    "single-cluster-beside-argo": "$.Values.besideArgo.enabled",
    "single-cluster-web": "$.Values.page.enabled",
}
ELSEWHERE: Final = "$.Values.temporal.cidr"  # of the overlay for a cluster without Temporal
PARTS: Final = {"release-plane": "$.Values.releasePlane.enabled", "per-cluster-worker": "$.Values.cluster.enabled"}
# In texts, the longer first.
VALUES: Final = (
    ("registry.internal/platform/tidegate:0.1.0", '{{ include "tidegate.image" $ }}'),
    ("https://git.internal/platform/tidegate/blob/main/docs/runbooks", "{{ $.Values.runbooks }}"),
    ("https://login.internal/tidegate/discovery/v2.0/keys", "{{ $.Values.identity.jwksUri }}"),
    (
        "https://temporal.internal/namespaces/rollouts",
        "{{ $.Values.temporal.ui }}/namespaces/{{ $.Values.temporal.namespace }}",
    ),
    ("temporal-frontend.temporal.svc:7233", "{{ $.Values.temporal.address }}"),
    ("system:serviceaccount:tidegate:", "system:serviceaccount:{{ $.Release.Namespace }}:"),
    ("http://egress-proxy.egress-proxy.svc:3128", "{{ $.Values.egressProxy }}"),
    ("https://login.internal/tidegate/v2.0", "{{ $.Values.identity.issuer }}"),
    ("temporal-frontend.temporal.svc", "{{ $.Values.temporal.serverName }}"),
    (".svc,vault.internal", ".svc,{{ $.Values.vault.host }}"),
    ("https://vault.internal:8200", "{{ $.Values.vault.address }}"),
    ("https://releases.internal", "{{ $.Values.page.origin }}"),
    ("https://temporal.internal", "{{ $.Values.temporal.ui }}"),
    ("https://git.internal/", "{{ $.Values.git.repositories }}"),
    ("10.20.0.20/32", "{{ $.Values.temporal.cidr }}"),
    ("10.20.0.10/32", "{{ $.Values.vault.cidr }}"),
    ("10.10.0.0/28", "{{ $.Values.apiServer.cidr }}"),
)
# Where the text alone does not say which value it is: the key, and the text.
OF_KEYS: Final = {
    ("temporalNamespace", "rollouts"): "{{ $.Values.temporal.namespace }}",
    ("TEMPORAL_NAMESPACE", "rollouts"): "{{ $.Values.temporal.namespace }}",
    ("TIDEGATE_CLUSTER", "default"): "{{ $.Values.cluster.name }}",
    ("TIDEGATE_WATCHER__NAMESPACES", "payments"): '{{ join "," $.Values.teams }}',
    ("namespace", "tidegate"): "{{ $.Release.Namespace }}",
    ("namespace", "payments"): "{{ . }}",
    ("namespace", "argo-rollouts"): "{{ $.Values.besideArgo.namespace }}",
    ("TIDEGATE_KUBERNETES__INSTANCE_ID", "tidegate"): "{{ $.Values.besideArgo.instanceId }}",
    ("TIDEGATE_WATCHER__ARGO_NAMESPACES", "argo-rollouts"): "{{ $.Values.besideArgo.namespace }}",
}
UNUSUAL: Final = re.compile(r"[^-\w./]")
HASHED: Final = re.compile(r"^(tidegate-(?:temporal|cluster))-[0-9a-z]{10}$")


@dataclass(frozen=True)
class When:
    """A part that is there under a condition of Go's templates."""

    condition: str
    part: Any


@dataclass(frozen=True)
class Either:
    """Values by their condition, and the one without any."""

    by: Mapping[str, Any]
    other: Any


def merged(base: Any, variants: Mapping[str, Any]) -> Any:
    """One tree of a value and what it is under each condition."""
    others = {condition: each for condition, each in variants.items() if each != base}
    if not others:
        return base
    if isinstance(base, dict) and all(isinstance(each, dict) for each in others.values()):
        return _merged_maps(base, others)
    if isinstance(base, list) and all(isinstance(each, list) for each in others.values()):
        return _merged_lists(base, others)
    return Either(others, base)


def _merged_maps(base: Object, others: Mapping[str, Object]) -> Object:
    found: dict[str, Any] = {}
    for key, value in base.items():
        part = merged(value, {condition: each[key] for condition, each in others.items() if key in each})
        for condition in (condition for condition, each in others.items() if key not in each):
            part = When(_not(condition), part)
        found[key] = part
    for condition, each in others.items():
        found |= {key: When(condition, value) for key, value in each.items() if key not in base}
    return found


def _merged_lists(base: Sequence[Any], others: Mapping[str, Sequence[Any]]) -> list[Any]:
    found: list[Any] = []
    for item in base:
        like = {condition: _alike(item, each) for condition, each in others.items()}
        part = merged(item, {condition: each for condition, each in like.items() if each is not None})
        for condition in (condition for condition, each in like.items() if each is None):
            part = When(_not(condition), part)
        found.append(part)
    for condition, each in others.items():
        found += [When(condition, item) for item in each if _alike(item, base) is None]
    return found


def _alike(item: Any, items: Sequence[Any]) -> Any:
    """The item that is the same one: by its name, and without one by all of it."""
    if isinstance(item, dict) and "name" in item:
        return next((each for each in items if isinstance(each, dict) and each.get("name") == item["name"]), None)
    return item if item in items else None


def _not(condition: str) -> str:
    return condition.removeprefix("not ") if condition.startswith("not ") else f"not {condition}"


# ------------------------------------------------------------------------------------------------------------- as text


def lines(value: Any, indent: str = "", key: str = "") -> Iterator[str]:
    """The lines of a map or a list."""
    entries = value.items() if isinstance(value, dict) else (("", item) for item in value)
    for name, part in entries:
        conditions = []
        while isinstance(part, When):
            conditions.append(part.condition)
            part = part.part
        yield from (f"{{{{- if {condition} }}}}" for condition in conditions)
        yield from _entry(name, part, indent, key) if isinstance(value, dict) else _item(part, indent, key)
        yield from ("{{- end }}" for _ in conditions)


def _entry(name: str, part: Any, indent: str, above: str) -> Iterator[str]:
    quoted = json.dumps(name) if UNUSUAL.search(name) else name
    label = f"{indent}{quoted}:"
    # The value of a variable stands beside its name.
    key = above if name == "value" else name
    if isinstance(part, Either):
        conditions = list(part.by)
        for number, condition in enumerate(conditions):
            yield f"{{{{- {'else if' if number else 'if'} {condition} }}}}"
            yield from _entry(name, part.by[condition], indent, above)
        yield "{{- else }}"
        yield from _entry(name, part.other, indent, above)
        yield "{{- end }}"
    elif isinstance(part, dict | list) and part:
        yield label
        yield from lines(part, f"{indent}  ", key)
    elif isinstance(part, Raw):
        yield f"{label} |"
        yield from (f"{indent}  {line}" if number == 0 else line for number, line in enumerate(part.split("\n")))
    elif isinstance(part, str) and "\n" in part:
        yield f"{label} |{'' if part.endswith(chr(10)) else '-'}"
        yield from (f"{indent}  {_text(line)}".rstrip() for line in part.rstrip("\n").split("\n"))
    else:
        yield f"{label} {scalar(part, key)}"


def _item(part: Any, indent: str, key: str) -> Iterator[str]:
    if isinstance(part, dict):
        own = list(lines(part, f"{indent}  ", part.get("name", "") if isinstance(part.get("name"), str) else key))
        assert own[0].startswith(indent), f"an item begins with a condition: {own[0]}"
        yield f"{indent}- {own[0][len(indent) + 2 :]}"
        yield from own[1:]
    else:
        yield f"{indent}- {scalar(part, key)}"


def scalar(value: Any, key: str = "") -> str:
    """A value on one line, with what stands for addresses in it."""
    if not isinstance(value, str):
        return json.dumps(value)
    text = OF_KEYS.get((key, value)) or _text(value)
    if text == value:
        return json.dumps(value, ensure_ascii=False)
    return f"'{text}'" if '"' in text else f'"{text}"'


def _text(value: str) -> str:
    """A text in which braces are literal and addresses are values."""
    text = value.replace("{{", '{{ "{{" }}')
    if hashed := HASHED.match(text):
        return f'{hashed[1]}-{{{{ include "tidegate.configuration" $ }}}}'
    for literal, expression in VALUES:
        text = text.replace(literal, expression)
    return text


# ------------------------------------------------------------------------------------------------------------- objects


def identity(found: Object) -> tuple[str, str, str]:
    """Kind, namespace and name, without what a generator added to the name."""
    metadata = found["metadata"]
    hashed = HASHED.match(metadata["name"])
    return found["kind"], metadata.get("namespace", ""), hashed[1] if hashed else metadata["name"]


def overlay(name: str) -> dict[tuple[str, str, str], Object]:
    """Objects of an overlay by their identity."""
    return {identity(each): each for each in render(OVERLAYS / name)}


def tree(found: Object, variants: Mapping[str, Mapping[tuple[str, str, str], Object]]) -> tuple[list[str], Any]:
    """Conditions of a whole object, and its tree."""
    own = identity(found)
    there = {condition: objects[own] for condition, objects in variants.items() if own in objects}
    conditions = [_not(condition) for condition in variants if condition not in there]
    return conditions, merged(found, there)


def files() -> dict[str, str]:
    """The templates by their names."""
    base = overlay(BASE)
    variants = {condition: overlay(name) for name, condition in VARIANTS.items()}
    parts = {condition: overlay(name) for name, condition in PARTS.items()}
    temporal = ("NetworkPolicy", "tidegate", "temporal")
    elsewhere = overlay("per-cluster-worker")[temporal]
    written: dict[str, list[str]] = {}
    for own, found in base.items():
        held = [condition for condition, objects in parts.items() if own in objects]
        conditions, merged_tree = tree(found, variants)
        if own == temporal:
            merged_tree = merged(found, {ELSEWHERE: elsewhere})
        if own[0] == "Namespace":
            conditions.append("$.Values.namespace.create")
        conditions += held if len(held) == 1 else []
        written.setdefault(_file(own, found), []).append(document(own, merged_tree, conditions))
    for condition, objects in variants.items():
        for own, found in objects.items():
            if own not in base:
                written.setdefault(_file(own, found), []).append(document(own, found, [condition]))
    return {name: f"{HEAD}{''.join(texts)}" for name, texts in sorted(written.items())}


HEAD: Final = "{{- /* Written by `python -m tests.deploy.chart` from deploy/kustomize. */ -}}\n"


def document(own: tuple[str, str, str], found: Any, conditions: Sequence[str]) -> str:
    """One object as a template."""
    body = list(lines(_with_settings(own, found)))
    body = ["{{- range $.Values.teams }}", "---", *body, "{{- end }}"] if own[1] == "payments" else ["---", *body]
    for condition in conditions:
        body = [f"{{{{- if {condition} }}}}", *body, "{{- end }}"]
    return "\n".join(body) + "\n"


def _with_settings(own: tuple[str, str, str], found: Any) -> Any:
    """The object, with its data from values where they are more than one address."""
    if own[:1] != ("ConfigMap",):
        return found
    if own[2] == "tidegate-callers":
        return {**found, "data": {"callers.yaml": Raw("callers:\n{{- toYaml $.Values.callers | nindent 4 }}")}}
    if own[2] == "tidegate-dashboard":
        return {**found, "data": {"tidegate.json": Raw('{{- $.Files.Get "files/dashboard.json" | nindent 4 }}')}}
    return found


class Raw(str):
    """Lines of a template, to be written as they are."""


def _file(own: tuple[str, str, str], found: Object) -> str:
    kind = own[0]
    component = found["metadata"].get("labels", {}).get("app.kubernetes.io/component")
    if own[1] == "payments":
        return "teams.yaml"
    if component:
        return f"{component}.yaml"
    return {
        "NetworkPolicy": "network-policies.yaml",
        "ConfigMap": "configuration.yaml",
        "Namespace": "namespace.yaml",
        "ValidatingAdmissionPolicy": "policies.yaml",
        "ValidatingAdmissionPolicyBinding": "policies.yaml",
    }.get(kind, "others.yaml")


def main() -> None:
    """Write the templates."""
    for file in TEMPLATES.glob("*.yaml"):
        file.unlink()
    for name, text in files().items():
        (TEMPLATES / name).write_text(text)


if __name__ == "__main__":
    main()
