"""Canary steps, each by itself and against the traffic routing that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tidegate.manifests.analysis_template import RolloutArgument
from tidegate.manifests.downward_api import path_problem
from tidegate.manifests.durations import PAUSE_HINT
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.rollout import ManagedRoute, TrafficRouting
from tidegate.manifests.steps import CanaryStep, ExperimentStep, SetHeaderRoute, SetMirrorRoute, StringMatch

_ONE_KIND = "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause"
# Several kinds in one step are refused only among these.
_EXCLUSIVE = frozenset({"setWeight", "pause", "experiment", "analysis"})
_STRING_MATCH_MISSED = "StringMatch value missed, match value must have one of the following: exact, regex, prefix"
_STRING_MATCH_SEVERAL = "StringMatch match value must have exactly one of the following: exact, regex, prefix"
_WEIGHTED_ROUTERS = ("smi", "alb", "istio")


def step_errors(step: CanaryStep, path: Path, routing: TrafficRouting | None, largest: int) -> Iterator[FieldError]:
    """Every reason for which Argo refuses a step at `path`; `largest` is the largest weight."""
    kinds = step.kinds()
    if not kinds or len(_EXCLUSIVE.intersection(kinds)) > 1:
        yield FieldError(path, _ONE_KIND, remedy=f"found: {', '.join(kinds) or 'nothing'}")
    if step.set_weight is not None and not 0 <= step.set_weight <= largest:
        yield FieldError((*path, "setWeight"), f"SetWeight needs to be between 0 and {largest}")
    if step.pause is not None and (step.pause.seconds() or 0) < 0:
        yield FieldError((*path, "pause", "duration"), "Duration needs to be greater than 0", remedy=PAUSE_HINT)
    if step.set_canary_scale is not None and routing is None:
        detail = "SetCanaryScale requires TrafficRouting to be set"
        argo_path = ("spec", "strategy", "trafficRouting")
        yield FieldError((*path, "setCanaryScale"), detail, "Required", argo_path=argo_path)
    if step.set_header_route is not None:
        yield from _header_errors(step.set_header_route, (*path, "setHeaderRoute"), routing)
    if step.set_mirror_route is not None:
        yield from _mirror_errors(step.set_mirror_route, (*path, "setMirrorRoute"), routing)
    if routing is not None:
        yield from _managed_route_errors(step, path, routing.managed_routes)
    if step.experiment is not None:
        yield from _experiment_errors(step.experiment, (*path, "experiment"), routing)
    yield from _argument_errors(step, path)


def _experiment_errors(step: ExperimentStep, path: Path, routing: TrafficRouting | None) -> Iterator[FieldError]:
    for index, template in enumerate(step.templates):
        if template.weight is None:
            continue
        at = (*path, "templates", index, "weight")
        if routing is None:
            yield FieldError(at, "Experiment template weight cannot be set unless TrafficRouting is enabled")
        elif not routing.plugins and all(getattr(routing, name) is None for name in _WEIGHTED_ROUTERS):
            detail = (
                "Experiment template weight is only available for TrafficRouting with SMI, ALB, Istio and Plugins at "
                "this time"
            )
            yield FieldError(at, detail)


def _header_errors(step: SetHeaderRoute, path: Path, routing: TrafficRouting | None) -> Iterator[FieldError]:
    if routing is None or not (routing.istio or routing.alb or routing.apisix is not None or routing.plugins):
        yield FieldError(path, "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix")
    else:
        for index, match in enumerate(step.match):
            at = (*path, "match", index)
            value = match.header_value
            if routing.alb is not None and value is not None:
                if value.given() != ["exact"]:
                    yield FieldError(at, "SetHeaderRoute match value invalid. ALB supports 'exact' value only")
            else:
                yield from _string_match_errors(value, at)


def _mirror_errors(step: SetMirrorRoute, path: Path, routing: TrafficRouting | None) -> Iterator[FieldError]:
    if routing is None or not (routing.istio or routing.plugins):
        yield FieldError(path, "SetMirrorRoute requires TrafficRouting, supports Istio and Plugins")
    for index, match in enumerate(step.match):
        # Argo looks at the method twice.
        for value in (match.method, match.path, match.method):
            if value is not None:
                yield from _string_match_errors(value, (*path, "match", index))


def _string_match_errors(value: StringMatch | None, path: Path) -> Iterator[FieldError]:
    given = value.given() if value else []
    if not given:
        yield FieldError(path, _STRING_MATCH_MISSED)
    elif len(given) > 1:
        yield FieldError(path, _STRING_MATCH_SEVERAL, remedy=f"found: {', '.join(given)}")


def _managed_route_errors(step: CanaryStep, path: Path, managed: Sequence[ManagedRoute] | None) -> Iterator[FieldError]:
    given = {"setHeaderRoute": step.set_header_route, "setMirrorRoute": step.set_mirror_route}
    routes = {field: route.name for field, route in given.items() if route is not None}
    if routes and managed is None:
        at = (*path[: path.index("steps")], "trafficRouting", "managedRoutes")
        detail = "Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'"
        yield FieldError(at, detail, "Required", f"name {', '.join(dict.fromkeys(routes.values()))} there")
        return
    known = [route.name for route in managed or ()]
    for field, name in routes.items():
        if name not in known:
            detail = "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes"
            yield FieldError((*path, field), detail, remedy=f"managed routes: {', '.join(known) or 'none'}")


def _argument_errors(step: CanaryStep, path: Path) -> Iterator[FieldError]:
    experiment: Iterable[RolloutArgument] = (
        argument for analysis in (step.experiment.analyses if step.experiment else ()) for argument in analysis.args
    )
    for argument in (*experiment, *(step.analysis.args if step.analysis else ())):
        reference = argument.value_from.field_ref if argument.value_from else None
        if reference is not None and reference.field_path.startswith("metadata") and path_problem(reference.field_path):
            yield FieldError(
                (*path, "experiment" if step.experiment else "analysis"),
                "Analyses arguments must refer to valid object metadata supported by downwardAPI",
                remedy=f"{argument.name}: metadata.name, .namespace, .uid, .labels['key'] or .annotations['key']",
                argo_path=("spec", "strategy", *path[path.index("steps") :], "analyses"),
            )
