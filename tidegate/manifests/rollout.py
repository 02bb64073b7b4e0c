"""The Rollout, `argoproj.io/v1alpha1`: what should run, and how to get there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pydantic import JsonValue

from tidegate.manifests.analysis_template import BackgroundAnalysis, RolloutAnalysis, TemplateRef
from tidegate.manifests.gateway_api import PLUGIN, GatewayApi
from tidegate.manifests.model import Int32, IntOrString, Items, Model, ObjectMeta
from tidegate.manifests.selector import LabelSelector
from tidegate.manifests.steps import CanaryStep, PodTemplateMetadata

DEFAULT_REPLICAS = 1
DEFAULT_REVISION_HISTORY = 10
DEFAULT_RUN_HISTORY = 5
DEFAULT_PROGRESS_DEADLINE_SECONDS = 600
DEFAULT_SCALE_DOWN_DELAY_SECONDS = 30
DEFAULT_MAX_SURGE = "25%"
DEFAULT_MAX_UNAVAILABLE = "25%"
MAX_WEIGHT = 100


AnalysisLocation = int | str | None
"""Where a Rollout has an analysis: the index of a step, a field of blueGreen, or None for the background analysis."""


class TlsRoute(Model):
    """TLS routes of a VirtualService by port and exact set of SNI hosts."""

    port: Int32 = 0
    sni_hosts: Items[str] = ()


class TcpRoute(Model):
    """TCP routes of a VirtualService by port."""

    port: Int32 = 0


class IstioVirtualService(Model):
    """VirtualService whose weights a release sets; the name may be `name.namespace`."""

    name: str = ""
    routes: Items[str] = ()
    tls_routes: Items[TlsRoute] = ()
    tcp_routes: Items[TcpRoute] = ()

    def located(self, namespace: str) -> tuple[str, str]:
        """Name and namespace of the object, `namespace` being the Rollout's."""
        name, _, own = self.name.removesuffix(".cluster.local").rpartition(".")
        return (name, own) if name else (own, namespace)


class IstioDestinationRule(Model):
    """DestinationRule whose subsets are labelled with the hashes."""

    name: str = ""
    canary_subset_name: str = ""
    stable_subset_name: str = ""
    additional_subset_names: Items[str] = ()


class Istio(Model):
    """Istio's side of a canary: one of `virtual_service` and `virtual_services`."""

    virtual_service: IstioVirtualService | None = None
    virtual_services: Items[IstioVirtualService] | None = None
    destination_rule: IstioDestinationRule | None = None

    def all_virtual_services(self) -> tuple[IstioVirtualService, ...]:
        """The one or the several."""
        return (*((self.virtual_service,) if self.virtual_service else ()), *(self.virtual_services or ()))


class ManagedRoute(Model):
    """Route that a release may add to the VirtualService and removes again."""

    name: str = ""


class Alb(Model):
    """AWS load balancer; only read so that it can be refused by name."""

    ingress: str = ""
    ingresses: Items[str] = ()
    service_port: Int32 = 0
    root_service: str = ""
    annotation_prefix: str = ""
    stickiness_config: Mapping[str, JsonValue] | None = None


class Nginx(Model):
    """NGINX's side of a canary: exactly one of `stable_ingress` and `stable_ingresses`."""

    annotation_prefix: str = ""
    stable_ingress: str = ""
    stable_ingresses: Items[str] | None = None
    additional_ingress_annotations: Mapping[str, str] = {}
    canary_ingress_annotations: Mapping[str, str] = {}

    def all_ingresses(self) -> tuple[str, ...]:
        """Names of the stable Ingresses: the one, or the several."""
        return (*((self.stable_ingress,) if self.stable_ingress else ()), *(self.stable_ingresses or ()))


class TrafficRouting(Model):
    """Routers of the traffic. The others than Istio, NGINX and the Gateway API are read to be rejected by name."""

    istio: Istio | None = None
    nginx: Nginx | None = None
    alb: Alb | None = None
    smi: Mapping[str, JsonValue] | None = None
    ambassador: Mapping[str, JsonValue] | None = None
    app_mesh: Mapping[str, JsonValue] | None = None
    traefik: Mapping[str, JsonValue] | None = None
    managed_routes: Items[ManagedRoute] | None = None
    apisix: Mapping[str, JsonValue] | None = None
    plugins: Mapping[str, JsonValue] = {}
    max_traffic_weight: Int32 | None = None


class PreferredAntiAffinity(Model):
    """Soft anti-affinity with a weight of 1 to 100."""

    weight: Int32 = 0


class AntiAffinity(Model):
    """Keeps canary pods away from the nodes of stable ones: exactly one of the two."""

    preferred_during_scheduling_ignored_during_execution: PreferredAntiAffinity | None = None
    required_during_scheduling_ignored_during_execution: Mapping[str, JsonValue] | None = None


class PingPong(Model):
    """Two Services that swap roles; only read so that it can be refused by name."""

    ping_service: str = ""
    pong_service: str = ""


