"""`spec.workloadRef`: a Rollout whose pod template and selector are in a Deployment.

Source: argo-rollouts, rollout/templateref. Argo also takes a ReplicaSet or a PodTemplate, which are rejected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from tidegate.manifests.findings import Finding, Severity
from tidegate.manifests.rollout import Rollout, WorkloadRef

if TYPE_CHECKING:
    from tidegate.manifests.documents import Loaded

KIND: Final = "Deployment"
API_VERSION: Final = "apps/v1"
NEVER, ON_SUCCESS, PROGRESSIVELY = "never", "onsuccess", "progressively"
SCALE_DOWNS: Final = (NEVER, ON_SUCCESS, PROGRESSIVELY)


def needs_template(rollout: Mapping[str, Any]) -> bool:
    """True when a Rollout leaves its pod template to a workload; never raises."""
    spec = rollout.get("spec")
    return isinstance(spec, Mapping) and bool(spec.get("workloadRef")) and is_empty_template(spec.get("template"))


def is_empty_template(template: object) -> bool:
    """True for a pod template with neither labels nor annotations, which is Argo's criterion; never raises.

    Argo's controller writes `{metadata: {}, spec: {containers: null}}` in the place of none.
    """
    metadata = template.get("metadata") if isinstance(template, Mapping) else None
    return not (isinstance(metadata, Mapping) and (metadata.get("labels") or metadata.get("annotations")))


def reference_of(rollout: Mapping[str, Any]) -> WorkloadRef | None:
    """The reference of a Rollout, None where there is none that could be followed; never raises."""
    spec = rollout.get("spec")
    given = spec.get("workloadRef") if isinstance(spec, Mapping) else None
    if not isinstance(given, Mapping) or given.get("kind") != KIND or not given.get("name"):
        return None
    name, scale_down = str(given["name"]), str(given.get("scaleDown") or NEVER)
    return WorkloadRef.model_validate({"apiVersion": API_VERSION, "kind": KIND, "name": name, "scaleDown": scale_down})


def resolved(rollout: Mapping[str, Any], template: Mapping[str, Any], selector: Mapping[str, Any]) -> dict[str, Any]:
    """The Rollout with the pod template of its workload, and its selector where it has none of its own."""
    spec = dict(rollout.get("spec") or {})
    return {**rollout, "spec": {**spec, "template": dict(template), "selector": spec.get("selector") or dict(selector)}}


def workload_findings(rollout: Loaded[Rollout]) -> Iterator[Finding]:
    """Parts of the reference that a release does not honour."""
    reference = rollout.model.spec.workload_ref
    if reference is None:
        return
    path = ("spec", "workloadRef")
    if (reference.kind, reference.api_version) != (KIND, API_VERSION):
        message, remedy = "not supported by Tidegate: workloadRef to another kind", f"{API_VERSION} {KIND}"
        value = f"{reference.api_version} {reference.kind}"
        yield rollout.finding(Severity.ERROR, "unsupported", (*path, "kind"), message, value=value, remedy=remedy)
    if not reference.name:
        message = "no name"
        yield rollout.finding(Severity.ERROR, "invalid", (*path, "name"), message, remedy=f"name the {KIND}")
    if reference.scale_down and reference.scale_down not in SCALE_DOWNS:
        message, remedy = "no such way to scale down", ", ".join(SCALE_DOWNS)
        value = reference.scale_down
        yield rollout.finding(Severity.ERROR, "invalid", (*path, "scaleDown"), message, value=value, remedy=remedy)
