"""What a release is admitted on: its request can be read, its manifest is sound, what it names exists. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.exceptions import ApplicationError
from tidegate.analysis.spec import SpecError

from tidegate.contract import ErrorType, Observation, ReleaseRequest, ReleaseResult, ReleaseStatus
from tidegate.manifests.decode import decode_object
from tidegate.manifests.durations import parse_duration
from tidegate.manifests.findings import ManifestError
from tidegate.manifests.rollout import Rollout as Manifest
from tidegate.manifests.validation.references import reference_errors
from tidegate.manifests.validation.rollout import validate_rollout
from workflows.plan import HOLD_LIMIT, Plan

_SHOWN_ERRORS = 5


def parse_request(value: Any) -> ReleaseRequest:
    """Read the input of a release. Raises a non-retryable `InvalidSpec` that names field, value and what is allowed."""
    if isinstance(value, ReleaseRequest):
        return value
    try:
        return ReleaseRequest.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the input"
        shown = repr(first.get("input"))[:200]
        raise ApplicationError(
            f"release request: {where}: {shown}: {first['msg']}", type=ErrorType.INVALID_SPEC, non_retryable=True
        ) from error


def read_manifest(request: ReleaseRequest) -> Manifest:
    """The Rollout of a request, checked by itself. Raises `InvalidSpec` with every reason against it."""
    label = f"Rollout/{request.name}"
    try:
        manifest = decode_object(Manifest, request.rollout, label)
    except ManifestError as error:
        raise _refused(label, [str(finding) for finding in error.findings]) from error
    problems = [str(problem) for problem in validate_rollout(manifest)]
    if problems:
        raise _refused(label, problems)
    return manifest


def check(request: ReleaseRequest, manifest: Manifest, seen: Observation) -> tuple[Plan, tuple[str, ...]]:
    """Check what the manifest names against the cluster; returns the plan and the warnings.

    Raises `InvalidSpec` with every reason against it.
    """
    label = f"Rollout/{request.name}"
    plan = Plan.of(request, manifest, seen, _hold_limit(request, label))
    try:
        problems = [
            str(problem) for problem in reference_errors(manifest, seen.services, seen.virtual_services, plan.templates)
        ]
    except ManifestError as error:
        raise _refused(label, [str(finding) for finding in error.findings]) from error
    problems += _analysis_problems(plan)
    if problems:
        raise _refused(label, problems)
    return plan, ()


def describe(plan: Plan, status: ReleaseStatus, outcome: str = "Healthy") -> ReleaseResult:
    """Result of the release."""
    return ReleaseResult(outcome=outcome, message=status.message, revision=plan.revision, hash=plan.hash, status=status)


def _analysis_problems(plan: Plan) -> list[str]:
    problems = []
    analyses = [plan.background, *(plan.step_document(index).get("analysis") for index in range(len(plan.steps)))]
    for analysis in analyses:
        try:
            if analysis is not None:
                plan.analysis_spec(analysis)
        except SpecError as error:
            problems.append(str(error))
    return problems


def _hold_limit(request: ReleaseRequest, label: str) -> timedelta | None:
    text = ((request.rollout.get("metadata") or {}).get("annotations") or {}).get(HOLD_LIMIT)
    if text is None:
        return None
    try:
        return parse_duration(str(text))
    except ValueError as error:
        raise _refused(label, [f"metadata.annotations['{HOLD_LIMIT}']: {text!r}: {error}"]) from error


def _refused(label: str, problems: list[str]) -> ApplicationError:
    more = f" (and {len(problems) - _SHOWN_ERRORS} more)" if len(problems) > _SHOWN_ERRORS else ""
    text = "; ".join(problems[:_SHOWN_ERRORS])
    return ApplicationError(f"{label}: {text}{more}", type=ErrorType.INVALID_SPEC, non_retryable=True)
