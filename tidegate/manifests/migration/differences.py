"""Differences from Argo Rollouts that a manifest shows: the rows of docs/quirks.md, each with what it applies to.

A row that depends on what happens, and not on what a manifest says, is not here: it applies to each Rollout alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from tidegate.manifests.analysis_template import MAX_RETENTION, Metric
from tidegate.manifests.migration.subject import STEPS, MigrationSubject
from tidegate.manifests.network import HASH_LABEL
from tidegate.manifests.steps import CanaryStep

FindLocations = Callable[[MigrationSubject], Iterator[str]]


class Difference(NamedTuple):
    """Row of docs/quirks.md: its first two columns, word for word, and where in a Rollout it applies."""

    argo: str
    tidegate: str
    locations: FindLocations


def _of_metrics(applies: Callable[[Metric], bool]) -> FindLocations:
    return lambda subject: subject.metrics(applies)


def _of_steps(applies: Callable[[CanaryStep], bool]) -> FindLocations:
    return lambda subject: subject.steps(applies)


def _is_patient(metric: Metric) -> bool:
    return metric.inconclusive_limit is None and metric.provider.compare is None


def _has_gap(metric: Metric) -> bool:
    return _is_patient(metric) and bool(metric.success_condition and metric.failure_condition)


def _may_lack_data(metric: Metric) -> bool:
    conditions = metric.success_condition + metric.failure_condition
    provided = any(each in conditions for each in ("default(", "isNil(", "??"))
    return _is_patient(metric) and bool(conditions) and not provided


def _has_no_condition(metric: Metric) -> bool:
    return _is_patient(metric) and not (metric.success_condition or metric.failure_condition or metric.provider.job)


def _judges_all_series(metric: Metric) -> bool:
    conditions = metric.success_condition + metric.failure_condition
    return _is_patient(metric) and metric.provider.prometheus is not None and "all(result" in conditions


def _is_quotient(metric: Metric) -> bool:
    datadog = metric.provider.datadog
    return datadog is not None and "/" in f"{datadog.formula}{datadog.query}"


def _reads_nulls(metric: Metric) -> bool:
    return metric.provider.datadog is not None and metric.provider.datadog.version == "v1"


def _rolls_up(metric: Metric) -> bool:
    datadog = metric.provider.datadog
    return datadog is not None and any(".rollup(" in each for each in datadog.texts().values())


def _follows_redirects(metric: Metric) -> bool:
    return metric.provider.web is not None


def _runs_job(metric: Metric) -> bool:
    return metric.provider.job is not None


def _keeps_too_much(subject: MigrationSubject) -> Iterator[str]:
    for template in subject.templates:
        if any(each.limit > MAX_RETENTION for each in template.spec.measurement_retention):
            yield f"{template.kind}/{template.metadata.name}, measurementRetention"


def _hash_by_label(subject: MigrationSubject) -> Iterator[str]:
    for path, argument in subject.arguments():
        field = argument.value_from.field_ref if argument.value_from else None
        if field is not None and HASH_LABEL in field.field_path:
            yield path


def _several_virtual_services(subject: MigrationSubject) -> Iterator[str]:
    istio = subject.canary.istio
    if istio is not None and len(istio.all_virtual_services()) > 1:
        yield "spec.strategy.canary.trafficRouting.istio.virtualServices"


def _subsets(subject: MigrationSubject) -> Iterator[str]:
    istio = subject.canary.istio
    if istio is not None and istio.destination_rule is not None:
        yield "spec.strategy.canary.trafficRouting.istio.destinationRule"


def _weights(subject: MigrationSubject) -> list[tuple[int, int]]:
    return [(index, step.set_weight) for index, step in enumerate(subject.canary.steps) if step.set_weight is not None]


def _goes_down(subject: MigrationSubject) -> Iterator[str]:
    for (_, before), (index, after) in pairwise(_weights(subject)):
        if after < before:
            yield f"{STEPS}[{index}]"


def _weight_after_mirror(subject: MigrationSubject) -> Iterator[str]:
    mirrors = [index for index, step in enumerate(subject.canary.steps) if step.set_mirror_route is not None]
    if mirrors:
        yield from (f"{STEPS}[{index}]" for index, _ in _weights(subject) if index > mirrors[0])


def _route_before_pods(subject: MigrationSubject) -> Iterator[str]:
    for index, step in enumerate(subject.canary.steps):
        if step.set_weight or step.set_canary_scale is not None:
            return
        if step.set_header_route is not None or step.set_mirror_route is not None:
            yield f"{STEPS}[{index}]"


def _no_delay(subject: MigrationSubject) -> Iterator[str]:
    if subject.canary.scale_down_delay_seconds == 0:
        yield "spec.strategy.canary.scaleDownDelaySeconds"


def _dynamic(subject: MigrationSubject) -> Iterator[str]:
    if subject.canary.dynamic_stable_scale:
        yield "spec.strategy.canary.dynamicStableScale"


def _window(subject: MigrationSubject) -> Iterator[str]:
    if subject.rollout.spec.rollback_window is not None:
        yield "spec.rollbackWindow"


def _metadata(subject: MigrationSubject) -> Iterator[str]:
    for name in ("canaryMetadata", "stableMetadata"):
        if subject.canary.to_wire().get(name):
            yield f"spec.strategy.canary.{name}"


def _no_surge(subject: MigrationSubject) -> Iterator[str]:
    if subject.canary.traffic_routing is None and subject.canary.max_surge in (0, "0", "0%"):
        yield "spec.strategy.canary.maxSurge"


def _is_experiment(step: CanaryStep) -> bool:
    return step.experiment is not None


def _has_no_pods(step: CanaryStep) -> bool:
    return step.set_canary_scale is not None and step.set_canary_scale.replicas == 0


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "Without `inconclusiveLimit` the first reading between success and failure ends the analysis Inconclusive.",
        "The reading is one more look: it does not use up `count`, and after 3 x `count` readings without `count` "
        "conclusive ones the metric ends Inconclusive and the release holds for an operator. With `inconclusiveLimit`, "
        "0 included, Argo's rule holds exactly.",
        _of_metrics(_has_gap),
    ),
    Difference(
        "A reading without data makes a condition fail to evaluate: an Error, and five in a row abort.",
        "Without `inconclusiveLimit` no data is Inconclusive, unless every condition provides for it (`default(...)`, "
        "`isNil(...)`, `??`).",
        _of_metrics(_may_lack_data),
    ),
    Difference(
        "A metric without any condition is Successful even when nothing was read.",
        "The same with `inconclusiveLimit`; without it such a reading is Inconclusive.",
        _of_metrics(_has_no_condition),
    ),
    Difference(
        "`all(result, ...)` over an empty list is true, so a query without series passes.",
        "Without `inconclusiveLimit` an empty list of Prometheus is no data, unless every condition asks for "
        "`len(...)`.",
        _of_metrics(_judges_all_series),
    ),
    Difference(
        "The number of kept measurements has no upper limit.",
        "`measurementRetention` keeps at most 100 of each metric.",
        _keeps_too_much,
    ),
    Difference(
        "A JSON null in a v1 series is 0.",
        "a null is no data; read as 0 it would let missing data pass for a good reading",
        _of_metrics(_reads_nulls),
    ),
    Difference(
        "`errors / hits` is null when no error ever happened: no data.",
        "Each query is asked for by itself as well; when the denominator has data and the numerator has none, the "
        "numerator is 0 and the reason says so.",
        _of_metrics(_is_quotient),
    ),
    Difference(
        "The newest bucket of a rollup is read while it is still filling.",
        "The window ends where that bucket begins.",
        _of_metrics(_rolls_up),
    ),
    Difference(
        "Redirects are followed, with headers and tokens.",
        "They are not; the error says where they point.",
        _of_metrics(_follows_redirects),
    ),
    Difference(
        "A finished Job stays as long as its AnalysisRun.",
        "It stays for `ttlSecondsAfterFinished`: a day when the manifest does not say, and two minutes at least.",
        _of_metrics(_runs_job),
    ),
    Difference(
        "`fieldRef: metadata.labels['rollouts-pod-template-hash']` is resolved on the Rollout, which has no such "
        "label: the query is scoped to nothing.",
        "Without the label, the hash of the newest ReplicaSet.",
        _hash_by_label,
    ),
    Difference(
        "Several VirtualServices are written one by one.",
        "no VirtualService is written before all were found and understood: half a split is worse than none",
        _several_virtual_services,
    ),
    Difference(
        "A `setWeight` after a `setMirrorRoute` changes the weights of the mirror's route.",
        "the weights of the route that is mirrored follow too, not those of its mirror alone",
        _weight_after_mirror,
    ),
    Difference(
        "A subset gets the hash of a version without pods.",
        "a subset is labelled once the pods of its version are available",
        _subsets,
    ),
    Difference(
        "An Experiment object owns the ReplicaSets of a step; both stay, without pods, until the history has no "
        "room for them.",
        "There is no such object: the release owns the experiment, and its ReplicaSets and Services are deleted when "
        "it ends.",
        _of_steps(_is_experiment),
    ),
    Difference(
        "With `scaleDownDelaySeconds: 0` the old pods are never removed.",
        "without a delay the old pods go at once",
        _no_delay,
    ),
    Difference(
        "With `dynamicStableScale` a release back to the stable version is Healthy although stable has not got its "
        "pods back.",
        "on the way back to a stable version that is short of pods a release is Progressing, not Healthy",
        _dynamic,
    ),
    Difference(
        "A rollback within `rollbackWindow` skips the steps whatever became of that version.",
        "Only a version that was fully promoted once.",
        _window,
    ),
    Difference(
        "`canaryMetadata` and `stableMetadata` reach running pods in the one pass that changes the ReplicaSet; pods "
        "that it did not get to stay as they were.",
        "Pods that are still to follow are noted on the ReplicaSet, and followed up.",
        _metadata,
    ),
    Difference(
        "A header or mirror route whose step comes before the first canary pod is lost.",
        "It comes with the pods.",
        _route_before_pods,
    ),
    Difference(
        "A `setWeight` that goes down takes the pods first, then the weight.",
        "The weight goes down first, as soon as stable has the pods for its share; the canary keeps its pods until "
        "that was read back.",
        _goes_down,
    ),
    Difference(
        "Without a router, a weight of which half a pod is left over can leave the canary without any pod when "
        "`maxSurge` is 0 (10 pods, 95 %).",
        "where no surge is allowed a tie does not take the last pod from stable, nor all from the canary",
        _no_surge,
    ),
    Difference(
        "`setCanaryScale: {replicas: 0}` takes the pods and then, because there are none, the weight.",
        "The weight goes first; the last pod goes when it gets nothing any more.",
        _of_steps(_has_no_pods),
    ),
)
