"""The Experiment object: pod templates side by side, with analyses of them.

Source: argo-rollouts, Experiment. A weight is a field of an experiment step alone: here nothing splits traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from pydantic import JsonValue

from tidegate.manifests.analysis_template import DryRun, MeasurementRetention, RunMetadata
from tidegate.manifests.durations import parse_duration
from tidegate.manifests.model import Int32, Items, Model, ObjectMeta
from tidegate.manifests.rollout import DEFAULT_PROGRESS_DEADLINE_SECONDS
from tidegate.manifests.selector import LabelSelector
from tidegate.manifests.steps import ExperimentAnalysis, ExperimentService, ExperimentStep

DEFAULT_SCALE_DOWN_DELAY_SECONDS: Final = 30


class ExperimentPods(Model):
    """One entry of `spec.templates`: a pod template with a selector of its own, and the number of its pods."""

    name: str = ""
    replicas: Int32 | None = None
    min_ready_seconds: Int32 = 0
    selector: LabelSelector | None = None
    template: Mapping[str, JsonValue] = {}
    service: ExperimentService | None = None

    def wanted_replicas(self) -> int:
        """Number of pods, 1 when it is not given."""
        return 1 if self.replicas is None else self.replicas

    def has_ports(self) -> bool:
        """True when a container names a port: a Service without a port is none, and Argo creates none then."""
        spec = self.template.get("spec")
        containers = spec.get("containers") if isinstance(spec, dict) else None
        named = containers if isinstance(containers, list) else []
        return any(isinstance(each, dict) and each.get("ports") for each in named)


class ExperimentSpec(Model):
    """`spec` of an Experiment."""

    templates: Items[ExperimentPods] = ()
    duration: str = ""
    progress_deadline_seconds: Int32 | None = None
    terminate: bool = False
    analyses: Items[ExperimentAnalysis] = ()
    scale_down_delay_seconds: Int32 | None = None
    dry_run: Items[DryRun] = ()
    measurement_retention: Items[MeasurementRetention] = ()
    analysis_run_metadata: RunMetadata | None = None

    def progress_deadline(self) -> timedelta:
        """Time that a template may make no progress."""
        seconds = self.progress_deadline_seconds
        return timedelta(seconds=DEFAULT_PROGRESS_DEADLINE_SECONDS if seconds is None else seconds)

    def scale_down_delay(self) -> timedelta:
        """Time for which pods stay after the end; zero: they go at once."""
        seconds = self.scale_down_delay_seconds
        return timedelta(seconds=DEFAULT_SCALE_DOWN_DELAY_SECONDS if seconds is None else max(0, seconds))

    def lasts(self) -> timedelta | None:
        """Time from the availability of all templates to the end, None without `duration`. Raises ValueError."""
        return parse_duration(self.duration) if self.duration else None


class Experiment(Model):
    """An Experiment."""

    api_version: str = "argoproj.io/v1alpha1"
    kind: str = "Experiment"
    metadata: ObjectMeta = ObjectMeta()
    spec: ExperimentSpec = ExperimentSpec()
    status: Mapping[str, JsonValue] | None = None


AnyExperiment = ExperimentStep | ExperimentSpec
"""What has analyses and a duration: a step of a Rollout, or an object of its own."""
