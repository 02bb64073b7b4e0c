"""Canary steps, each by itself and against the traffic routing that it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tidegate.manifests.analysis_template import RolloutArgument
from tidegate.manifests.durations import PAUSE_HINT
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.rollout import TrafficRouting
from tidegate.manifests.steps import CanaryStep, ExperimentStep, SetHeaderRoute, SetMirrorRoute, StringMatch

_ONE_KIND = "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause"
# Several kinds in one step are refused only among these.
_EXCLUSIVE = frozenset({"setWeight", "pause", "experiment", "analysis"})
_STRING_MATCH_MISSED = "StringMatch value missed, match value must have one of the following: exact, regex, prefix"
_STRING_MATCH_SEVERAL = "StringMatch match value must have exactly one of the following: exact, regex, prefix"
_DOWNWARD_API = re.compile(r"metadata\.(?:name|namespace|uid|labels|annotations|(?:labels|annotations)\['[^']+'\])")
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
        yield FieldError((*path, "setCanaryScale"), "SetCanaryScale requires TrafficRouting to be set")
    if step.experiment is not None:
        yield from _experiment_errors(step.experiment, (*path, "experiment"), routing)
    if step.set_header_route is not None:
        yield from _header_errors(step.set_header_route, (*path, "setHeaderRoute"), routing)
    if step.set_mirror_route is not None:
        yield from _mirror_errors(step.set_mirror_route, (*path, "setMirrorRoute"), routing)
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
            errors = list(_string_match_errors(match.header_value, at))
            if not errors and routing.alb and match.header_value and not match.header_value.exact:
                errors = [FieldError(at, "SetHeaderRoute match value invalid. ALB supports 'exact' value only")]
            yield from errors
    yield from _managed_route_errors(step.name, path, routing)


def _mirror_errors(step: SetMirrorRoute, path: Path, routing: TrafficRouting | None) -> Iterator[FieldError]:
    if routing is None or not (routing.istio or routing.plugins):
        yield FieldError(path, "SetMirrorRoute requires TrafficRouting, supports Istio and Plugins")
    else:
        for index, match in enumerate(step.match):
            at = (*path, "match", index)
            # Argo looks at the method twice.
            for value in (match.method, match.method, match.path):
                if value is not None:
                    yield from _string_match_errors(value, at)
    yield from _managed_route_errors(step.name, path, routing)


def _string_match_errors(value: StringMatch | None, path: Path) -> Iterator[FieldError]:
    given = value.given() if value else []
    if not given:
        yield FieldError(path, _STRING_MATCH_MISSED)
    elif len(given) > 1:
        yield FieldError(path, _STRING_MATCH_SEVERAL, remedy=f"found: {', '.join(given)}")


def _managed_route_errors(name: str, path: Path, routing: TrafficRouting | None) -> Iterator[FieldError]:
    if routing is None:
        return
    at = (*path[: path.index("steps")], "trafficRouting", "managedRoutes")
    if routing.managed_routes is None:
        detail = "Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'"
        yield FieldError(at, detail, "Required")
    elif name not in (managed := [route.name for route in routing.managed_routes]):
        detail = "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes"
        yield FieldError(path, detail, remedy=f"managed routes: {', '.join(managed) or 'none'}")


def _argument_errors(step: CanaryStep, path: Path) -> Iterator[FieldError]:
    experiment: Iterable[RolloutArgument] = (
        argument for analysis in (step.experiment.analyses if step.experiment else ()) for argument in analysis.args
    )
    for argument in (*experiment, *(step.analysis.args if step.analysis else ())):
        reference = argument.value_from.field_ref if argument.value_from else None
        if reference is None or not reference.field_path.startswith("metadata"):
            continue
        if not _DOWNWARD_API.fullmatch(reference.field_path):
            yield FieldError(
                (*path, "experiment" if step.experiment else "analysis"),
                "Analyses arguments must refer to valid object metadata supported by downwardAPI",
                remedy=f"{argument.name}: metadata.name, .namespace, .uid, .labels['key'] or .annotations['key']",
                argo_path=("spec", "strategy", *path[path.index("steps") :], "analyses"),
            )
