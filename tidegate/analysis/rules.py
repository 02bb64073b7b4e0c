"""The spec of an AnalysisRun, read: its metrics with their arguments in place, which are dry, how much is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.analysis.arguments import SpecError, has_placeholder, secret_references, substitute
from tidegate.analysis.conditions import ConditionError
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.patterns import compile_pattern
from tidegate.analysis.metric import MetricRules
from tidegate.analysis.validation import check_metrics
from tidegate.manifests.analysis_template import (
    DEFAULT_RETENTION,
    DryRun,
    MeasurementRetention,
    Metric,
    TemplateArgument,
)
from tidegate.manifests.decode import decode_object
from tidegate.manifests.limits import excess_text, excesses
from tidegate.manifests.model import Items, Model
from tidegate.manifests.providers.compare import ERRORS

_LABEL: Final = "AnalysisRun"
_MAY_HOLD_SECRETS: Final = frozenset(("provider", "successCondition", "failureCondition"))


class TtlStrategy(Model):
    """How many seconds a finished run is kept."""

    seconds_after_completion: int | None = None
    seconds_after_failure: int | None = None
    seconds_after_success: int | None = None


class RunSpec(Model):
    """`spec` of an AnalysisRun."""

    metrics: Items[Metric] = ()
    args: Items[TemplateArgument] = ()
    dry_run: Items[DryRun] = ()
    measurement_retention: Items[MeasurementRetention] = ()
    terminate: bool = False
    ttl_strategy: TtlStrategy | None = None


@dataclass(frozen=True)
class RunRules:
    """Rules of an AnalysisRun. `retention` is how many measurements are kept of metrics that a rule names.

    `secrets` are the arguments that only a provider may resolve: argument name -> name and key of a Secret. With
    `terminate` nothing is to be measured.
    """

    metrics: tuple[MetricRules, ...]
    dry_run: frozenset[str]
    retention: Mapping[str, int]
    secrets: Mapping[str, Mapping[str, str]]
    terminate: bool = False

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> RunRules:
        """Read a spec. Raises SpecError, with Argo's text where it has one, or ManifestError for a malformed one."""
        for excess in excesses({"spec": spec}):
            raise SpecError(f"Analysis spec invalid: {excess_text(excess)}")
        run = decode_object(RunSpec, spec, _LABEL)
        metrics = _resolved(run)
        try:
            dry_run = _matches("dryRun", [rule.metric_name for rule in run.dry_run], metrics)
            kept = _matches("measurementRetention", [rule.metric_name for rule in run.measurement_retention], metrics)
            check_metrics(metrics)
        except SpecError as error:
            raise SpecError(f"Analysis spec invalid: {error}") from error
        return cls(
            metrics=tuple(map(MetricRules.of, metrics)),
            dry_run=frozenset(dry_run),
            retention={name: run.measurement_retention[index].kept for name, index in kept.items()},
            secrets=secret_references([argument.to_wire() for argument in run.args]),
            terminate=run.terminate,
        )

    def kept(self, metric: str) -> int:
        """How many measurements are kept of the metric of this name."""
        return self.retention.get(metric, DEFAULT_RETENTION)


def _resolved(run: RunSpec) -> list[Metric]:
    arguments = [argument.to_wire() for argument in run.args]
    try:
        documents = [substitute(metric.to_wire(), arguments) for metric in run.metrics]
    except SpecError as error:
        raise SpecError(f"Unable to resolve metric arguments: {error}") from error
    if secret_references(arguments):
        _check_later_substitution(run.args, documents)
    return [decode_object(Metric, document, f"{_LABEL} metric {document.get('name', '')}") for document in documents]


def _check_later_substitution(arguments: Sequence[TemplateArgument], documents: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what could go wrong when a provider puts the arguments from Secrets in."""
    for argument in arguments:
        if has_placeholder(argument.value):
            raise SpecError(
                f"Analysis spec invalid: args.{argument.name}: {argument.value!r}: beside arguments from Secrets no "
                "value may hold '{{', which would be read as one of them"
            )
    for index, document in enumerate(documents):
        for field, value in document.items():
            if field not in _MAY_HOLD_SECRETS and has_placeholder(value):
                raise SpecError(
                    f"Analysis spec invalid: metrics[{index}].{field}: {value!r}: an argument from a Secret may only "
                    f"stand in {', '.join(sorted(_MAY_HOLD_SECRETS))}"
                )


def _matches(field: str, patterns: Sequence[str], metrics: Sequence[Metric]) -> dict[str, int]:
    """Metric name -> index of the first rule whose regular expression is found in it."""
    found: dict[str, int] = {}
    for index, pattern in enumerate(patterns):
        names = [metric.name for metric in metrics if is_meant(pattern, metric.name)]
        if not names:
            raise SpecError(f"{field}[{index}]: Rule didn't match any metric name(s)")
        for name in names:
            found.setdefault(name, index)
    return found


def has_comparison(spec: Mapping[str, Any]) -> bool:
    """Return whether a metric of an AnalysisRun spec compares versions."""
    metrics = decode_object(RunSpec, spec, _LABEL).metrics
    return any(metric.provider.compare is not None for metric in metrics)


def for_full_traffic(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return an AnalysisRun spec without comparisons that have nothing to look at at 100 %, and without their rules.

    Stable has no requests any more. Only errors are held against those of the hour before.
    """
    run = decode_object(RunSpec, spec, _LABEL)
    kept = [index for index, metric in enumerate(run.metrics) if _watches_alone(metric)]
    if len(kept) == len(run.metrics):
        return dict(spec)
    names = [run.metrics[index].name for index in kept]
    changed: dict[str, Any] = {"metrics": [spec["metrics"][index] for index in kept]}
    for field, rules in (("dryRun", run.dry_run), ("measurementRetention", run.measurement_retention)):
        meant = [any(is_meant(rule.metric_name, name) for name in names) for rule in rules]
        changed |= {field: [rule for rule, is_kept in zip(spec.get(field) or (), meant, strict=True) if is_kept]}
    return {**spec, **changed}


def _watches_alone(metric: Metric) -> bool:
    compare = metric.provider.compare
    return compare is None or any(event.name == ERRORS for event in compare.wanted_events())


def is_meant(pattern: str, name: str) -> bool:
    """True when a rule's regular expression is found in a metric's name; one that is not valid means none."""
    try:
        return compile_pattern(pattern).search(name, Budget())
    except ConditionError:
        return False
