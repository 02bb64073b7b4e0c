"""The evidence of an aborted release: what its incident says. Pure."""

from __future__ import annotations

from tidegate.analysis.status import Phase
from tidegate.contract import AnalysisRef, IncidentNote, IncidentRequest, ReleaseStatus
from tidegate.story.chart import chart_of
from workflows.plan import Plan

_JUDGED = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE)


def incident_request(plan: Plan, status: ReleaseStatus, cause: str) -> IncidentRequest:
    """One incident for (rollout, revision, run, abort), with the failed analysis run and the whole release attached."""
    failed = [analysis for analysis in status.analyses if analysis.status.phase in _JUDGED]
    images = ", ".join(plan_images(plan).values())
    attachments = {f"analysisrun-{a.name}.json": a.model_dump(mode="json") for a in failed}
    return IncidentRequest(
        correlation_id=incident_cause(plan, status),
        short_description=f"{plan.request.namespace}/{plan.request.name}: release of {images} was rolled back",
        description=_description(plan, status, cause, failed),
        attachments={**attachments, "release.json": status.model_dump(mode="json")},
        chart=chart_of(status),
    )


def incident_cause(plan: Plan, status: ReleaseStatus) -> str:
    """Correlation id of the incident of an abort.

    The run is part of it: a second try of the same revision that fails again is another event.
    """
    return f"{status.workflow_id}/{plan.revision}/{status.run_id}/aborted"


def traffic_note(plan: Plan, status: ReleaseStatus) -> IncidentNote:
    """The traffic is back, which is what people wait for."""
    return _note(plan, status, "restored", f"the canary has {status.actual_weight} % of the traffic")


def scale_note(plan: Plan, status: ReleaseStatus) -> IncidentNote:
    """The canary's pods are gone, or kept for a newer version."""
    left = sum(each.current for each in status.replica_sets if each.hash == plan.hash)
    return _note(plan, status, "scaled", f"{left} pods of the aborted version are left")


def revert_note(plan: Plan, status: ReleaseStatus) -> IncidentNote:
    """What was done in Git; the message of the revert follows."""
    return _note(plan, status, "reverted", "what Git says is to run:")


def _note(plan: Plan, status: ReleaseStatus, event: str, text: str) -> IncidentNote:
    return IncidentNote(
        correlation_id=incident_cause(plan, status),
        event=f"{status.workflow_id}/{plan.revision}/{status.run_id}/{event}",
        text=f"Tidegate: {text}",
    )


def plan_images(plan: Plan) -> dict[str, str]:
    """Container -> image of the version."""
    containers = plan.request.rollout["spec"]["template"]["spec"]["containers"]
    return {container["name"]: container.get("image", "") for container in containers}


def _description(plan: Plan, status: ReleaseStatus, cause: str, failed: list[AnalysisRef]) -> str:
    index = status.step_index
    step = status.steps[index].text if index is not None and index < len(status.steps) else "none"
    highest = max((row.canary for row in status.weights), default=0)
    source = status.source
    lines = [
        f"Cause: {cause}",
        f"Rollout {plan.request.namespace}/{plan.request.name} on cluster {plan.request.cluster}, "
        f"revision {plan.revision} ({plan.hash})",
        f"Images: {', '.join(f'{name}={image}' for name, image in plan_images(plan).items())}",
        f"Step: {step}; highest weight that the canary had: {highest} %",
        f"Asked for by: {status.by or 'unknown'}",
        *([f"Git: {source.repository} {source.commit}".rstrip()] if source.repository or source.commit else []),
        *([f"CI run: {source.ci_url}"] if source.ci_url else []),
        f"Temporal workflow: {status.workflow_id}, run {status.run_id}",
        f"Traffic: {status.actual_weight} % on the canary now",
        *(line for analysis in failed for line in _measurements(analysis)),
    ]
    return "\n".join(lines)


def _measurements(analysis: AnalysisRef) -> list[str]:
    lines = ["", f"{analysis.kind} analysis {analysis.name}: {analysis.status.phase} {analysis.status.message}"]
    for metric in analysis.status.metrics:
        lines.append(
            f"  {metric.name}: {metric.phase} ({_thresholds(metric.success_condition, metric.failure_condition)})"
        )
        lines.extend(
            f"    {m.started_at:%H:%M:%S} {m.value} {m.phase} {m.reason}".rstrip() for m in metric.measurements
        )
    return lines


def _thresholds(success: str, failure: str) -> str:
    parts = [f"success: {success}" if success else "", f"failure: {failure}" if failure else ""]
    return ", ".join(part for part in parts if part) or "no condition"
