"""A Rollout and the Services and VirtualServices beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue

from tidegate.manifests.documents import Loaded, Manifests
from tidegate.manifests.durations import int_or_zero, is_percentage
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.mesh import mesh_findings
from tidegate.manifests.lint.routers import router_findings
from tidegate.manifests.network import HASH_LABEL
from tidegate.manifests.pod_template.check import image_problems, template_problems
from tidegate.manifests.rollout import MAX_WEIGHT, BlueGreen, Canary, Istio, Rollout
from tidegate.manifests.validation.references import destination_rule_errors, reference_errors
from tidegate.manifests.validation.rollout import validate_rollout
from tidegate.manifests.validation.routers import gateway_api_of
from tidegate.manifests.workload import workload_findings

M = TypeVar("M", bound=BaseModel)


def rollout_findings(rollout: Loaded[Rollout]) -> Iterator[Finding]:
    """Findings on a Rollout: fields that Argo would refuse, or Kubernetes would not read."""
    if not rollout.metadata.name:
        yield rollout.finding(Severity.ERROR, "invalid", ("metadata", "name"), "a Rollout needs a name")
    yield from field_findings(rollout, validate_rollout(rollout.model), "invalid")
    yield from pod_template_findings(rollout, rollout.model.spec.template, ("spec", "template"))
    yield from workload_findings(rollout)
    canary = rollout.model.spec.strategy.canary
    if canary is not None:
        yield from _threshold_findings(rollout, canary)
        yield from _pod_count_findings(rollout, canary)


def reference_findings(rollout: Loaded[Rollout], manifests: Manifests, *, complete: bool) -> Iterator[Finding]:
    """Findings on the objects that a Rollout names, and on changes that a release makes to them.

    Its model has the pod template that it is released with.
    """
    strategy = rollout.model.spec.strategy.chosen
    if strategy is None:
        return
    istio = strategy.istio if isinstance(strategy, Canary) else None
    services = _observed(_service_names(strategy), rollout, manifests.services, complete=complete)
    located = _virtual_services(rollout, istio)
    virtual_services = _observed(located, rollout, manifests.virtual_services, complete=complete)
    routed = _observed(_routed(rollout, strategy), rollout, manifests.routed, complete=complete)
    errors = reference_errors(rollout.model, services, virtual_services, routed=routed)
    rule = istio.destination_rule if istio else None
    if rule is not None and (found := beside(rollout, manifests.destination_rules, rule.name)):
        errors += destination_rule_errors(rollout.model, found.raw)
    yield from field_findings(rollout, errors, "reference")
    yield from _selector_notes(strategy, rollout, manifests)
    yield from mesh_findings(rollout, virtual_services)
    yield from router_findings(rollout, routed)


def _threshold_findings(rollout: Loaded[Rollout], canary: Canary) -> Iterator[Finding]:
    """A replicaProgressThreshold that asks for no pod at all, or for nothing that could be counted."""
    threshold = canary.replica_progress_threshold
    if threshold is None:
        return
    path = ("spec", "strategy", "canary", "replicaProgressThreshold")
    if threshold.type not in ("Percent", "Pods"):
        message, remedy = "no such kind of threshold", "Percent or Pods"
        yield rollout.finding(Severity.ERROR, "invalid", (*path, "type"), message, value=threshold.type, remedy=remedy)
    elif threshold.value < 1 or (threshold.type == "Percent" and threshold.value > MAX_WEIGHT):
        message = "not a share of the pods" if threshold.type == "Percent" else "not a number of pods"
        remedy = "1 to 100" if threshold.type == "Percent" else "1 or more"
        yield rollout.finding(
            Severity.ERROR, "invalid", (*path, "value"), message, value=threshold.value, remedy=remedy
        )


def _pod_count_findings(rollout: Loaded[Rollout], canary: Canary) -> Iterator[Finding]:
    """A number of pods in quotes, or no number: Argo lets it pass, and counts no pods.

    Source: k8s.io/apimachinery, util/intstr, GetScaledValueFromIntOrPercent, whose error argo-rollouts leaves alone.
    """
    for name, value in (("maxSurge", canary.max_surge), ("maxUnavailable", canary.max_unavailable)):
        if isinstance(value, str) and not is_percentage(value):
            message = "counts as 0 pods, as in Argo Rollouts: text that is no percentage is an invalid value"
            number = int_or_zero(value)
            meant = f"{number} without quotes" if number > 0 else "a whole number without quotes"
            path = ("spec", "strategy", "canary", name)
            remedy = f"{meant}, or a percentage such as 25%"
            yield rollout.finding(Severity.WARNING, "no-pods", path, message, value=value, remedy=remedy)


def pod_template_findings(loaded: Loaded[Any], template: Mapping[str, JsonValue], path: Path) -> Iterator[Finding]:
    """Findings on fields of a pod template at `path` that Kubernetes would not read."""
    for problem in (*template_problems(template, path), *image_problems(template, path)):
        severity = Severity.ERROR if problem.certain else Severity.WARNING
        value = None if isinstance(found := loaded.document.value(problem.path), dict | list) else found
        yield loaded.finding(
            severity, "pod-template", problem.path, problem.message, value=value, remedy=problem.remedy
        )


def field_findings(loaded: Loaded[Any], errors: Iterable[FieldError], code: str) -> Iterator[Finding]:
    """Findings for errors in Argo's words, at the true field."""
    for error in errors:
        value = loaded.document.value(error.path)
        shown = None if isinstance(value, dict | list) else value
        yield loaded.finding(Severity.ERROR, code, error.path, error.message, value=shown, remedy=error.remedy)


