"""The templates of an analysis together with the arguments a Rollout supplies: found, resolved, and not endless."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric, RolloutAnalysis
from tidegate.manifests.decode import decode_object
from tidegate.manifests.durations import int_or_zero
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.templates import template_key, used_templates

_CANARY: Path = ("spec", "strategy", "canary")
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
# What Argo fills in for an argument while it validates a template.
_DUMMY = "dummy-value"


def analysis_reference_errors(rollout: Rollout, templates: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """What is wrong with the analyses of a Rollout, `templates` being all templates that exist for it.

    Raises ManifestError for a template that cannot be read.
    """
    models = [decode_object(AnalysisTemplate, each, _label(each)) for each in templates]
    known = {template_key(model): model for model in models}
    errors: list[FieldError] = []
    for step, analysis in rollout.canary.analyses():
        path = analysis_path(step)
        used = used_templates(analysis.templates, known)
        errors += (
            FieldError(
                path, f'{key.kind} "{key.name}" not found', remedy=f"create {key.kind} {key.name}", argo_path=path
            )
            for key in used.missing
        )
        errors += analysis_errors([known[key] for key in used.found], analysis, step)
    return errors


def analysis_path(step: int | None) -> Path:
    """Path of the templates of the analysis of a step, None standing for the background analysis."""
    return (*_CANARY, *(("analysis",) if step is None else ("steps", step, "analysis")), "templates")


def analysis_errors(
    templates: Sequence[AnalysisTemplate], analysis: RolloutAnalysis, step: int | None
) -> list[FieldError]:
    """What Argo finds wrong with the templates of one analysis, as far as they are given.

    The analysis of a step must end by itself; the background analysis (`step` None) need not.
    """
    path = analysis_path(step)
    details = [*_argument_problems(templates, analysis), *_metric_problems(templates)]
    if step is not None and not details:
        details += _endless_metrics(templates)
    return [FieldError(path, detail, argo_path=path) for detail in details]


def unresolved_arguments(templates: Iterable[AnalysisTemplate], analysis: RolloutAnalysis) -> list[str]:
    """Names of the arguments that templates declare and nobody gives a value."""
    supplied = {argument.name for argument in analysis.args}
    declared: dict[str, bool] = {}
    for template in templates:
        for argument in template.spec.args:
            given = argument.value is not None or argument.value_from is not None
            declared[argument.name] = declared.get(argument.name, False) or given
    return [name for name, given in declared.items() if not given and name not in supplied]


def runs_for_ever(metric: Metric) -> bool:
    """Whether a metric has an interval and no count, so that only somebody else can end it."""
    return bool(metric.interval) and int_or_zero(_filled(metric.count)) == 0


def placeholders(value: JsonValue) -> Iterator[str]:
    """What stands between `{{` and `}}` anywhere in a metric."""
    if isinstance(value, str):
        yield from (found.strip() for found in _PLACEHOLDER.findall(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from placeholders(key)
            yield from placeholders(item)
    elif isinstance(value, list):
        for item in value:
            yield from placeholders(item)


def _argument_problems(templates: Sequence[AnalysisTemplate], analysis: RolloutAnalysis) -> Iterator[str]:
    values: dict[str, str] = {}
    for template in templates:
        for argument in template.spec.args:
            if argument.value is None:
                continue
            first = values.setdefault(argument.name, argument.value)
            if first != argument.value:
                yield (
                    f"Argument `{argument.name}` specified multiple times with different values: "
                    f"'{first}', '{argument.value}'"
                )
    for name in unresolved_arguments(templates, analysis):
        yield f"args.{name} was not resolved"
    for supplied in analysis.args:
        if supplied.value is not None and supplied.value_from is not None:
            yield f"args.{supplied.name} has both a value and a valueFrom"


def _metric_problems(templates: Sequence[AnalysisTemplate]) -> Iterator[str]:
    declared = {f"args.{argument.name}" for template in templates for argument in template.spec.args}
    seen: set[str] = set()
    for metric in (metric for template in templates for metric in template.spec.metrics):
        if metric.name in seen:
            yield f"two metrics have the same name '{metric.name}'"
        seen.add(metric.name)
        for found in placeholders(metric.to_wire()):
            if found not in declared:
                yield f"failed to resolve {{{{{found}}}}}"


def _endless_metrics(templates: Sequence[AnalysisTemplate]) -> Iterator[str]:
    for template in templates:
        for metric in filter(runs_for_ever, template.spec.metrics):
            count = "<nil>" if metric.count is None else _filled(metric.count)
            yield (
                f"AnalysisTemplate {template.metadata.name} has metric {metric.name} which runs indefinitely. "
                f"Invalid value for count: {count}"
            )


def _filled(value: int | str | None) -> int | str | None:
    return _PLACEHOLDER.sub(_DUMMY, value) if isinstance(value, str) else value


def _label(template: Mapping[str, Any]) -> str:
    metadata = template.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else ""
    return f"{template.get('kind', 'AnalysisTemplate')}/{name}"
