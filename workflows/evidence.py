"""The evidence of an aborted release: what its incident says. Pure."""

from __future__ import annotations

from tidegate.analysis.status import Phase
from tidegate.contract import AnalysisRef, Compensation, IncidentNote, IncidentRef, IncidentRequest, ReleaseStatus
from tidegate.story.chart import chart_of
from workflows.plan import Plan

_JUDGED = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE)


def incident_request(plan: Plan, status: ReleaseStatus, cause: str) -> IncidentRequest:
    """One incident for (rollout, revision, run, abort), with the failed analysis run and the whole release attached.

    The run is part of the id: a second try of the same revision that fails again is another event.
    """
    failed = [analysis for analysis in status.analyses if analysis.status.phase in _JUDGED]
    images = ", ".join(plan_images(plan).values())
    attachments = {f"analysisrun-{a.name}.json": a.model_dump(mode="json") for a in failed}
    return IncidentRequest(
        correlation_id=f"{status.workflow_id}/{plan.revision}/{status.run_id}/aborted",
        short_description=f"{plan.request.namespace}/{plan.request.name}: release of {images} was rolled back",
        description=_description(plan, status, cause, failed),
        attachments={**attachments, "release.json": status.model_dump(mode="json")},
        chart=chart_of(status),
    )


def incident_note(status: ReleaseStatus, incident: IncidentRef) -> IncidentNote:
    """What was done, one line each."""
    rows = [row for row in status.compensations if row.state == "done" and row.name != Compensation.INCIDENT]
    lines = [f"{row.at:%H:%M:%S} UTC {row.name}: {row.state} {row.detail}".rstrip() for row in rows if row.at]
    return IncidentNote(
        sys_id=incident.sys_id,
        event=f"{status.workflow_id}/{status.revision}/{status.run_id}/restored",
        text="\n".join([f"Tidegate: the canary has {status.actual_weight} % of the traffic", *lines]),
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
