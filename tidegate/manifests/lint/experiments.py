"""Experiment steps: what a release could not carry out, which Argo finds out only when the step has begun."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tidegate.manifests.analysis_template import AnalysisTemplate
from tidegate.manifests.documents import Loaded
from tidegate.manifests.durations import DURATION_HINT, parse_duration
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.analyses import missing_template
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.steps import ExperimentStep, ExperimentTemplate
from tidegate.manifests.templates import TemplateKey, used_templates

CODE = "experiment"

_VERSIONS = ("stable", "canary")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NAME_HINT = "lower-case letters, digits and hyphens"


def experiment_findings(
    rollout: Loaded[Rollout], templates: Mapping[TemplateKey, Loaded[AnalysisTemplate]], *, complete: bool
) -> Iterator[Finding]:
    """Errors and surprises in the experiments of a Rollout's steps.

    `complete` says that there are no other analysis templates than `templates`.
    """
    canary = rollout.model.spec.strategy.canary
    if canary is None:
        return
    weight = 0
    for index, step in enumerate(canary.steps):
        weight = weight if step.set_weight is None else step.set_weight
        if step.experiment is not None:
            path: Path = ("spec", "strategy", "canary", "steps", index, "experiment")
            yield from _names(rollout, (each.name for each in step.experiment.templates), (*path, "templates"))
            yield from _names(rollout, (each.name for each in step.experiment.analyses), (*path, "analyses"))
            yield from _templates(rollout, step.experiment, path)
            yield from _shares(rollout, step.experiment, path, canary.max_weight() - weight)
            yield from _end(rollout, step.experiment, path)
            yield from _missing(rollout, step.experiment, path, templates, complete=complete)
            yield from _compared(rollout, step.experiment, path, templates)


def _names(rollout: Loaded[Rollout], names: Iterable[str], path: Path) -> Iterator[Finding]:
    """Names become part of the names of objects."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        at = (*path, index, "name")
        if not _NAME.fullmatch(name):
            yield rollout.finding(Severity.ERROR, CODE, at, "no name for objects", value=name, remedy=_NAME_HINT)
        elif name in seen:
            yield rollout.finding(Severity.ERROR, CODE, at, "the name is taken", value=name, remedy="another one")
        seen.add(name)


def _templates(rollout: Loaded[Rollout], step: ExperimentStep, path: Path) -> Iterator[Finding]:
    if not step.templates:
        remedy = "add a template with specRef stable or canary"
        yield rollout.finding(Severity.ERROR, CODE, (*path, "templates"), "an experiment of nothing", remedy=remedy)
    for index, template in enumerate(step.templates):
        at = (*path, "templates", index)
        if template.spec_ref not in _VERSIONS:
            message, remedy, given = "no such version", "stable or canary", template.spec_ref
            yield rollout.finding(Severity.ERROR, CODE, (*at, "specRef"), message, value=given, remedy=remedy)
        if template.replicas is not None and template.replicas < 0:
            value = template.replicas
            yield rollout.finding(
                Severity.ERROR, CODE, (*at, "replicas"), "not a number of pods", value=value, remedy="0 or more"
            )
        yield from _selector(rollout, template, at)


def _selector(rollout: Loaded[Rollout], template: ExperimentTemplate, path: Path) -> Iterator[Finding]:
    """A ReplicaSet that does not select its own pods is refused by Kubernetes."""
    own = rollout.model.spec.template.get("metadata")
    labels = own.get("labels") if isinstance(own, dict) else None
    given = {str(key): str(value) for key, value in (labels if isinstance(labels, dict) else {}).items()}
    if rollout.model.spec.leaves_template_open:
        return
    if template.selector is not None and not template.selector.matches({**given, **template.metadata.labels}):
        message = "the pods of the template do not have these labels"
        remedy = "add them to metadata.labels of the template"
        yield rollout.finding(Severity.ERROR, CODE, (*path, "selector"), message, remedy=remedy)


def _shares(rollout: Loaded[Rollout], step: ExperimentStep, path: Path, remaining: int) -> Iterator[Finding]:
    """Weights come out of what the canary leaves to stable."""
    total = 0
    for index, template in enumerate(step.templates):
        if template.weight is None:
            continue
        at, total = (*path, "templates", index, "weight"), total + max(0, template.weight)
        if template.weight < 0 or total > remaining:
            message = f"there is no such share: the canary leaves {remaining} percent to all that runs beside it"
            remedy = "lower the weights of the experiment, or the setWeight before it"
            yield rollout.finding(Severity.ERROR, CODE, at, message, value=template.weight, remedy=remedy)
        elif template.weight and template.replicas == 0:
            message, remedy = "a share of the traffic without pods to take it", "give the template replicas"
            yield rollout.finding(Severity.ERROR, CODE, at, message, value=template.weight, remedy=remedy)


def _end(rollout: Loaded[Rollout], step: ExperimentStep, path: Path) -> Iterator[Finding]:
    if step.duration:
        try:
            parse_duration(step.duration)
        except ValueError as error:
            at, value = (*path, "duration"), step.duration
            yield rollout.finding(Severity.ERROR, CODE, at, str(error), value=value, remedy=DURATION_HINT)
    elif not any(analysis.required_for_completion for analysis in step.analyses):
        message = "nothing ends the experiment but a failed analysis or an operator"
        remedy = "give it a duration, or an analysis with requiredForCompletion"
        yield rollout.finding(Severity.WARNING, "endless-experiment", path, message, remedy=remedy)


def _compared(
    rollout: Loaded[Rollout],
    step: ExperimentStep,
    path: Path,
    templates: Mapping[TemplateKey, Loaded[AnalysisTemplate]],
) -> Iterator[Finding]:
    """Comparisons in an experiment without two templates between which the traffic is split at random."""
    if step.compared() is not None:
        return
    known = {key: template.model for key, template in templates.items()}
    for index, analysis in enumerate(step.analyses):
        found = used_templates([analysis.reference()], known).found
        names = [metric.name for key in found for metric in known[key].spec.metrics if metric.provider.compare]
        for name in names:
            at = (*path, "analyses", index, "templateName")
            message = f"{name} has no two templates to compare: their requests have to be as many, and chosen at random"
            remedy = "one template with specRef stable and one with specRef canary, both with the same weight"
            yield rollout.finding(Severity.ERROR, CODE, at, message, value=analysis.template_name, remedy=remedy)


def _missing(
    rollout: Loaded[Rollout],
    step: ExperimentStep,
    path: Path,
    templates: Mapping[TemplateKey, Loaded[AnalysisTemplate]],
    *,
    complete: bool,
) -> Iterator[Finding]:
    known = {key: template.model for key, template in templates.items()}
    for index, analysis in enumerate(step.analyses):
        for key in used_templates([analysis.reference()], known).missing:
            at = (*path, "analyses", index, "templateName")
            yield missing_template(rollout, key, at, complete=complete)
