"""Texts and attachments of a release's records in ServiceNow: incident, notes, resolution, change. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from tidegate.analysis.compare.measurement import comparison_of, details_of
from tidegate.analysis.status import MetricStatus, Phase
from tidegate.contract import (
    AnalysisRef,
    CloseChange,
    Facts,
    Graph,
    IncidentNote,
    IncidentRequest,
    OpenChange,
    ReleaseStatus,
    ResolveIncidents,
)
from tidegate.manifests.annotations import IMPACT, URGENCY
from tidegate.manifests.drill import EXERCISE
from tidegate.report.chart import chart_of
from workflows.incident_summary import incident_summary
from workflows.plan import Plan

# Annotations of the Rollout: columns of its records.
GROUP = "tidegate.io/servicenow-assignment-group"
FIELD = "tidegate.io/servicenow-field."  # and the name of a column
_COLUMNS = {GROUP: "assignment_group", URGENCY: "urgency", IMPACT: "impact"}
MAX_GRAPHS = 6
GRAPH_MARGIN = timedelta(minutes=10)  # before and after the readings, so that one sees what was usual

_JUDGED = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE)


def incident_request(plan: Plan, status: ReleaseStatus, cause: str) -> IncidentRequest:
    """One incident for (rollout, revision, run, abort), with the failed analysis run and the whole release attached."""
    failed = _guilty(status)
    attachments = {f"analysisrun-{a.name}.json": a.model_dump(mode="json") for a in failed}
    return IncidentRequest(
        correlation_id=incident_cause(plan, status),
        short_description=f"{_exercise(plan)}{_name(plan)}: release of {_images(plan)} was rolled back",
        summary=incident_summary(plan, status),
        description=_description(plan, status, cause, failed),
        facts=_facts(plan, status, cause),
        fields=_columns(plan),
        graphs=tuple(_graphs(plan, failed))[:MAX_GRAPHS],
        attachments={**attachments, "release.json": status.model_dump(mode="json")},
        chart=chart_of(status),
    )


def _exercise(plan: Plan) -> str:
    """Beginning of the title where a drill released the version: it asks no operator to get up."""
    return "Exercise: " if plan.manifest.annotations.get(EXERCISE) == "true" else ""


def _guilty(status: ReleaseStatus) -> list[AnalysisRef]:
    """The gates that ended the release: failed ones, or the inconclusive ones where none failed."""
    failed = [each for each in status.analyses if each.status.phase in (Phase.FAILED, Phase.ERROR)]
    return failed or [each for each in status.analyses if each.status.phase is Phase.INCONCLUSIVE]


def incident_cause(plan: Plan, status: ReleaseStatus) -> str:
    """Correlation id of the incident of an abort.

    The run is part of it: a second attempt at the same revision that fails again is another event.
    """
    return f"{_cause(plan, status)}/aborted"


def _cause(plan: Plan, status: ReleaseStatus) -> str:
    """Common part of the correlation ids. A reset of the run has the same, like the workflows that write them."""
    return f"{status.workflow_id}/{plan.revision}/{status.first_run_id or status.run_id}"


def traffic_note(plan: Plan, status: ReleaseStatus) -> IncidentNote:
    """The note that the traffic is back, or why it cannot be yet."""
    if status.failing is not None:
        text = f"the canary has {status.actual_weight} % of the traffic, and the way back is {status.failing}"
        return _note(plan, status, "refused", text)
    return _note(plan, status, "restored", f"the canary has {status.actual_weight} % of the traffic")


def scale_note(plan: Plan, status: ReleaseStatus) -> IncidentNote:
    """The note that the canary's pods are gone, or kept for a newer version."""
    remaining = sum(each.current for each in status.replica_sets if each.hash == plan.hash)
    return _note(plan, status, "scaled", f"{remaining} pods of the aborted version are left")


def revert_note(plan: Plan, status: ReleaseStatus) -> IncidentNote:
    """The note on the change in Git; the message of the revert follows."""
    return _note(plan, status, "reverted", "what Git says is to run:")


def resolve_request(plan: Plan, status: ReleaseStatus, at: datetime) -> ResolveIncidents:
    """The resolution of incidents that earlier aborts opened; the release is healthy at that time."""
    return ResolveIncidents(
        release=status.workflow_id,
        revision=plan.revision,
        run_id=status.run_id,
        at=at,
        text=f"Tidegate: revision {plan.revision} of {_name(plan)} is healthy with {_images(plan)}",
    )


def change_request(plan: Plan, status: ReleaseStatus) -> OpenChange | None:
    """The change of this run; None where the Rollout wants none."""
    if not plan.wants_change:
        return None
    return OpenChange(
        correlation_id=_change_cause(plan, status),
        short_description=f"{_name(plan)}: release of {_images(plan)}",
        description="\n".join([*_released(plan, status), "Steps:", *(f"  {step}" for step in plan.step_texts)]),
        start=status.started_at,
        facts=_facts(plan, status, ""),
        fields=_columns(plan),
    )


def change_outcome(plan: Plan, status: ReleaseStatus, at: datetime, outcome: str, *, good: bool) -> CloseChange | None:
    """The close of this run's change, with `outcome` as its text; None where the Rollout wants none."""
    if not plan.wants_change:
        return None
    text = f"Tidegate: {outcome}"
    return CloseChange(correlation_id=_change_cause(plan, status), successful=good, text=text, end=at)