class ReplicaProgressThreshold(Model):
    """Number of the canary's pods that must be available: `Percent` or `Pods`."""

    type: str = ""
    value: Int32 = 0


def _delay(seconds: int | None) -> timedelta:
    return timedelta(seconds=DEFAULT_SCALE_DOWN_DELAY_SECONDS if seconds is None else seconds)


class Canary(Model):
    """`spec.strategy.canary`."""

    canary_service: str = ""
    stable_service: str = ""
    steps: Items[CanaryStep] = ()
    traffic_routing: TrafficRouting | None = None
    max_unavailable: IntOrString | None = None
    max_surge: IntOrString | None = None
    analysis: BackgroundAnalysis | None = None
    anti_affinity: AntiAffinity | None = None
    canary_metadata: PodTemplateMetadata | None = None
    stable_metadata: PodTemplateMetadata | None = None
    scale_down_delay_seconds: Int32 | None = None
    scale_down_delay_revision_limit: Int32 | None = None
    abort_scale_down_delay_seconds: Int32 | None = None
    dynamic_stable_scale: bool = False
    ping_pong: PingPong | None = None
    min_pods_per_replica_set: Int32 | None = None
    replica_progress_threshold: ReplicaProgressThreshold | None = None

    @property
    def istio(self) -> Istio | None:
        """The Istio part of the traffic routing, if there is one."""
        return self.traffic_routing.istio if self.traffic_routing else None

    @property
    def nginx(self) -> Nginx | None:
        """The NGINX part of the traffic routing, if there is one."""
        return self.traffic_routing.nginx if self.traffic_routing else None

    @property
    def gateway_api(self) -> GatewayApi | None:
        """The settings of the plugin for the Gateway API. Raises ValueError for one that cannot be read."""
        plugins = self.traffic_routing.plugins if self.traffic_routing else {}
        return GatewayApi.model_validate(plugins[PLUGIN] or {}) if PLUGIN in plugins else None

    def surge(self) -> int | str:
        """`maxSurge`: a number of pods, or a percentage of the replicas as text."""
        return DEFAULT_MAX_SURGE if self.max_surge is None else self.max_surge

    def unavailable(self) -> int | str:
        """`maxUnavailable`: a number of pods, or a percentage of the replicas as text."""
        return DEFAULT_MAX_UNAVAILABLE if self.max_unavailable is None else self.max_unavailable

    def max_weight(self) -> int:
        """Largest weight of a step: 100 unless the router counts in other units."""
        routing = self.traffic_routing
        return MAX_WEIGHT if routing is None or routing.max_traffic_weight is None else routing.max_traffic_weight

    def services(self) -> dict[tuple[str, ...], str]:
        """Names of the Services, by the path of the field that gives them."""
        ping_pong = self.ping_pong or PingPong()
        given = {
            ("canaryService",): self.canary_service,
            ("stableService",): self.stable_service,
            ("pingPong", "pingService"): ping_pong.ping_service,
            ("pingPong", "pongService"): ping_pong.pong_service,
        }
        return {path: name for path, name in given.items() if name}

    def scale_down_delay(self) -> timedelta:
        """Time for which the old pods stay after a promotion with traffic routing."""
        return _delay(self.scale_down_delay_seconds)

    def abort_scale_down_delay(self) -> timedelta:
        """Time for which the canary's pods stay after an abort with traffic routing."""
        return _delay(self.abort_scale_down_delay_seconds)

    def analyses(self) -> list[tuple[AnalysisLocation, RolloutAnalysis]]:
        """Analyses with the index of their step; None is the background analysis, which comes first."""
        background: list[tuple[AnalysisLocation, RolloutAnalysis]] = [(None, self.analysis)] if self.analysis else []
        return background + [(index, step.analysis) for index, step in enumerate(self.steps) if step.analysis]

    def template_refs(self) -> list[TemplateRef]:
        """The templates that any analysis names, those of experiments included."""
        named = [reference for _, analysis in self.analyses() for reference in analysis.templates]
        return named + [
            analysis.reference() for step in self.steps if step.experiment for analysis in step.experiment.analyses
        ]


