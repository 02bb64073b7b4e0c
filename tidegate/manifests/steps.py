"""Canary steps: the entries of `spec.strategy.canary.steps`, and their one-line form.

The order of the fields is Argo's, as the hash of the steps depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from tidegate.manifests.analysis_template import DryRun, RolloutAnalysis, RolloutArgument, RunMetadata, TemplateRef
from tidegate.manifests.durations import pause_seconds
from tidegate.manifests.model import Int32, IntOrString, Items, Model
from tidegate.manifests.selector import LabelSelector


class PauseStep(Model):
    """Wait for `duration`, or without one for an operator."""

    duration: IntOrString | None = None

    def seconds(self) -> int | None:
        """Whole seconds to wait; None until an operator ends it; -1 for an unreadable duration."""
        return None if self.duration is None else pause_seconds(self.duration)


class PodTemplateMetadata(Model):
    """Labels and annotations that are added to pods."""

    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class ExperimentService(Model):
    """Service in front of the pods of an experiment; generated name when empty."""

    name: str = ""


class ExperimentTemplate(Model):
    """ReplicaSet of an experiment, made from the `stable` or the `canary` pod template."""

    name: str = ""
    spec_ref: str = ""
    replicas: Int32 | None = None
    metadata: PodTemplateMetadata = PodTemplateMetadata()
    selector: LabelSelector | None = None
    weight: int | None = None
    service: ExperimentService | None = None


class ExperimentAnalysis(Model):
    """Analysis of an experiment."""

    name: str = ""
    template_name: str = ""
    cluster_scope: bool = False
    args: Items[RolloutArgument] = ()
    required_for_completion: bool = False

    def reference(self) -> TemplateRef:
        """The template that it names."""
        return TemplateRef.model_validate({"templateName": self.template_name, "clusterScope": self.cluster_scope})


class ExperimentStep(Model):
    """ReplicaSets side by side for `duration` (a Go duration) with analyses of them."""

    templates: Items[ExperimentTemplate] = ()
    duration: str = ""
    analyses: Items[ExperimentAnalysis] = ()
    dry_run: Items[DryRun] = ()
    analysis_run_metadata: RunMetadata | None = None

    def compared(self) -> tuple[ExperimentTemplate, ExperimentTemplate] | None:
        """The templates of stable and of the canary that a comparison is about, None where there are none.

        There is one of each, and both get the same share of the traffic: only then it is a random one.
        """
        stable, canary = ([each for each in self.templates if each.spec_ref == ref] for ref in ("stable", "canary"))
        if len(stable) != 1 or len(canary) != 1 or not stable[0].weight or stable[0].weight != canary[0].weight:
            return None
        return stable[0], canary[0]


class SetCanaryScale(Model):
    """Size of the canary apart from its weight: percent of the replicas, a number, or the weight again."""

    weight: int | None = None
    replicas: Int32 | None = None
    match_traffic_weight: bool = False


class StringMatch(Model):
    """Exactly one of the three."""

    exact: str = ""
    prefix: str = ""
    regex: str = ""

    def given(self) -> list[str]:
        """Names of the fields that are not empty."""
        return [name for name in ("exact", "prefix", "regex") if getattr(self, name)]


class HeaderMatch(Model):
    """A request header and what it must be."""

    header_name: str = ""
    header_value: StringMatch | None = None


class SetHeaderRoute(Model):
    """Requests with these headers go to the canary; without `match` the route is removed."""

    name: str = ""
    match: Items[HeaderMatch] = ()


class RouteMatch(Model):
    """Requests by method, path and headers."""

    method: StringMatch | None = None
    path: StringMatch | None = None
    headers: Mapping[str, StringMatch] = {}


class SetMirrorRoute(Model):
    """Copies of these requests go to the canary as well; without `match` the route is removed."""

    name: str = ""
    match: Items[RouteMatch] = ()
    percentage: int | None = None


class PluginStep(Model):
    """Step of a plugin."""

    name: str = ""
    config: JsonValue = None
    disabled: bool = False


class CanaryStep(Model):
    """One step. Exactly one of the fields is intended; validation says so."""

    set_weight: int | None = None
    pause: PauseStep | None = None
    experiment: ExperimentStep | None = None
    analysis: RolloutAnalysis | None = None
    set_canary_scale: SetCanaryScale | None = None
    set_header_route: SetHeaderRoute | None = None
    set_mirror_route: SetMirrorRoute | None = None
    plugin: PluginStep | None = None

    def kinds(self) -> list[str]:
        """Kinds of step that this entry is, in the names of the manifest."""
        return [name for name, value in self.to_wire().items() if value is not None]


def step_text(step: CanaryStep) -> str:
    """One line for a step as Argo's tools and events write it: `setWeight: 20`, `pause: 5m`, `analysis`."""
    match step:
        case CanaryStep(set_weight=int(weight)):
            return f"setWeight: {weight}"
        case CanaryStep(pause=PauseStep(duration=duration)):
            return "pause" if duration is None else f"pause: {duration}"
        case CanaryStep(set_canary_scale=SetCanaryScale() as scale):
            return f"setCanaryScale{_scale_text(scale)}"
        case CanaryStep(set_header_route=SetHeaderRoute(name=name)):
            return f"setHeaderRoute: {name}"
        case CanaryStep(set_mirror_route=SetMirrorRoute(name=name)):
            return f"setMirrorRoute: {name}"
        case CanaryStep(plugin=PluginStep(name=name)):
            return f"plugin: {name}"
    return "experiment" if step.experiment else "analysis" if step.analysis else "invalid"


def _scale_text(scale: SetCanaryScale) -> str:
    if scale.weight is not None:
        return f"{{weight: {scale.weight}}}"
    if scale.replicas is not None:
        return f"{{replicas: {scale.replicas}}}"
    return "{matchTrafficWeight: true}" if scale.match_traffic_weight else ""