def _change_cause(plan: Plan, status: ReleaseStatus) -> str:
    return f"{_cause(plan, status)}/change"


def _columns(plan: Plan) -> dict[str, str]:
    """Columns and their templates from the annotations; a column with an annotation of its own comes last."""
    annotations = plan.manifest.annotations
    generic = {name.removeprefix(FIELD): value for name, value in annotations.items() if name.startswith(FIELD)}
    named = {column: annotations[name] for name, column in _COLUMNS.items() if name in annotations}
    return {**generic, **named}


def _facts(plan: Plan, status: ReleaseStatus, cause: str) -> Facts:
    return Facts(
        namespace=plan.request.namespace,
        rollout=plan.request.name,
        cluster=plan.request.cluster,
        revision=str(plan.revision),
        images=_images(plan),
        step=_step(status),
        weight=str(status.actual_weight),
        by=status.by,
        cause=cause,
        commit=status.source.commit,
        workflow=status.workflow_id,
        run=status.run_id,
    )


def _graphs(plan: Plan, failed: list[AnalysisRef]) -> Iterator[Graph]:
    """Datadog queries of the metrics that were not Successful."""
    datadog = _datadog_metrics(plan.templates)
    for metric in (metric for analysis in failed for metric in analysis.status.metrics):
        if metric.name in datadog and metric.phase in _JUDGED and metric.measurements:
            yield from _graphs_of(metric, datadog[metric.name])


def _graphs_of(metric: MetricStatus, names: frozenset[str]) -> Iterator[Graph]:
    last = metric.measurements[-1]
    start, end = metric.measurements[0].started_at, last.finished_at or last.started_at
    for query in _queries(last.query, names):
        yield Graph(metric=metric.name, query=query, start=start - GRAPH_MARGIN, end=end + GRAPH_MARGIN)


def _queries(text: str, names: frozenset[str]) -> list[str]:
    """The queries in the text of a reading, each on one line: below a formula each begins behind its name.

    A query may have several lines itself. A line break in it is a space to Datadog, and a link has none.
    """
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        name, separator, rest = line.partition(": ")
        if separator and name in names and found != [[]]:
            found.append([rest])
        else:
            found[-1].append(line)
    queries = found[1:] or found
    return [query for lines in queries if (query := " ".join(" ".join(lines).split()))]


def _datadog_metrics(templates: Iterable[dict[str, Any]]) -> dict[str, frozenset[str]]:
    """Names of the queries of each metric that Datadog is asked for."""
    specs = (template.get("spec") or {} for template in templates)
    metrics = [metric for spec in specs for metric in spec.get("metrics") or ()]
    providers = {metric.get("name", ""): (metric.get("provider") or {}).get("datadog") for metric in metrics}
    return {
        name: frozenset((provider.get("queries") or {}) if isinstance(provider, dict) else ())
        for name, provider in providers.items()
        if provider is not None
    }


def _note(plan: Plan, status: ReleaseStatus, event: str, text: str) -> IncidentNote:
    return IncidentNote(
        correlation_id=incident_cause(plan, status),
        event=f"{_cause(plan, status)}/{event}",
        text=f"Tidegate: {text}",
    )


def plan_images(plan: Plan) -> dict[str, str]:
    """Container -> image of the version."""
    containers = plan.request.rollout["spec"]["template"]["spec"]["containers"]
    return {container["name"]: container.get("image", "") for container in containers}


def _name(plan: Plan) -> str:
    return f"{plan.request.namespace}/{plan.request.name}"


def _images(plan: Plan) -> str:
    return ", ".join(plan_images(plan).values())


def _step(status: ReleaseStatus) -> str:
    index = status.step_index
    return status.steps[index].text if index is not None and index < len(status.steps) else "none"


def _description(plan: Plan, status: ReleaseStatus, cause: str, failed: list[AnalysisRef]) -> str:
    highest = max((row.canary for row in status.weights), default=0)
    lines = [
        f"Cause: {cause}",
        *_released(plan, status),
        f"Step: {_step(status)}; highest weight that the canary had: {highest} %",
        f"Traffic: {status.actual_weight} % on the canary now",
        *([f"The way back is {status.failing}"] if status.failing is not None else []),
        *(line for analysis in failed for line in _measurements(analysis)),
    ]
    return "\n".join(lines)


def _released(plan: Plan, status: ReleaseStatus) -> list[str]:
    """Lines with version, images, Git commit, CI run and requester."""
    source = status.source
    return [
        f"Rollout {_name(plan)} on cluster {plan.request.cluster}, revision {plan.revision} ({plan.hash})",
        f"Images: {', '.join(f'{name}={image}' for name, image in plan_images(plan).items())}",
        f"Asked for by: {status.by or 'unknown'}",
        *([f"Git: {source.repository} {source.commit}".rstrip()] if source.repository or source.commit else []),
        *([f"CI run: {source.ci_url}"] if source.ci_url else []),
        f"Temporal workflow: {status.workflow_id}, run {status.run_id}",
    ]


def _measurements(analysis: AnalysisRef) -> list[str]:
    lines = ["", f"{analysis.kind} analysis {analysis.name}: {analysis.status.phase} {analysis.status.message}"]
    for metric in analysis.status.metrics:
        if (judged := comparison_of(metric)) is not None:
            lines.append(f"  {metric.name}: {metric.phase} (canary compared with stable)")
            lines += [f"    {text}" for text in (judged.value, *details_of(judged))]
            continue
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