def _service_names(strategy: Canary | BlueGreen) -> dict[str, tuple[str, str | None]]:
    return {name: (name, None) for name in strategy.services().values()}


def _routed(rollout: Loaded[Rollout], strategy: Canary | BlueGreen) -> dict[str, tuple[str, str | None]]:
    """Ingresses and routes of the Gateway API that a Rollout names, by `Kind/name.namespace`."""
    if not isinstance(strategy, Canary):
        return {}
    own, gateway_api = rollout.metadata.namespace, gateway_api_of(strategy)
    named = [("Ingress", name, own) for name in (strategy.nginx.all_ingresses() if strategy.nginx else ())]
    if gateway_api is not None:
        named += [(each.kind, each.name, gateway_api.namespace or own) for each in gateway_api.named()]
    return {f"{kind}/{name}.{namespace}": (name, namespace) for kind, name, namespace in named}


def _virtual_services(rollout: Loaded[Rollout], istio: Istio | None) -> dict[str, tuple[str, str | None]]:
    located = [each.located(rollout.metadata.namespace) for each in (istio.all_virtual_services() if istio else ())]
    return {f"{name}.{namespace}": (name, namespace) for name, namespace in located}


def _observed(
    wanted: Mapping[str, tuple[str, str | None]],
    rollout: Loaded[Rollout],
    found: Sequence[Loaded[M]],
    *,
    complete: bool,
) -> dict[str, Mapping[str, Any] | None]:
    """Objects beside the Rollout under the keys they were asked for; what is absent counts only in a complete set."""
    observed: dict[str, Mapping[str, Any] | None] = {}
    for key, (name, namespace) in wanted.items():
        kind = key.partition("/")[0] if "/" in key else ""
        loaded = beside(rollout, [each for each in found if kind in ("", each.kind)], name, namespace)
        if loaded is not None or complete:
            observed[key] = None if loaded is None else loaded.raw
    return observed


def beside(
    rollout: Loaded[Rollout], found: Sequence[Loaded[M]], name: str, namespace: str | None = None
) -> Loaded[M] | None:
    """The object of that name in the Rollout's namespace, an object without namespace being anywhere."""
    wanted = rollout.metadata.namespace if namespace is None else namespace
    return next(
        (
            loaded
            for loaded in found
            if loaded.metadata.name == name and (wanted == loaded.metadata.namespace or not loaded.metadata.namespace)
        ),
        None,
    )


def _selector_notes(strategy: Canary | BlueGreen, rollout: Loaded[Rollout], manifests: Manifests) -> Iterator[Finding]:
    for name in _service_names(strategy):
        service = beside(rollout, manifests.services, name)
        if service is not None and HASH_LABEL not in service.model.spec.selector:
            message = f"the selector does not distinguish versions; a release adds {HASH_LABEL} to it"
            remedy = "nothing to do; let a GitOps tool ignore that label"
            yield service.finding(Severity.NOTE, "service-selector", ("spec", "selector"), message, remedy=remedy)
