"""A metric that compares the canary with stable: settings, evidence before full traffic, versions that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tidegate.manifests.analysis_template import PLUGIN, AnalysisTemplate, Metric, RolloutAnalysis
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.over_http import Problem, access_findings, is_open, is_url, located
from tidegate.manifests.providers.compare import KEY, LATENCY_EVENTS, Compare
from tidegate.manifests.rollout import AnalysisLocation, Canary, Rollout
from tidegate.manifests.templates import TemplateKey, used_templates
from tidegate.manifests.validation.metrics import ENDS_BY_ITSELF, without_say
from tidegate.manifests.version_tag import VERSION_LABEL, VERSION_VARIABLE, is_hash_tag, version_of

CODE: Final = "compare"
_STEPS: Final = ("spec", "strategy", "canary", "steps")
_MESH: Final = "istio_"

Templates = Mapping[TemplateKey, Loaded[AnalysisTemplate]]


def compare_findings(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    """Errors and surprises of a comparison at `path`; nothing for another provider's metric."""
    settings = metric.provider.compare
    if settings is None:
        return
    for field in without_say(metric):
        at = (*path, field)
        value, remedy = template.document.value(at), f"leave {field} out"
        yield template.finding(Severity.ERROR, CODE, at, ENDS_BY_ITSELF, value=value, remedy=remedy)
    at = (*path, "provider", PLUGIN, KEY)
    yield from located(template, at, CODE, Severity.ERROR, settings.problems())
    yield from located(template, at, "version-tag", Severity.WARNING, _hash_tag(settings))
    if settings.prometheus is not None:
        source = (*at, "prometheus")
        address = settings.prometheus.address
        if address and not is_open(address) and not is_url(address):
            remedy = "such as http://prometheus.monitoring:9090"
            message = "prometheus address is not is url format"
            yield template.finding(Severity.ERROR, CODE, (*source, "address"), message, value=address, remedy=remedy)
        yield from access_findings(template, source, CODE, settings.prometheus.authentication, ())
        yield from located(template, at, "own-counters", Severity.NOTE, _own_counters(settings.prometheus.requests))


def comparison_findings(
    rollout: Loaded[Rollout], templates: Templates, pods: Mapping[str, Mapping[str, str]]
) -> Iterator[Finding]:
    """Warnings about the comparisons that a Rollout asks for.

    `pods` are the labels of the pods of each ReplicaSet of the Rollout, by its name, as far as they are known.
    """
    strategy = rollout.model.spec.strategy.chosen
    if strategy is None:
        return
    compared = {step: found for step, each in strategy.analyses() if (found := comparisons_of(each, templates))}
    if not compared:
        return
    if isinstance(strategy, Canary):
        yield from _unproven(rollout, strategy, set(compared))
    if any(_reads_version(each) for found in compared.values() for each in found):
        yield from _same_version(rollout, pods)


def _hash_tag(settings: Compare) -> Iterator[Problem]:
    datadog = settings.datadog
    latencies = [event.name for event in settings.wanted_events() if event.name in LATENCY_EVENTS]
    if datadog is not None and is_hash_tag(datadog.version_tag) and latencies:
        yield (
            ("datadog", "versionTag"),
            f"Datadog's latency distributions have no tag of pods: {', '.join(latencies)} get no data by this tag",
            f"leave versionTag out and set the label {VERSION_LABEL} in the pod template, or name events without them",
        )


def _own_counters(requests: str) -> Iterator[Problem]:
    if requests and not is_open(requests) and not requests.startswith(_MESH):
        yield (
            ("prometheus", "requests"),
            "a service's own counters do not see requests that never reach a pod: these show in the canary's share "
            "of the traffic only",
            'istio_requests_total with reporter="source" sees them',
        )


def comparisons_of(analysis: RolloutAnalysis, templates: Templates) -> list[Compare]:
    """The comparisons that an analysis asks for, as far as its templates are at hand."""
    found = used_templates(analysis.templates, {key: each.model for key, each in templates.items()}).found
    metrics = [metric for key in found for metric in templates[key].model.spec.metrics]
    return [metric.provider.compare for metric in metrics if metric.provider.compare is not None]


def _unproven(rollout: Loaded[Rollout], canary: Canary, compared: set[AnalysisLocation]) -> Iterator[Finding]:
    """Full traffic for a version that was compared at smaller weights only, or before any."""
    if None in compared:
        return
    partial = [index for index, step in enumerate(canary.steps) if 0 < (step.set_weight or 0) < canary.max_weight()]
    last = partial[-1] if partial else 0
    end = next(
        (i for i, step in enumerate(canary.steps) if i > last and step.set_weight is not None), len(canary.steps)
    )
    if any(isinstance(step, int) and last <= step < end for step in compared):
        return
    weight = canary.steps[last].set_weight if partial else 0
    message = (
        f"there is no comparison at the last weight before full traffic ({weight} %, step {last}): what it says "
        "of smaller weights is no proof for 100 %"
    )
    remedy = f"name its template in the background analysis, or in an analysis step after step {last}"
    yield rollout.finding(Severity.WARNING, "unproven-full-traffic", (*_STEPS, last), message, remedy=remedy)


def _reads_version(settings: Compare) -> bool:
    """True when the pod templates have to say which version they are."""
    versions, datadog = settings.versions, settings.datadog
    return datadog is not None and not is_hash_tag(datadog.version_tag) and not (versions.canary or versions.stable)


def _same_version(rollout: Loaded[Rollout], pods: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """A pod template that does not say its version, or says that of all pods that are there."""
    if rollout.model.spec.leaves_template_open:
        return
    own = version_of(rollout.model.spec.template)
    remedy = f"give each version its own value of the label {VERSION_LABEL}, or write versions"
    at: Path = ("spec", "template", "metadata", "labels")
    if not own:
        message = (
            f"the pod template says no version, neither by the label {VERSION_LABEL} nor by {VERSION_VARIABLE}: the "
            "comparison cannot tell it from stable and stays Inconclusive"
        )
        yield rollout.finding(Severity.WARNING, "version-tag", at, message, remedy=remedy)
    elif pods and {version_of({"metadata": {"labels": labels}}) for labels in pods.values()} == {own}:
        message = (
            "all pods of the Rollout have this version already: a comparison cannot tell the versions apart and stays "
            "Inconclusive"
        )
        yield rollout.finding(Severity.WARNING, "version-tag", at, message, value=own, remedy=remedy)
