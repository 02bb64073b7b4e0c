"""An Experiment object by itself: what Argo's controller refuses, and what it would find out too late."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from tidegate.manifests.durations import DURATION_HINT
from tidegate.manifests.experiment import Experiment, ExperimentPods, ExperimentSpec
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.limits import MAX_EXPERIMENTS
from tidegate.manifests.pod_template.check import pod_spec_errors, template_labels
from tidegate.manifests.rollout import DEFAULT_PROGRESS_DEADLINE_SECONDS
from tidegate.manifests.steps import ExperimentAnalysis

_TEMPLATES: Final[Path] = ("spec", "templates")
_ANALYSES: Final[Path] = ("spec", "analyses")
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NAME_HINT: Final = "lower-case letters, digits and hyphens"


def validate_experiment(experiment: Experiment) -> list[FieldError]:
    """Every reason for which an Experiment is not carried out, those of Argo first; empty when it is valid.

    Argo looks at the templates alone (argo-rollouts, utils/conditions, VerifyExperimentSpec). What else could not be
    carried out is refused here as well, before the first pod.
    """
    spec = experiment.spec
    return [
        *(error for index, each in enumerate(spec.templates) for error in _argo_errors(experiment, each, index)),
        *_repeated(experiment.metadata.name, spec),
        *_number_errors(spec),
        *_duration_errors(spec),
        *(error for index, each in enumerate(spec.templates) for error in _pods_errors(each, (*_TEMPLATES, index))),
        *_service_errors(spec.templates),
        *_analysis_errors(spec.analyses),
    ]


def _argo_errors(experiment: Experiment, template: ExperimentPods, index: int) -> Iterator[FieldError]:
    path: Path = (*_TEMPLATES, index)
    deadline = experiment.spec.progress_deadline_seconds
    if template.selector is None:
        detail = f"Rollout has missing field '.Spec.Templates[{index}].Selector'"
        yield FieldError((*path, "selector"), detail, "Required")
    elif template.selector.empty:
        detail = f"This experiment is selecting all pods at index {index}. A non-empty selector is required."
        yield FieldError((*path, "selector"), detail)
    if template.min_ready_seconds > (DEFAULT_PROGRESS_DEADLINE_SECONDS if deadline is None else deadline):
        detail = f"MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index {index}"
        yield FieldError((*path, "minReadySeconds"), detail)
    if not template.name:
        detail = f"Experiment {experiment.metadata.name} has empty template name at index {index}"
        yield FieldError((*path, "name"), detail, "Required")


def _repeated(experiment: str, spec: ExperimentSpec) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, each in enumerate(spec.templates):
        if each.name in seen and each.name:
            detail = f"Experiment {experiment} has repeated template name '{each.name}' in templates"
            yield FieldError((*_TEMPLATES, index, "name"), detail)
        seen.add(each.name)


def _number_errors(spec: ExperimentSpec) -> Iterator[FieldError]:
    if not spec.templates:
        yield FieldError(_TEMPLATES, "an experiment of nothing", "Required", "add a template")
    for path, found in ((_TEMPLATES, len(spec.templates)), (_ANALYSES, len(spec.analyses))):
        if found > MAX_EXPERIMENTS:
            detail = f"{found} {path[-1]} are more than {MAX_EXPERIMENTS}, the most that are taken"
            yield FieldError(path, detail, remedy="use several experiments")
    given = {
        "progressDeadlineSeconds": spec.progress_deadline_seconds,
        "scaleDownDelaySeconds": spec.scale_down_delay_seconds,
    }
    for name, value in given.items():
        if value is not None and value < 0:
            yield FieldError(("spec", name), "must be greater than or equal to 0")


def _duration_errors(spec: ExperimentSpec) -> Iterator[FieldError]:
    try:
        spec.lasts()
    except ValueError as error:
        yield FieldError(("spec", "duration"), str(error), remedy=DURATION_HINT)


def _pods_errors(template: ExperimentPods, path: Path) -> Iterator[FieldError]:
    if template.name and not _NAME.fullmatch(template.name):
        yield FieldError((*path, "name"), "no name for objects", remedy=_NAME_HINT)
    if template.wanted_replicas() < 0:
        yield FieldError((*path, "replicas"), "must be greater than or equal to 0")
    if template.min_ready_seconds < 0:
        yield FieldError((*path, "minReadySeconds"), "must be greater than or equal to 0")
    if template.selector is not None and not template.selector.matches(template_labels(template.template)):
        at = (*path, "template", "metadata", "labels")
        yield FieldError(at, "`selector` does not match template `labels`")
    yield from pod_spec_errors(template.template, (*path, "template"))


def _service_errors(templates: Iterable[ExperimentPods]) -> Iterator[FieldError]:
    """Errors of the names of Services; two templates behind one would be one for who calls it."""
    named = [(index, each.service.name) for index, each in enumerate(templates) if each.service is not None]
    counts = Counter(name for _, name in named if name)
    for index, name in named:
        at = (*_TEMPLATES, index, "service", "name")
        if name and not _NAME.fullmatch(name):
            yield FieldError(at, "no name for a Service", remedy=_NAME_HINT)
        elif counts[name] > 1:
            yield FieldError(at, "the Service of two templates", "Duplicate", "give each its own")


def _analysis_errors(analyses: Iterable[ExperimentAnalysis]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, each in enumerate(analyses):
        path: Path = (*_ANALYSES, index)
        if not _NAME.fullmatch(each.name):
            yield FieldError((*path, "name"), "no name for objects", remedy=_NAME_HINT)
        elif each.name in seen:
            yield FieldError((*path, "name"), "the name is taken", "Duplicate", "another one")
        if not each.template_name:
            yield FieldError((*path, "templateName"), "", "Required", "name an AnalysisTemplate")
        seen.add(each.name)
        for number, argument in enumerate(each.args):
            if argument.value_from is not None:
                detail = "an Experiment gives its analyses values alone, as Argo's controller leaves a source out"
                yield FieldError((*path, "args", number, "valueFrom"), detail, remedy="give a value")
