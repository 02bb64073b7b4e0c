"""A template as a whole: arguments declared and used, limits that agree, rules that match, templates within."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.arguments import argument_value_findings
from tidegate.manifests.lint.named_metrics import Matches, rule_findings
from tidegate.manifests.lint.scope import Binding
from tidegate.manifests.placeholders import PlaceholderError, names_in, tags
from tidegate.manifests.templates import TemplateKey, template_key, used_templates
from tidegate.manifests.validation.metrics import metric_problems

_NUMBERS: Final = {
    "count": "count",
    "failure_limit": "failureLimit",
    "inconclusive_limit": "inconclusiveLimit",
    "consecutive_error_limit": "consecutiveErrorLimit",
    "consecutive_success_limit": "consecutiveSuccessLimit",
}
_WHOLE_NUMBER: Final = re.compile(r"[+-]?\d+")
_ELSEWHERE: Final = ("interval", "initialDelay", "provider")  # fields that are judged with their own words


def template_findings(
    template: Loaded[AnalysisTemplate],
    known: Mapping[TemplateKey, Loaded[AnalysisTemplate]],
    bound: Sequence[Binding],
    matches: Matches | None,
) -> Iterator[Finding]:
    """Errors in a template apart from its single metrics.

    `known` are all templates among the manifests, and `bound` the analyses that use this one.
    """
    models = {key: each.model for key, each in known.items()}
    used = used_templates(template.model.spec.templates, models)
    own = template_key(template.model)
    inner = [models[key] for key in used.found if key != own]
    yield from _inner_templates(template, own in used.found, used.missing)
    yield from _arguments(template)
    for index, metric in enumerate(template.model.spec.metrics):
        path: Path = ("spec", "metrics", index)
        yield from _limits(template, metric, path)
        yield from _open_ends(template, metric, path)
        if not used.missing:
            yield from _placeholders(template, metric, path, inner, used_elsewhere=bool(bound))
    yield from _names(template, inner)
    if not used.missing:
        runs = list(_runs(bound, models)) if bound else [[template.model, *inner]]
        names = [[metric.name for each in run for metric in each.spec.metrics] for run in runs]
        yield from rule_findings(template, template.model.spec, ("spec",), names, matches)


def _runs(bound: Sequence[Binding], models: Mapping[TemplateKey, AnalysisTemplate]) -> Iterator[list[AnalysisTemplate]]:
    """All templates of each analysis, of those whose templates are known."""
    for binding in bound:
        used = used_templates(binding.analysis.templates, models)
        if not used.missing:
            yield [models[key] for key in used.found]


def _inner_templates(
    template: Loaded[AnalysisTemplate], within_itself: bool, missing: tuple[TemplateKey, ...]
) -> Iterator[Finding]:
    path: Path = ("spec", "templates")
    if within_itself:
        message = "the template refers to itself; Argo would follow that without end, Tidegate follows it once"
        yield template.finding(Severity.WARNING, "template-circle", path, message, remedy="leave the reference out")
    for key in missing:
        message = f"{key.kind} {key.name} is not among the manifests; it is looked for when a run starts"
        yield template.finding(Severity.NOTE, "missing-template", path, message, remedy=f"give the file of {key.name}")


def _arguments(template: Loaded[AnalysisTemplate]) -> Iterator[Finding]:
    seen: dict[str, str | None] = {}
    for index, argument in enumerate(template.model.spec.args):
        path: Path = ("spec", "args", index)
        if not argument.name:
            yield template.finding(Severity.ERROR, "argument", path, "an argument needs a name")
        elif argument.name in seen:
            message = f"args.{argument.name} is declared twice"
            yield template.finding(Severity.ERROR, "argument", path, message, value=argument.name)
        seen[argument.name] = argument.value
        if argument.value is not None and argument.value_from is not None:
            message = f"args.{argument.name} has a value and a valueFrom: the Secret is used"
            remedy = "leave one of them out"
            yield template.finding(Severity.WARNING, "argument", path, message, value=argument.value, remedy=remedy)
        yield from argument_value_findings(template, argument.value, (*path, "value"))


def _limits(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    for problem in metric_problems(metric):
        if problem.field not in _ELSEWHERE:
            at = (*path, problem.field)
            yield template.finding(Severity.ERROR, "limits", at, problem.text, value=template.document.value(at))
    for attribute, field in _NUMBERS.items():
        value = getattr(metric, attribute)
        if isinstance(value, str) and "{{" not in value and not _WHOLE_NUMBER.fullmatch(value):
            message = "no whole number: it is read as 0, as Argo does"
            remedy = "write a number, or {{args.NAME}}"
            at = (*path, field)
            yield template.finding(Severity.WARNING, "not-a-number", at, message, value=value, remedy=remedy)


def _placeholders(
    template: Loaded[AnalysisTemplate],
    metric: Metric,
    path: Path,
    inner: Sequence[AnalysisTemplate],
    *,
    used_elsewhere: bool,
) -> Iterator[Finding]:
    """Placeholders that nothing can fill; those of an analysis are judged with the arguments that it supplies."""
    declared = {argument.name for each in (template.model, *inner) for argument in each.spec.args}
    listed = ", ".join(sorted(declared)) or "none"
    first: dict[str, Path] = {}
    for at, found in _located_placeholders(metric.to_wire(), path):
        first.setdefault(found, at)
    for found, at in first.items():
        value = template.document.value(at)
        name = found.removeprefix("args.")
        if not found.startswith("args."):
            message = f"failed to resolve {{{{{found}}}}}: only {{{{args.NAME}}}} is filled in"
            yield template.finding(Severity.ERROR, "placeholder", at, message, value=value)
        elif name not in declared and not used_elsewhere:
            message = f"failed to resolve {{{{{found}}}}}: no template here declares the argument"
            remedy = f"add it to spec.args; declared: {listed}"
            yield template.finding(Severity.ERROR, "placeholder", at, message, value=value, remedy=remedy)


def _open_ends(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    """Texts with a `{{` whose end is in another field, or missing."""
    for at, text in _texts(metric.to_wire(), path):
        try:
            tags(text)
        except PlaceholderError as error:
            remedy = "close it with }}, as in {{args.NAME}}"
            yield template.finding(Severity.ERROR, "placeholder", at, str(error), value=text, remedy=remedy)


def _located_placeholders(value: JsonValue, path: Path) -> Iterator[tuple[Path, str]]:
    """Each placeholder with its field."""
    for at, text in _texts(value, path):
        for found in names_in(text):
            yield at, found


def _texts(value: JsonValue, path: Path) -> Iterator[tuple[Path, str]]:
    """Each text with its field, keys included."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield (*path, key), key
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _names(template: Loaded[AnalysisTemplate], inner: Sequence[AnalysisTemplate]) -> Iterator[Finding]:
    own = Counter(metric.name for metric in template.model.spec.metrics)
    others = {metric.name for each in inner for metric in each.spec.metrics}
    for index, metric in enumerate(template.model.spec.metrics):
        path: Path = ("spec", "metrics", index, "name")
        if not metric.name:
            yield template.finding(Severity.ERROR, "metric-name", path[:-1], "a metric needs a name")
        elif own[metric.name] > 1 or metric.name in others:
            message = f"two metrics have the same name '{metric.name}'"
            yield template.finding(Severity.ERROR, "metric-name", path, message, value=metric.name)