class BlueGreen(Model):
    """`spec.strategy.blueGreen`. Source: argo-rollouts, BlueGreenStrategy."""

    active_service: str = ""
    preview_service: str = ""
    preview_replica_count: Int32 | None = None
    auto_promotion_enabled: bool | None = None
    auto_promotion_seconds: Int32 = 0
    max_unavailable: IntOrString | None = None
    scale_down_delay_seconds: Int32 | None = None
    scale_down_delay_revision_limit: Int32 | None = None
    abort_scale_down_delay_seconds: Int32 | None = None
    pre_promotion_analysis: RolloutAnalysis | None = None
    post_promotion_analysis: RolloutAnalysis | None = None
    anti_affinity: AntiAffinity | None = None
    active_metadata: PodTemplateMetadata | None = None
    preview_metadata: PodTemplateMetadata | None = None

    @property
    def waits_for_operator(self) -> bool:
        """True when only an operator promotes; `autoPromotionSeconds` does not count then, as in Argo."""
        return self.auto_promotion_enabled is False

    @property
    def pauses(self) -> bool:
        """True when a version waits before it gets the traffic."""
        return self.waits_for_operator or self.auto_promotion_seconds > 0

    def services(self) -> dict[tuple[str, ...], str]:
        """Names of the Services, by the path of the field that gives them."""
        given = {("activeService",): self.active_service, ("previewService",): self.preview_service}
        return {path: name for path, name in given.items() if name}

    def scale_down_delay(self) -> timedelta:
        """Time for which replaced pods stay; zero: without end, as in Argo."""
        return _delay(self.scale_down_delay_seconds)

    def abort_scale_down_delay(self) -> timedelta:
        """Time for which the pods of an aborted version stay; zero: without end, as in Argo."""
        return _delay(self.abort_scale_down_delay_seconds)

    def analyses(self) -> list[tuple[AnalysisLocation, RolloutAnalysis]]:
        """Analyses with the field that gives them, in the order in which they run."""
        given = (
            ("prePromotionAnalysis", self.pre_promotion_analysis),
            ("postPromotionAnalysis", self.post_promotion_analysis),
        )
        return [(field, analysis) for field, analysis in given if analysis is not None]

    def template_refs(self) -> list[TemplateRef]:
        """The templates that an analysis names."""
        return [reference for _, analysis in self.analyses() for reference in analysis.templates]


class Strategy(Model):
    """`spec.strategy`: one of the two."""

    canary: Canary | None = None
    blue_green: BlueGreen | None = None

    @property
    def chosen(self) -> Canary | BlueGreen | None:
        """The strategy; None where there is none. Of two, which validation refuses, it is the canary."""
        return self.canary if self.canary is not None else self.blue_green


class WorkloadRef(Model):
    """Object that the pod template and the selector are taken from."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    scale_down: str = ""


class RunHistory(Model):
    """Number of AnalysisRun objects that are kept of each outcome."""

    successful_run_history_limit: Int32 | None = None
    unsuccessful_run_history_limit: Int32 | None = None

    def successful_kept(self) -> int:
        """Number of Successful ones that are kept."""
        limit = self.successful_run_history_limit
        return DEFAULT_RUN_HISTORY if limit is None else limit

    def unsuccessful_kept(self) -> int:
        """Number of Failed, Error and Inconclusive ones that are kept, together."""
        limit = self.unsuccessful_run_history_limit
        return DEFAULT_RUN_HISTORY if limit is None else limit


class RollbackWindow(Model):
    """Number of revisions within which a rollback skips the steps."""

    revisions: Int32 = 0


class RolloutSpec(Model):
    """`spec` of a Rollout; `template` is the pod template as it was written."""

    replicas: Int32 | None = None
    selector: LabelSelector | None = None
    template: Mapping[str, JsonValue] = {}
    workload_ref: WorkloadRef | None = None
    min_ready_seconds: Int32 = 0
    strategy: Strategy = Strategy()
    revision_history_limit: Int32 | None = None
    paused: bool = False
    progress_deadline_seconds: Int32 | None = None
    progress_deadline_abort: bool = False
    restart_at: str | None = None
    analysis: RunHistory | None = None
    rollback_window: RollbackWindow | None = None

    @property
    def leaves_template_open(self) -> bool:
        """True when the pod template is a workload's that was not read."""
        return self.workload_ref is not None and not self.template

    def wanted_replicas(self) -> int:
        """Number of pods, 1 when it is not given."""
        return DEFAULT_REPLICAS if self.replicas is None else self.replicas

    def history_limit(self) -> int:
        """Number of old ReplicaSets that are kept."""
        return DEFAULT_REVISION_HISTORY if self.revision_history_limit is None else self.revision_history_limit

    def progress_deadline(self) -> timedelta:
        """Time that a release may make no progress."""
        seconds = self.progress_deadline_seconds
        return timedelta(seconds=DEFAULT_PROGRESS_DEADLINE_SECONDS if seconds is None else seconds)


class Rollout(Model):
    """A Rollout."""

    api_version: str = "argoproj.io/v1alpha1"
    kind: str = "Rollout"
    metadata: ObjectMeta = ObjectMeta()
    spec: RolloutSpec = RolloutSpec()
    status: Mapping[str, JsonValue] | None = None

    @property
    def canary(self) -> Canary:
        """The canary strategy. Raises ValueError where there is none, which validation refuses."""
        if self.spec.strategy.canary is None:
            raise ValueError(f"Rollout {self.metadata.name!r} has no spec.strategy.canary")
        return self.spec.strategy.canary

    @property
    def strategy(self) -> Canary | BlueGreen:
        """The strategy. Raises ValueError where there is none, which validation refuses."""
        if (strategy := self.spec.strategy.chosen) is None:
            raise ValueError(f"Rollout {self.metadata.name!r} has neither spec.strategy.canary nor blueGreen")
        return strategy
