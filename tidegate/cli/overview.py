"""`get rollout`: the header as `kubectl argo rollouts` prints it, what is waited for, the tree, the last events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from tidegate.cli.formatting import columns, labelled, marked
from tidegate.cli.tree import tree
from tidegate.contract import Observation, ReleaseStatus, ReplicaCounts, StrategyName, Waiting
from tidegate.report import actual_weight, comparisons, traffic_seen
from tidegate.report.ages import age, since
from tidegate.report.current_state import weights
from tidegate.report.marks import BAD, OK, PROGRESSING, WAITING, WARNING
from tidegate.report.versions import replica_sets, role
from tidegate.rollouts.replica_sets import ReplicaSetState

_EVENTS_SHOWN = 8
_STRATEGIES = {StrategyName.CANARY: "Canary", StrategyName.BLUE_GREEN: "BlueGreen"}  # as Argo's plugin
_COMPENSATION_MARKS = {"pending": WAITING, "running": PROGRESSING, "done": OK, "skipped": WARNING, "failed": BAD}


def overview(
    status: ReleaseStatus, observation: Observation | None, now: datetime, width: int | None = None
) -> list[Text]:
    """The whole view of one release, as lines; its tree in so many characters, while texts wrap."""
    return [*header(status, observation, now), Text(), *tree(status, observation, now, width), *_events(status, now)]


def header(status: ReleaseStatus, observation: Observation | None, now: datetime) -> list[Text]:
    """The block above the tree."""
    sets = replica_sets(status, observation)
    lines = [labelled("Name:", status.name), labelled("Namespace:", status.namespace)]
    if status.cluster != "default":
        lines.append(labelled("Cluster:", status.cluster))
    lines.append(labelled("Status:", marked(status.phase)))
    if status.message:
        lines.append(labelled("Message:", status.message))
    if status.failing is not None:
        lines.append(labelled("Failing:", str(status.failing)))
    lines += [labelled("Strategy:", _STRATEGIES[status.strategy]), *_progress(status)]
    if status.paused_by:
        lines.append(labelled("Paused by:", status.paused_by))
    if status.waiting is not None:
        lines += _waiting(status.waiting, now)
    for number, (metric, judged) in enumerate(comparisons(status)):
        lines.append(labelled("" if number else "Comparison:", f"{metric.name}: {judged.value}"))
    lines += _images(status, sets)
    lines += _counts(status.counts)
    lines += _origin(status)
    lines += _aftermath(status)
    return lines


def current_step(status: ReleaseStatus) -> str:
    """Number of the step under way of all steps, `1/8`; empty when there are none."""
    return f"{status.step_number}/{len(status.steps)}" if status.step_number is not None else ""


def _progress(status: ReleaseStatus) -> list[Text]:
    lines = []
    if step := current_step(status):
        index = status.step_index or 0
        text = status.steps[index].text if index < len(status.steps) else ""
        lines.append(labelled("  Step:", f"{step}  {text}".rstrip()))
    if status.strategy is not StrategyName.CANARY:
        return [*lines, *(labelled(f"  {name.capitalize()}:", version) for name, version in weights(status))]
    lines.append(labelled("  SetWeight:", str(status.set_weight)))
    lines.append(labelled("  ActualWeight:", actual_weight(status).replace(" %", "", 1)))
    if seen := traffic_seen(status):
        lines.append(labelled("  SeenWeight:", seen.removesuffix(" %")))
    return lines


def _waiting(waiting: Waiting, now: datetime) -> list[Text]:
    until = waiting.end
    if waiting.until is not None:
        remaining = f"{age(waiting.until - now)} left" if waiting.until > now else "due"
        until = f"{waiting.until:%H:%M:%S} UTC ({remaining})"
    return [
        labelled("Waiting for:", waiting.what),
        labelled("  Since:", f"{waiting.since:%H:%M:%S} UTC ({since(waiting.since, now)})"),
        labelled("  Until:", until),
        labelled("  Ended by:", waiting.who),
    ]


def _images(status: ReleaseStatus, sets: Sequence[ReplicaSetState]) -> list[Text]:
    tags: dict[str, list[str]] = {}
    for each in sets:
        if not each.desired and not each.current:
            continue
        for image in each.images.values():
            found = tags.setdefault(image, [])
            if (tag := role(each, status)) and tag not in found:
                found.append(tag)
    for image in status.images.values():  # also when its pods are gone: it is what people ask for after an abort
        tags.setdefault(image, [] if status.ended_by is None else ["aborted" if status.aborting else "refused"])
    texts = [f"{image} ({', '.join(found)})" if found else image for image, found in sorted(tags.items())]
    return [labelled("" if number else "Images:", text) for number, text in enumerate(texts)]


def _counts(counts: ReplicaCounts) -> list[Text]:
    return [
        Text("Replicas:"),
        labelled("  Desired:", str(counts.desired)),
        labelled("  Current:", str(counts.current)),
        labelled("  Updated:", str(counts.updated)),
        labelled("  Ready:", str(counts.ready)),
        labelled("  Available:", str(counts.available)),
    ]


def _origin(status: ReleaseStatus) -> list[Text]:
    lines = [labelled("Workflow:", f"{status.workflow_id} (run {status.run_id})")]
    if status.by:
        lines.append(labelled("Started by:", status.by))
    commit = " ".join(filter(None, (status.source.repository, status.source.commit)))
    if commit:
        lines.append(labelled("Commit:", commit))
    if status.source.ci_url:
        lines.append(labelled("CI:", status.source.ci_url))
    return lines


def _aftermath(status: ReleaseStatus) -> list[Text]:
    lines = []
    for number, each in enumerate(status.compensations):
        detail = f"{each.name}: {each.detail}" if each.detail else each.name
        icon = _COMPENSATION_MARKS.get(each.state, WAITING)
        lines.append(labelled("" if number else "Undoing:", marked(f"{detail} ({each.state})", icon)))
    if status.incident is not None:
        lines.append(labelled("Incident:", f"{status.incident.number} {status.incident.url}"))
    lines += [labelled("Warning:", marked(text, WARNING)) for text in status.warnings]
    return lines


def _events(status: ReleaseStatus, now: datetime) -> list[Text]:
    shown = status.events[-_EVENTS_SHOWN:]
    if not shown:
        return []
    rows: list[Sequence[str | Text]] = [("AGE", "EVENT", "MESSAGE")]
    for event in shown:
        reason = marked(event.reason, WARNING) if event.warning else event.reason
        rows.append((since(event.at, now), reason, event.message))
    return [Text(), *columns(rows)]
