"""Blue-green strategies that do not do what they seem to say, although every field of them is valid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tidegate.manifests.analysis_template import AnalysisTemplate
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.compare import comparisons_of
from tidegate.manifests.providers.compare import ERRORS
from tidegate.manifests.rollout import BlueGreen, Rollout
from tidegate.manifests.templates import TemplateKey

CODE: Final = "blue-green"
_BLUE_GREEN: Path = ("spec", "strategy", "blueGreen")
_NUMBERS: Final = (
    "previewReplicaCount",
    "autoPromotionSeconds",
    "scaleDownDelaySeconds",
    "scaleDownDelayRevisionLimit",
    "abortScaleDownDelaySeconds",
)

Templates = Mapping[TemplateKey, Loaded[AnalysisTemplate]]


def blue_green_findings(rollout: Loaded[Rollout], templates: Templates) -> Iterator[Finding]:
    """Errors and surprises of a blue-green strategy; nothing for another one."""
    strategy = rollout.model.spec.strategy.chosen
    if not isinstance(strategy, BlueGreen):
        return
    if not strategy.active_service:
        message = "without it no version ever gets the traffic"
        remedy = "name the Service that clients use"
        yield rollout.finding(Severity.ERROR, "invalid", (*_BLUE_GREEN, "activeService"), message, remedy=remedy)
    yield from _numbers(rollout)
    yield from _endless(rollout, strategy)
    yield from _unused(rollout, strategy)
    yield from _nothing_to_compare(rollout, strategy, templates)


def _numbers(rollout: Loaded[Rollout]) -> Iterator[Finding]:
    for field in _NUMBERS:
        value = rollout.document.value((*_BLUE_GREEN, field))
        if isinstance(value, int) and value < 0:
            message = "a number below 0 counts as 0"
            yield rollout.finding(
                Severity.WARNING, CODE, (*_BLUE_GREEN, field), message, value=value, remedy="0 or more"
            )


def _endless(rollout: Loaded[Rollout], strategy: BlueGreen) -> Iterator[Finding]:
    """Delays that are no delays: with 0, pods stay, as in Argo."""
    remedies = {
        "scaleDownDelaySeconds": (
            strategy.scale_down_delay_seconds,
            "scaleDownDelayRevisionLimit: 0 lets them go at once",
        ),
        "abortScaleDownDelaySeconds": (strategy.abort_scale_down_delay_seconds, "1 lets them go after a second"),
    }
    for field, (seconds, remedy) in remedies.items():
        if seconds == 0:
            message = "with 0 these pods are never scaled down, as in Argo Rollouts"
            yield rollout.finding(Severity.WARNING, CODE, (*_BLUE_GREEN, field), message, value=0, remedy=remedy)


def _unused(rollout: Loaded[Rollout], strategy: BlueGreen) -> Iterator[Finding]:
    if strategy.waits_for_operator and strategy.auto_promotion_seconds:
        message = "autoPromotionEnabled is false: only an operator promotes, as in Argo Rollouts"
        yield rollout.finding(
            Severity.WARNING,
            CODE,
            (*_BLUE_GREEN, "autoPromotionSeconds"),
            message,
            value=strategy.auto_promotion_seconds,
            remedy="leave one of the two out",
        )
    if strategy.max_unavailable is not None:
        message = "it changes nothing, as in Argo Rollouts: all pods are there before the Service is switched"
        yield rollout.finding(
            Severity.WARNING, CODE, (*_BLUE_GREEN, "maxUnavailable"), message, value=strategy.max_unavailable
        )


def _nothing_to_compare(rollout: Loaded[Rollout], strategy: BlueGreen, templates: Templates) -> Iterator[Finding]:
    """Comparisons without anything to look at: both versions never share the traffic."""
    before, after = strategy.pre_promotion_analysis, strategy.post_promotion_analysis
    if before is not None and comparisons_of(before, templates):
        message = (
            "before the switch the new version has no traffic that could be compared: the analysis ends Inconclusive, "
            "and an operator has to decide"
        )
        remedy = "use metrics with thresholds here, and compare in postPromotionAnalysis"
        yield _uncompared(rollout, "prePromotionAnalysis", message, remedy)
    compared = comparisons_of(after, templates) if after is not None else []
    if not all(any(event.name == ERRORS for event in each.wanted_events()) for each in compared):
        message = (
            "after the switch a comparison holds errors alone against those of the hour before, and one without the "
            "event errors is left out"
        )
        remedy = "name the event errors, or use metrics with thresholds"
        yield _uncompared(rollout, "postPromotionAnalysis", message, remedy)


def _uncompared(rollout: Loaded[Rollout], field: str, message: str, remedy: str) -> Finding:
    path: Path = (*_BLUE_GREEN, field, "templates")
    return rollout.finding(Severity.WARNING, "nothing-to-compare", path, message, remedy=remedy)
