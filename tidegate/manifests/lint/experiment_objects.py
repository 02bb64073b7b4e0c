"""Experiment objects: what is not carried out, and what Argo finds out only when pods are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidegate.manifests.analysis_template import AnalysisTemplate
from tidegate.manifests.documents import Loaded
from tidegate.manifests.experiment import Experiment
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.rollouts import field_findings, pod_template_findings
from tidegate.manifests.placeholders import PlaceholderError, fill
from tidegate.manifests.templates import TemplateKey, used_templates
from tidegate.manifests.validation.experiment import validate_experiment

_ANALYSES: Path = ("spec", "analyses")


def experiment_object_findings(
    experiment: Loaded[Experiment], templates: Mapping[TemplateKey, Loaded[AnalysisTemplate]], *, complete: bool
) -> Iterator[Finding]:
    """Findings on an Experiment; `complete` says that there are no other analysis templates than `templates`."""
    if not experiment.metadata.name and not experiment.metadata.generate_name:
        yield experiment.finding(Severity.ERROR, "invalid", ("metadata", "name"), "an Experiment needs a name")
    yield from field_findings(experiment, validate_experiment(experiment.model), "invalid")
    for index, each in enumerate(experiment.model.spec.templates):
        path: Path = ("spec", "templates", index)
        yield from pod_template_findings(experiment, each.template, (*path, "template"))
        if each.service is not None and not each.has_ports():
            message = "no container names a port, so that no Service is created"
            remedy = "name the ports of the containers, or leave the service out"
            yield experiment.finding(Severity.WARNING, "no-port", (*path, "service"), message, remedy=remedy)
    yield from _end(experiment)
    yield from _placeholders(experiment)
    yield from _templates(experiment, templates, complete=complete)


def _end(experiment: Loaded[Experiment]) -> Iterator[Finding]:
    spec = experiment.model.spec
    if not spec.duration and not any(each.required_for_completion for each in spec.analyses):
        message = "nothing ends the experiment but a failed analysis, spec.terminate or its deletion"
        remedy = "give it a duration, or an analysis with requiredForCompletion"
        yield experiment.finding(Severity.WARNING, "endless-experiment", ("spec",), message, remedy=remedy)


def _placeholders(experiment: Loaded[Experiment]) -> Iterator[Finding]:
    """Errors of arguments that name no template of the experiment."""
    spec = experiment.model.spec
    known = {
        **{f"templates.{each.name}.podTemplateHash": "" for each in spec.templates},
        **{f"templates.{each.name}.replicaset.name": "" for each in spec.templates},
        "experiment.availableAt": "",
        **({"experiment.finishedAt": ""} if spec.duration else {}),
    }
    for index, analysis in enumerate(spec.analyses):
        for number, argument in enumerate(analysis.args):
            try:
                fill(argument.value or "", known)
            except PlaceholderError as error:
                path = (*_ANALYSES, index, "args", number, "value")
                remedy = f"known: {', '.join(known)}"
                yield experiment.finding(
                    Severity.ERROR, "experiment", path, str(error), value=argument.value, remedy=remedy
                )


def _templates(
    experiment: Loaded[Experiment], templates: Mapping[TemplateKey, Loaded[AnalysisTemplate]], *, complete: bool
) -> Iterator[Finding]:
    """Findings on analysis templates that are missing, or that compare: nothing splits traffic here."""
    known = {key: template.model for key, template in templates.items()}
    for index, analysis in enumerate(experiment.model.spec.analyses):
        path = (*_ANALYSES, index, "templateName")
        used = used_templates([analysis.reference()], known)
        for key in used.missing:
            message = f"{key.kind} {key.name} is not among the manifests"
            message += "" if complete else "; it is looked for in the cluster when the experiment begins"
            severity = Severity.ERROR if complete else Severity.NOTE
            remedy = f"give the file that holds {key.kind} {key.name}"
            yield experiment.finding(severity, "missing-template", path, message, remedy=remedy)
        for name in (each.name for key in used.found for each in known[key].spec.metrics if each.provider.compare):
            message = f"{name} has nothing to compare: no router gives the templates of an Experiment shares of traffic"
            remedy = "compare in an experiment step of a Rollout, or give the metric conditions"
            yield experiment.finding(
                Severity.ERROR, "experiment", path, message, value=analysis.template_name, remedy=remedy
            )
