"""Assessment of Rollouts: each goes as it is, behaves differently here, or is refused. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from tidegate.manifests.analysis_template import AnalysisTemplate
from tidegate.manifests.documents import Loaded, Manifests
from tidegate.manifests.experiment import Experiment
from tidegate.manifests.findings import Finding, ManifestError, Severity, errors
from tidegate.manifests.lint.check import with_used_templates
from tidegate.manifests.migration.differences import DIFFERENCES
from tidegate.manifests.migration.subject import MigrationSubject
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.templates import template_key, used_templates

Judge = Callable[[Manifests], list[Finding]]


class MigrationVerdict(StrEnum):
    """Result of an assessment."""

    AS_IT_IS = "as it is"
    DIFFERS = "differs"
    REFUSED = "refused"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Noted(_Frozen):
    """A difference that applies: what Argo Rollouts does, what a release does, and where in the manifests."""

    argo: str
    tidegate: str
    locations: tuple[str, ...]


class Assessment(_Frozen):
    """Assessment of one Rollout, or of one Experiment, whose name is `experiment/NAME`.

    `reasons` refuse it, `warnings` and `differences` do not.

    `state` is what Argo's controller wrote into its status last, empty for a manifest without one.
    """

    verdict: MigrationVerdict
    namespace: str = ""
    name: str
    file: str = ""
    line: int = 0  # from 1; 0: the object came from no file
    state: str = ""
    reasons: tuple[Finding, ...] = ()
    differences: tuple[Noted, ...] = ()
    warnings: tuple[Finding, ...] = ()


class Assessed(NamedTuple):
    """The Rollouts and Experiments, and the errors of documents that belong to none of them."""

    rollouts: tuple[Assessment, ...]
    unread: tuple[Finding, ...]


def assess(manifests: Manifests, judge: Judge, unreadable: Sequence[Finding] = ()) -> Assessed:
    """Assess each Rollout with the templates that it uses; `judge` gives the findings of manifests.

    `unreadable` are the errors found while the manifests were read: they refuse the Rollout that they are about, or
    that uses the template.
    """
    left = list(dict.fromkeys(errors(unreadable)))
    found = []
    for rollout in manifests.rollouts:
        own = with_used_templates(_around(manifests, rollout), rollout)
        used: tuple[Loaded[Any], ...] = (rollout, *own.templates)
        labels = {(each.document.location().file, each.label) for each in used}
        about = [each for each in left if (each.file, each.object) in labels]
        found.append(_assessment(rollout, own, [*about, *judge(own)]))
        left = [each for each in left if (each.file, each.object) != (rollout.document.location().file, rollout.label)]
    for experiment in manifests.experiments:
        if not _is_of_rollout(experiment):
            about = [each for each in left if _is_about(each, experiment)]
            found.append(_experiment(experiment, [*about, *judge(_alone(manifests, experiment))]))
            left = [each for each in left if each not in about]
    nameless = [each for each in left if each.object.startswith("Rollout/")]
    found += _unreadable(nameless)
    return Assessed(tuple(found), tuple(each for each in left if each not in nameless))


def _experiment(experiment: Loaded[Experiment], findings: Sequence[Finding]) -> Assessment:
    """An Experiment of its own: it goes as it is, or is refused."""
    reasons, location = tuple(dict.fromkeys(errors(findings))), experiment.document.location()
    phase = (experiment.model.status or {}).get("phase")
    return Assessment(
        verdict=_verdict(reasons, ()),
        namespace=experiment.metadata.namespace,
        name=f"experiment/{experiment.metadata.name or experiment.metadata.generate_name}",
        file=location.file,
        line=location.line,
        state=phase if isinstance(phase, str) else "",
        reasons=reasons,
        warnings=tuple(dict.fromkeys(each for each in findings if each.severity is Severity.WARNING)),
    )


def _alone(manifests: Manifests, experiment: Loaded[Experiment]) -> Manifests:
    """The Experiment without the findings of others; templates are judged with the Rollouts that use them."""
    known = {template_key(each.model): each.model for each in manifests.templates}
    used = used_templates((each.reference() for each in experiment.model.spec.analyses), known).found
    templates = tuple(each for each in manifests.templates if template_key(each.model) in used)
    return Manifests(experiments=(experiment,), templates=templates)


def _is_about(finding: Finding, experiment: Loaded[Experiment]) -> bool:
    return (finding.file, finding.object) == (experiment.document.location().file, experiment.label)


def _is_of_rollout(experiment: Loaded[Experiment]) -> bool:
    """True for the Experiment of a step, which a Rollout of Argo's controller made."""
    metadata = experiment.raw.get("metadata")
    owners = metadata.get("ownerReferences") if isinstance(metadata, dict) else None
    found = owners if isinstance(owners, list) else []
    return any(isinstance(each, dict) and each.get("kind") == "Rollout" for each in found)


