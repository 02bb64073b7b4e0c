"""The tree of a Rollout: its revisions with their ReplicaSets, pods and analysis runs, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich.text import Text

from tidegate.analysis.status import AnalysisStatus, MetricStatus
from tidegate.cli.formatting import fitted, marked
from tidegate.contract import AnalysisRef, Observation, ReleaseStatus
from tidegate.report.ages import age, since
from tidegate.report.marks import BAD, NEUTRAL, OK, PROGRESSING, UNKNOWN, WARNING
from tidegate.report.versions import replica_sets, role
from tidegate.rollouts.replica_sets import PodState, ReplicaSetState

_TITLES = ("NAME", "KIND", "STATUS", "AGE", "INFO")
_POD_MARKS = {
    "Running": OK,
    "Succeeded": OK,
    "Completed": OK,
    "Pending": PROGRESSING,
    "ContainerCreating": PROGRESSING,
    "PodInitializing": PROGRESSING,
    "Terminating": PROGRESSING,
}


@dataclass(frozen=True)
class TreeNode:
    """One line of the tree with what hangs below it."""

    name: str
    kind: str = ""
    status: Text = field(default_factory=Text)
    age: str = ""
    info: str = ""
    children: tuple[TreeNode, ...] = ()


def tree(status: ReleaseStatus, observation: Observation | None, now: datetime, width: int | None = None) -> list[Text]:
    """Lines of the tree, in so many characters; pods are in it when the cluster was observed."""
    sets = replica_sets(status, observation)
    revisions = {each.revision for each in sets} | {each.revision for each in status.analyses}
    root = TreeNode(
        name=f"⟳ {status.name}",
        kind="Rollout",
        status=marked(status.phase),
        age=since(min((each.created_at for each in sets if each.created_at), default=status.started_at), now),
        children=tuple(_revision(number, sets, status, now) for number in sorted(revisions, reverse=True)),
    )
    return fitted([_TITLES, *_rows(root, "", "")], width)


def counts(status: AnalysisStatus) -> str:
    """Measurements of an analysis run by verdict, those that occurred: `✔ 3,✖ 1`."""
    return tally(*status.metrics)


def tally(*metrics: MetricStatus) -> str:
    """Measurements of some metrics by verdict, those that occurred: `✔ 3,✖ 1`."""
    totals = (
        (OK, sum(metric.successful for metric in metrics)),
        (BAD, sum(metric.failed for metric in metrics)),
        (UNKNOWN, sum(metric.inconclusive for metric in metrics)),
        (WARNING, sum(metric.error for metric in metrics)),
    )
    return ",".join(f"{icon} {total}" for icon, total in totals if total)


def _revision(number: int, sets: Sequence[ReplicaSetState], status: ReleaseStatus, now: datetime) -> TreeNode:
    members = [_replica_set(each, status, now) for each in sets if each.revision == number]
    runs = [_analysis(each, now) for each in status.analyses if each.revision == number]
    return TreeNode(name=f"# revision:{number}", children=(*members, *runs))


def _replica_set(each: ReplicaSetState, status: ReleaseStatus, now: datetime) -> TreeNode:
    info = [role(each, status)]
    if each.scale_down_at is not None:
        remaining = each.scale_down_at - now
        info.append(f"delay:{age(remaining)}" if remaining.total_seconds() > 0 else "delay:passed")
    return TreeNode(
        name=f"⧉ {each.name}",
        kind="ReplicaSet",
        status=_health(each),
        age=since(each.created_at, now),
        info=",".join(filter(None, info)),
        children=tuple(_pod(pod, now) for pod in each.pods),
    )


def _health(each: ReplicaSetState) -> Text:
    if not each.desired and not each.current:
        return marked("ScaledDown", NEUTRAL)
    if any(_pod_mark(pod) == BAD for pod in each.pods):
        return marked("Degraded")
    converged = each.current == each.desired <= each.available
    return marked("Healthy" if converged else "Progressing")


def _pod(pod: PodState, now: datetime) -> TreeNode:
    info = [f"ready:{int(pod.ready)}/1"]
    if pod.restarts:
        info.append(f"restarts:{pod.restarts}")
    if pod.message:
        info.append(pod.message)
    return TreeNode(
        name=f"□ {pod.name}",
        kind="Pod",
        status=marked(pod.phase, _pod_mark(pod)),
        age=since(pod.created_at, now),
        info=",".join(info),
    )


def is_healthy(pod: PodState) -> bool:
    """True for a pod that runs, comes or goes as it should."""
    return _pod_mark(pod) != BAD


def _pod_mark(pod: PodState) -> str:
    return _POD_MARKS.get(pod.phase, BAD)


def _analysis(run: AnalysisRef, now: datetime) -> TreeNode:
    return TreeNode(
        name=f"α {run.name}",
        kind="AnalysisRun",
        status=marked(run.status.phase),
        age=since(run.status.started_at, now),
        info=counts(run.status),
    )


def _rows(node: TreeNode, first: str, rest: str) -> list[tuple[str | Text, ...]]:
    """The node's own row behind `first`, and those of its children behind `rest`."""
    rows: list[tuple[str | Text, ...]] = [(first + node.name, node.kind, node.status, node.age, node.info)]
    for number, child in enumerate(node.children, start=1):
        branch, below = ("└──", "   ") if number == len(node.children) else ("├──", "│  ")
        rows += _rows(child, rest + branch, rest + below)
    return rows
