"""AnalysisTemplate and ClusterAnalysisTemplate, and the analysis a Rollout asks for with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field, JsonValue

from tidegate.manifests.model import Int32, IntOrString, Items, Model, ObjectMeta, OpenModel
from tidegate.manifests.providers.compare import KEY as COMPARE
from tidegate.manifests.providers.compare import Compare
from tidegate.manifests.providers.datadog import Datadog
from tidegate.manifests.providers.job import Job
from tidegate.manifests.providers.prometheus import Prometheus
from tidegate.manifests.providers.web import Web

DEFAULT_RETENTION: Final = 10
PLUGIN: Final = "plugin"
MAX_RETENTION: Final = 100
"""Most measurements of one metric in a status: it travels in signals and from one part of a long run to the next."""


class SecretKeyRef(Model):
    """One key of a Secret in the namespace of the analysis run."""

    name: str = ""
    key: str = ""


class FieldRef(Model):
    """A field of the Rollout, as a downward-API path or as a path into its JSON."""

    field_path: str = ""


class TemplateValueFrom(Model):
    """Source of a template argument's value."""

    secret_key_ref: SecretKeyRef | None = None
    field_ref: FieldRef | None = None


class TemplateArgument(Model):
    """Argument that a template declares; without value the Rollout must supply it."""

    name: str = ""
    value: str | None = None
    value_from: TemplateValueFrom | None = None


class RolloutValueFrom(Model):
    """Source of the value of an argument that a Rollout supplies; the hash is `Stable` or `Latest`."""

    pod_template_hash_value: str | None = None
    field_ref: FieldRef | None = None


class RolloutArgument(Model):
    """Argument that a Rollout supplies to its templates."""

    name: str = ""
    value: str | None = None
    value_from: RolloutValueFrom | None = None


class TemplateRef(Model):
    """Name of a template, namespaced unless `cluster_scope`."""

    template_name: str = ""
    cluster_scope: bool = False


class DryRun(Model):
    """Metrics, by regular expression, that are measured and have no say."""

    metric_name: str = ""


class MeasurementRetention(Model):
    """Number of measurements that are kept of the metrics that a regular expression matches."""

    metric_name: str = ""
    limit: Int32 = 0

    @property
    def kept(self) -> int:
        """The limit that is in force."""
        return min(self.limit, MAX_RETENTION) if self.limit > 0 else DEFAULT_RETENTION


class RunMetadata(Model):
    """Labels and annotations for the AnalysisRun objects."""

    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class RolloutAnalysis(Model):
    """Analysis that a canary step, or the canary as a whole, asks for."""

    templates: Items[TemplateRef] = ()
    args: Items[RolloutArgument] = ()
    dry_run: Items[DryRun] = ()
    measurement_retention: Items[MeasurementRetention] = ()
    analysis_run_metadata: RunMetadata | None = None


class BackgroundAnalysis(RolloutAnalysis):
    """Analysis beside the steps, from step `starting_step` (counted from 0) or from the beginning."""

    starting_step: Int32 | None = None


class Plugins(OpenModel):
    """Settings by the name of the plugin; unknown ones are kept as they are."""

    compare: Compare | None = Field(None, alias=COMPARE)


class MetricProvider(Model):
    """The provider of a metric: exactly one of these; unknown ones are kept as they are."""

    datadog: Datadog | None = None
    prometheus: Prometheus | None = None
    kayenta: Mapping[str, JsonValue] | None = None
    web: Web | None = None
    wavefront: Mapping[str, JsonValue] | None = None
    new_relic: Mapping[str, JsonValue] | None = None
    job: Job | None = None
    cloud_watch: Mapping[str, JsonValue] | None = None
    graphite: Mapping[str, JsonValue] | None = None
    influxdb: Mapping[str, JsonValue] | None = None
    skywalking: Mapping[str, JsonValue] | None = None
    plugin: Plugins | None = None

    @property
    def compare(self) -> Compare | None:
        """Settings of a comparison."""
        return self.plugin.compare if self.plugin else None

    def names(self) -> list[str]:
        """Names of the providers that are given; `plugin` for all unknown plugins."""
        given = self.to_wire()
        plugins = given.pop(PLUGIN, None)
        if isinstance(plugins, dict):
            given |= {name if name == COMPARE else PLUGIN: None for name in plugins or (PLUGIN,)}
        return sorted(given)


class Metric(Model):
    """One metric with its conditions, in Argo's order. `interval` and `initial_delay` are Go durations.

    Every text may hold `{{args.name}}`, which is why the numbers are int-or-string.
    """

    name: str = ""
    interval: str = ""
    initial_delay: str = ""
    count: IntOrString | None = None
    success_condition: str = ""
    failure_condition: str = ""
    failure_limit: IntOrString | None = None
    inconclusive_limit: IntOrString | None = None
    consecutive_error_limit: IntOrString | None = None
    provider: MetricProvider = MetricProvider()
    consecutive_success_limit: IntOrString | None = None


class AnalysisTemplateSpec(Model):
    """Metrics with the arguments they need, and further templates to be merged in."""

    metrics: Items[Metric] = ()
    args: Items[TemplateArgument] = ()
    dry_run: Items[DryRun] = ()
    measurement_retention: Items[MeasurementRetention] = ()
    templates: Items[TemplateRef] = ()


class AnalysisTemplate(Model):
    """`AnalysisTemplate` or `ClusterAnalysisTemplate` of argoproj.io/v1alpha1."""

    api_version: str = "argoproj.io/v1alpha1"
    kind: str = "AnalysisTemplate"
    metadata: ObjectMeta = ObjectMeta()
    spec: AnalysisTemplateSpec = AnalysisTemplateSpec()
    status: Mapping[str, JsonValue] | None = None

    @property
    def cluster_scope(self) -> bool:
        """True for a ClusterAnalysisTemplate."""
        return self.kind == "ClusterAnalysisTemplate"