def with_errors(read: Callable[[], Manifests]) -> tuple[Manifests, tuple[Finding, ...]]:
    """Manifests as far as they could be read, and the errors of the rest."""
    try:
        return read(), ()
    except ManifestError as error:
        return error.rest if isinstance(error.rest, Manifests) else Manifests(), error.findings


def _around(manifests: Manifests, rollout: Loaded[Rollout]) -> Manifests:
    """The Rollout alone, with the objects of its own namespace and of none."""
    namespace = rollout.metadata.namespace

    def near(found: tuple[Loaded[Any], ...]) -> tuple[Loaded[Any], ...]:
        return tuple(each for each in found if each.metadata.namespace in (namespace, "") or not namespace)

    return replace(
        manifests,
        rollouts=(rollout,),
        experiments=(),
        templates=near(manifests.templates),
        services=near(manifests.services),
        deployments=near(manifests.deployments),
    )


def _assessment(rollout: Loaded[Rollout], own: Manifests, findings: Sequence[Finding]) -> Assessment:
    reasons = tuple(dict.fromkeys(errors(findings)))
    models = tuple(template.model for template in own.templates)
    differences = () if reasons else tuple(_differences(rollout.model, models))
    location = rollout.document.location()
    return Assessment(
        verdict=_verdict(reasons, differences),
        namespace=rollout.metadata.namespace,
        name=rollout.metadata.name,
        file=location.file,
        line=location.line,
        state=_state(rollout.model),
        reasons=reasons,
        differences=differences,
        warnings=tuple(dict.fromkeys(each for each in findings if each.severity is Severity.WARNING)),
    )


def _verdict(reasons: Sequence[Finding], differences: Sequence[Noted]) -> MigrationVerdict:
    if reasons:
        return MigrationVerdict.REFUSED
    return MigrationVerdict.DIFFERS if differences else MigrationVerdict.AS_IT_IS


def _differences(rollout: Rollout, templates: tuple[AnalysisTemplate, ...]) -> Iterator[Noted]:
    subject = MigrationSubject(rollout, templates)
    for each in DIFFERENCES:
        if locations := tuple(dict.fromkeys(each.locations(subject))):
            yield Noted(argo=each.argo, tidegate=each.tidegate, locations=locations)


def _unreadable(findings: Sequence[Finding]) -> Iterator[Assessment]:
    """Yield an assessment of each Rollout of which nothing could be read but errors."""
    for file, label in dict.fromkeys((each.file, each.object) for each in findings):
        reasons = tuple(each for each in findings if (each.file, each.object) == (file, label))
        name = label.removeprefix("Rollout/")
        yield Assessment(verdict=MigrationVerdict.REFUSED, name=name, file=file, line=reasons[0].line, reasons=reasons)


def _state(rollout: Rollout) -> str:
    """Status of a live Rollout in words: its phase, and the step (counted from 1) of a version that is under way."""
    status = rollout.status or {}
    canary = rollout.spec.strategy.canary
    phase, index, steps = status.get("phase"), status.get("currentStepIndex"), len(canary.steps) if canary else 0
    if not isinstance(phase, str) or not phase:
        return ""
    if status.get("abort") is True:
        return f"{phase}, aborted"
    under_way = status.get("stableRS") != status.get("currentPodHash")
    return f"{phase}, step {index + 1} of {steps}" if under_way and isinstance(index, int) and index < steps else phase
