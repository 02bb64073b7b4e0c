"""The templates of an analysis together with the arguments a Rollout supplies: found, resolved, and not endless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from tidegate.manifests.analysis_template import AnalysisTemplate, AnalysisTemplateSpec, RolloutAnalysis
from tidegate.manifests.decode import decode_object
from tidegate.manifests.downward_api import path_problem
from tidegate.manifests.durations import int_or_zero
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.placeholders import PlaceholderError, fill_object
from tidegate.manifests.rollout import AnalysisLocation, Rollout
from tidegate.manifests.templates import TemplateKey, template_key, used_templates

_STRATEGY: Path = ("spec", "strategy")
_PREFIX: Final = "args."
# What Argo fills in for an argument while it validates a template.
_DUMMY: Final = "dummy-value"


def analysis_reference_errors(rollout: Rollout, templates: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Errors in the analyses of a Rollout, `templates` being all templates that exist for it.

    Raises ManifestError for a template that cannot be read.
    """
    models = [decode_object(AnalysisTemplate, each, _label(each)) for each in templates]
    known = {template_key(model): model for model in models}
    errors: list[FieldError] = []
    for step, analysis in rollout.strategy.analyses():
        path = analysis_path(step)
        used = used_templates(analysis.templates, known)
        named = {TemplateKey(each.cluster_scope, each.template_name) for each in analysis.templates}
        for key in used.missing:
            detail, remedy = f"{key.kind} '{key.name}' not found", f"create {key.kind} {key.name}"
            argo_path = path if key in named else ("spec", "templates")
            errors.append(FieldError(path, detail, remedy=remedy, argo_path=argo_path))
        errors += analysis_errors([known[key] for key in used.found], analysis, step)
    return errors


def analysis_path(location: AnalysisLocation) -> Path:
    """Path of the templates of an analysis."""
    match location:
        case None:
            found: Path = ("canary", "analysis")
        case int():
            found = ("canary", "steps", location, "analysis")
        case str():
            found = ("blueGreen", location)
    return (*_STRATEGY, *found, "templates")


def analysis_errors(
    templates: Sequence[AnalysisTemplate], analysis: RolloutAnalysis, step: AnalysisLocation
) -> list[FieldError]:
    """Argo's errors for the templates of one analysis, as far as they are given.

    The analysis of a step, or of blue-green, must end by itself, and each of its templates declare all arguments that
    it uses. The background analysis (`step` None) need not.
    """
    path = analysis_path(step)
    ordered = sorted(templates, key=lambda template: template.cluster_scope)
    rules = None if step is None else analysis
    if problem := next(_merge_problems(ordered, analysis, rules), ""):
        details = [problem]
    elif step is None:
        details = [*_background_problems(ordered, analysis)]
    else:
        details = [detail for template in ordered for detail in _step_problems(template)]
    return [FieldError(path, detail, argo_path=path) for detail in details]


def run_problems(templates: Sequence[AnalysisTemplate], analysis: RolloutAnalysis) -> Iterator[str]:
    """Errors that Argo finds only when a background analysis runs: duplicate rules, and open placeholders."""
    yield from islice(_rule_problems(templates, analysis), 1)
    names = {f"{_PREFIX}{argument.name}": "" for template in templates for argument in template.spec.args}
    for metric in (metric for template in templates for metric in template.spec.metrics):
        try:
            fill_object(metric.to_wire(), names)
        except PlaceholderError as error:
            yield str(error)


def _merge_problems(
    templates: Sequence[AnalysisTemplate], analysis: RolloutAnalysis, rules: RolloutAnalysis | None
) -> Iterator[str]:
    """Reasons why no run can be made of the templates and the arguments, in Argo's order."""
    names = [metric.name for template in templates for metric in template.spec.metrics]
    yield from (f"two metrics have the same name '{name}'" for name in _twice(names))
    yield from _rule_problems(templates, None)
    yield from _conflicts(templates)
    yield from (f"args.{name} was not resolved" for name in _unresolved(templates, analysis))
    yield from _rule_problems(templates, rules)


def _rule_problems(templates: Sequence[AnalysisTemplate], analysis: RolloutAnalysis | None) -> Iterator[str]:
    """Two rules of one name among those of an analysis and of its templates."""
    sources: list[RolloutAnalysis | AnalysisTemplateSpec] = [template.spec for template in templates]
    sources = [analysis, *sources] if analysis is not None else sources
    dry_run = [rule.metric_name for source in sources for rule in source.dry_run]
    yield from (f"two Dry-Run metric rules have the same name '{name}'" for name in _twice(dry_run))
    retention = [rule.metric_name for source in sources for rule in source.measurement_retention]
    yield from (f"two Measurement Retention metric rules have the same name '{name}'" for name in _twice(retention))


def _conflicts(templates: Sequence[AnalysisTemplate]) -> Iterator[str]:
    values: dict[str, str] = {}
    for argument in (argument for template in templates for argument in template.spec.args):
        if argument.value is None:
            continue
        first = values.setdefault(argument.name, argument.value)
        if first != argument.value:
            yield (
                f"Argument `{argument.name}` specified multiple times with different values: "
                f"'{first}', '{argument.value}'"
            )


def _unresolved(templates: Sequence[AnalysisTemplate], analysis: RolloutAnalysis) -> Iterator[str]:
    """Names of declared arguments without a value."""
    sources = [argument.value_from for argument in analysis.args]
    paths = [source.field_ref.field_path for source in sources if source is not None and source.field_ref is not None]
    # One path that leads nowhere takes all arguments of the Rollout away.
    lost = any(path.startswith("metadata") and path_problem(path) for path in paths)
    supplied = set() if lost else {argument.name for argument in analysis.args}
    declared: dict[str, bool] = {}
    for argument in (argument for template in templates for argument in template.spec.args):
        given = argument.value is not None or argument.value_from is not None
        declared[argument.name] = declared.get(argument.name, False) or given
    return (name for name, given in declared.items() if not given and name not in supplied)


def _background_problems(templates: Sequence[AnalysisTemplate], analysis: RolloutAnalysis) -> Iterator[str]:
    """Arguments that a template leaves open and the Rollout does not supply, although another template would."""
    supplied = {argument.name for argument in analysis.args}
    for argument in (argument for template in templates for argument in template.spec.args):
        if argument.value is None and argument.value_from is None and argument.name not in supplied:
            yield argument.name if supplied else "missing analysis arguments in rollout spec"


def _step_problems(template: AnalysisTemplate) -> Iterator[str]:
    """Errors of one template of a step's analysis by itself, with a placeholder value for each open argument."""
    name = template.metadata.name
    values: dict[str, str | None] = {}
    for argument in template.spec.args:
        if argument.value is not None and argument.value_from is not None:
            yield f"AnalysisTemplate {name}: arg '{argument.name}' has both Value and ValueFrom fields"
            return
        values[_PREFIX + argument.name] = _DUMMY if argument.value is None else argument.value
    try:
        metrics = [fill_object(metric.to_wire(), values) for metric in template.spec.metrics]
    except PlaceholderError as error:
        yield f"AnalysisTemplate {name}: {error}"
        return
    for metric in metrics:
        count = metric.get("count")
        if metric.get("interval") and int_or_zero(count) == 0:
            yield (
                f"AnalysisTemplate {name} has metric {metric.get('name', '')} which runs indefinitely. "
                f"Invalid value for count: {'<nil>' if count is None else count}"
            )


def _twice(names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)


def _label(template: Mapping[str, Any]) -> str:
    metadata = template.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else ""
    return f"{template.get('kind', 'AnalysisTemplate')}/{name}"
