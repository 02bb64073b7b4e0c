"""Admission of a release: its request can be read, its manifest is sound, every name in it exists. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.exceptions import ApplicationError

from tidegate.analysis.conditions import compile_condition
from tidegate.analysis.experiments import Subject
from tidegate.analysis.rules import has_comparison
from tidegate.analysis.spec import SpecError
from tidegate.bluegreen.stages import Stage
from tidegate.contract import Observation, ParsedRollout, ReleaseRequest, ReleaseResult, ReleaseStatus, rollout_id
from tidegate.manifests.annotations import HOLD_LIMIT
from tidegate.manifests.bake import BAKE, BAKE_TEMPLATES, bake_analysis, bake_duration
from tidegate.manifests.documents import Manifests, from_objects, in_one_round
from tidegate.manifests.durations import parse_duration
from tidegate.manifests.findings import Finding, ManifestError, Severity, errors
from tidegate.manifests.lint import check_release, lint
from tidegate.manifests.plain_text import harmless
from tidegate.manifests.steps import ExperimentStep
from tidegate.manifests.workload import needs_template
from workflows.failures import check_id
from workflows.inputs import invalid, read_input
from workflows.plan import ADVANCE, NOTHING_TO_BAKE_BY, WHEN_PROVEN, BakePlan, Plan, background_of

_SHOWN_ERRORS = 5


def parse_request(value: Any) -> ReleaseRequest:
    """Read the input of a release. Raises a non-retryable `InvalidSpec` that names field, value and what is allowed."""
    request = read_input(ReleaseRequest, value, "release request")
    if excess := request.excess():
        raise _invalid(request, [excess])
    return request


def check_rollout(request: ReleaseRequest, workflow_id: str) -> None:
    """Check that a release names its own Rollout: the id is the lock (law 4). Raises `InvalidSpec` otherwise."""
    check_id("release", workflow_id, rollout_id(request.cluster, request.namespace, request.name))


def read_manifest(request: ReleaseRequest) -> ParsedRollout:
    """The Rollout of a request, checked by itself. Raises `InvalidSpec` with every reason against it."""
    try:
        manifests = from_objects([request.rollout])
        _refuse(request, _judge(manifests))
        return ParsedRollout.of(manifests.rollout().model)
    except ManifestError as error:
        raise _invalid(request, [str(finding) for finding in in_one_round(error, _judge)]) from error


def _judge(manifests: Manifests) -> list[Finding]:
    return lint(manifests, compile_condition=compile_condition)


def check(request: ReleaseRequest, manifest: ParsedRollout, seen: Observation) -> tuple[Plan, tuple[str, ...]]:
    """Check what the manifest names against the cluster; returns the plan and the warnings.

    Raises `InvalidSpec` with every reason against it.
    """
    request = request if request.workload is not None else request.model_copy(update={"workload": seen.workload})
    uid = manifest.model.metadata.uid
    if uid and seen.rollout is None:  # its objects would have no owner, and nothing would delete them
        remedy = (
            "there is no Rollout of that name in the cluster any more; to release without one, leave metadata.uid out"
        )
        raise _invalid(request, [f"metadata.uid: {uid!r}: {remedy}"])
    if needs_template(request.rollout) and request.workload is None:
        reference = manifest.spec.workload_ref
        name = reference.name if reference else ""
        raise _invalid(request, [f"spec.workloadRef.name: {name!r}: no such Deployment; create it first"])
    plan = Plan.of(request.resolved(), manifest, seen, _hold_limit(request, manifest), _bake(request, manifest, seen))
    try:
        findings = check_release(
            request.rollout,
            plan.templates,
            seen.services,
            seen.routed,
            standing=seen.standing,
            workload=request.workload.as_object() if request.workload is not None else None,
            compile_condition=compile_condition,
        )
    except ManifestError as error:
        raise _invalid(request, [str(finding) for finding in error.findings]) from error
    _refuse(request, findings)
    if problems := _analysis_problems(plan):
        raise _invalid(request, problems)
    return plan, tuple(str(finding) for finding in findings if finding.severity is Severity.WARNING)


def describe(plan: Plan, status: ReleaseStatus, outcome: str = "Healthy") -> ReleaseResult:
    """Result of the release."""
    return ReleaseResult(outcome=outcome, message=status.message, revision=plan.revision, hash=plan.hash, status=status)


def _analysis_problems(plan: Plan) -> list[str]:
    problems = []
    for name, analysis in plan.gates:
        try:
            (plan.promoted_spec if name == Stage.POST_PROMOTION else plan.analysis_spec)(analysis)
        except SpecError as error:
            problems.append(str(error))
    problems += _bake_problems(plan)
    problems += _advance_problems(plan)
    for index, step in enumerate(plan.steps):
        if step.experiment is not None:
            problems += _experiment_problems(plan, index, step.experiment)
    return problems


def _bake(request: ReleaseRequest, manifest: ParsedRollout, seen: Observation) -> BakePlan | None:
    """The bake that the annotations ask for, or the default of the cluster where it is known by what to watch."""
    annotations = manifest.annotations
    try:
        annotated, analysis = bake_duration(annotations), bake_analysis(annotations, background_of(request))
    except ValueError as error:
        raise _invalid(request, [str(error)]) from error
    duration = seen.bake if annotated is None else annotated
    if analysis is None and annotated:
        text = (
            f"metadata.annotations['{BAKE}']: {annotations[BAKE]!r}: nothing says by what to watch: name templates in"
        )
        raise _invalid(request, [f"{text} '{BAKE_TEMPLATES}', or in spec.strategy.canary.analysis"])
    return BakePlan(duration, analysis) if duration and analysis is not None else None


def _bake_problems(plan: Plan) -> list[str]:
    """Problems of the bake's templates, named by the annotation.

    Those of the background analysis are found with the steps, so they count here only where there is no background
    analysis.
    """
    if (bake := plan.bake) is None:
        return []
    try:
        plan.bake_spec(bake.analysis)
    except SpecError as error:
        text = plan.manifest.annotations.get(BAKE_TEMPLATES)
        if text is None:
            known = plan.background is not None and str(error) != NOTHING_TO_BAKE_BY
            return [] if known else [str(error)]
        return [f"metadata.annotations['{BAKE_TEMPLATES}']: {text!r}: {error}; create it, or name another one"]
    return []


def _advance_problems(plan: Plan) -> list[str]:
    """Problems of the annotation that lets a comparison shorten pauses."""
    text = plan.manifest.annotations.get(ADVANCE)
    if text is None:
        return []
    name = f"metadata.annotations['{ADVANCE}']: {text!r}"
    if text != WHEN_PROVEN:
        return [f"{name}: write {WHEN_PROVEN}, or leave it out"]
    try:
        compares = plan.background is not None and has_comparison(plan.analysis_spec(plan.background))
    except SpecError:  # it is among the problems of the analyses
        return []
    if not compares:
        return [f"{name}: the background analysis compares nothing: add a metric with provider.plugin.tidegate/compare"]
    return []


def _experiment_problems(plan: Plan, index: int, step: ExperimentStep) -> list[str]:
    """Problems of an experiment's analyses, with placeholders for arguments that are known only later."""
    try:
        placeholders = {template.name: Subject(template.name, template.name) for template in step.templates}
        for analysis in plan.experiment_analyses(index, placeholders).values():
            plan.analysis_spec(analysis)
    except SpecError as error:
        return [f"spec.strategy.canary.steps[{index}].experiment.analyses: {error}"]
    return []


def _hold_limit(request: ReleaseRequest, manifest: ParsedRollout) -> timedelta | None:
    text = manifest.annotations.get(HOLD_LIMIT)
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise _invalid(request, [f"metadata.annotations['{HOLD_LIMIT}']: {text!r}: {error}"]) from error


def _refuse(request: ReleaseRequest, findings: list[Finding]) -> None:
    if problems := errors(findings):
        raise _invalid(request, [str(problem) for problem in problems])


def _invalid(request: ReleaseRequest, problems: list[str]) -> ApplicationError:
    more = f" (and {len(problems) - _SHOWN_ERRORS} more)" if len(problems) > _SHOWN_ERRORS else ""
    text = "; ".join(problems[:_SHOWN_ERRORS])
    return invalid(harmless(f"Rollout/{request.name}: {text}{more}"))
