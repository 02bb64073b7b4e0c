"""Writes docs/reference.md from the names in the code, each with its meaning: `python -m tests.docs.reference`."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Final

from activities.kubernetes import client, ownership, replica_sets, workloads
from activities.reconcile import experiment_objects
from activities.routers import gateway_api
from tests.structure.sources import ROOT, modules
from tidegate.cli.exits import ExitCode
from tidegate.contract import names, parsed_rollout
from tidegate.contract.names import SEARCH_ATTRIBUTES, Activity, ErrorType, Query, Signal, Update
from tidegate.manifests import annotations, bake, drill
from tidegate.rollouts.conditions import REFUSALS
from workers.watch import dispatch, stuck
from workflows import handlers, incident_requests, plan, reverts

PAGE: Final = ROOT / "docs" / "reference.md"
_INTRODUCTION: Final = """# Names

Every name that a person or a program may meet, as the code has it. Two groups have a page of their own:
[settings](settings.md) and [metrics](metrics.md). Payloads are in `tests/contract/wire.json`.

This page is written from the code: `python -m tests.docs.reference`.
"""

# People write these on a Rollout. A value is what one may be.
WRITTEN_BY_PEOPLE: Final[Mapping[str, str]] = {
    parsed_rollout.RAMP: "`true`: a step's pods come `maxSurge` at a time",
    plan.ADVANCE: "`when-proven`: a timed pause ends as soon as enough is proven",
    annotations.HOLD_LIMIT: "a time such as `4h`: how long a release waits for an operator until it aborts",
    bake.BAKE: "a time such as `30m`: how long a version is watched at 100 %; `0s` for none",
    bake.BAKE_TEMPLATES: "names of templates with commas between; `cluster:` before a ClusterAnalysisTemplate",
    reverts.REPOSITORY: "address of the repository in which an abort puts the image back",
    reverts.BRANCH: "its branch; `main` by default",
    reverts.PATH: "folder or file in it; `.` by default",
    reverts.MODE: "`push`, or `branch` for a pull request",
    drill.DRILL: "`CONTAINER=IMAGE` of a version that is bad on purpose: a drill may release it",
    plan.CHANGE: "`true`: each release has a change in ServiceNow",
    incident_requests.GROUP: "assignment group of an incident",
    annotations.URGENCY: "`1`, `2` or `3`",
    annotations.IMPACT: "`1`, `2` or `3`",
    f"{incident_requests.FIELD}<column>": "any other column that the worker allows",
}
# Tidegate writes these on objects; people and GitOps tools leave them alone.
WRITTEN_BY_TIDEGATE: Final[Mapping[str, str]] = {
    client.FENCE_ANNOTATION: "annotation of each written object: start of the release and number of the write",
    gateway_api.EXPERIMENTS: "annotation of a route: Services of experiments that a release added",
    ownership.PART_OF_EXPERIMENT: "label of all that belongs to an experiment",
    experiment_objects.SERVICE: "annotation of a ReplicaSet of an experiment: its Service",
    drill.EXERCISE: "annotation of what a drill releases",
    replica_sets.PROMOTED_AT: "annotation of a ReplicaSet: when it was promoted",
    replica_sets.UNFINISHED: "annotation of a ReplicaSet: metadata of its pods are still to follow",
    workloads.TAKEN_OVER_BY: "annotation of a Deployment: the Rollout for which it was scaled down",
    workloads.REPLICAS_BEFORE: "annotation of a Deployment: how many replicas it had before",
}
SEARCHED: Final[Mapping[str, str]] = {
    "TidegateNamespace": "namespace of the Rollout",
    "TidegateService": "name of the Rollout",
    "TidegatePhase": "phase of the Rollout, as Argo names it",
    "TidegateWeight": "percent on the canary",
    "TidegateRevision": "number of the version",
    "TidegateVersion": "tags of the images",
    "TidegateBy": "the person or system that asked for the version",
    "TidegateWaitingFor": f"kind of the current wait; `{names.FOR_AN_OPERATOR}` where a person has to decide",
    "TidegateOutcome": "`Healthy`, or the type of the error; unset before the end",
}
# Events of a release. `test_reference.py` compares the reasons with those in the code.
OF_A_RELEASE: Final[Mapping[str, str]] = {
    "RolloutUpdated": "a version is released, another one is asked for, or the object was changed beside it",
    "NewReplicaSetCreated": "the version has a ReplicaSet",
    "ScalingReplicaSet": "a ReplicaSet, or the Deployment of `workloadRef`, has another number of pods",
    "SwitchService": "a Service selects another version",
    "TrafficWeightUpdated": "the canary has another weight; a warning where its way back is difficult",
    "TrafficRoutingError": "the cluster refuses a write of the traffic",
    "ReplicaSetCreateError": "the cluster refuses a ReplicaSet",
    "ReconciliationError": "the cluster refuses another write",
    "CreatingCanaryIngress": "NGINX: the canary Ingress was made",
    "PatchingCanaryIngress": "NGINX: it has another weight",
    "ManagedRoutesUpdated": "header and mirror routes were added or removed",
    "ForeignWeights": "somebody else changed a route; the text says who",
    "RolloutStepCompleted": "a step is done",
    "RolloutPaused": "the release waits",
    "RolloutResumed": "a pause is over, or the release goes on where another controller left it",
    "RolloutPromoted": "a person or a program asked to go on",
    "RolloutCompleted": "the version is stable now",
    "RolloutAborted": "the release aborts, and why",
    "RolloutRestarted": "the older pods were replaced",
    "RestartRequested": "new pods of the same version are asked for",
    "RestartFailed": "the time in `spec.restartAt` cannot be read, or pods were not replaced",
    "ProgressDeadlineExceeded": "pods did not come in time",
    "AnalysisRunRunning": "an analysis run begins",
    "AnalysisRunNameTaken": "another analysis run has the name",
    "AnalysisRun<phase>": "an analysis run ended: `AnalysisRunSuccessful`, `Failed`, `Inconclusive` or `Error`",
    "Experiment": "objects of an experiment were made or removed",
    "ExperimentCreated": "an experiment begins",
    "Experiment<phase>": "an experiment ended: `ExperimentSuccessful`, `Failed`, `Inconclusive` or `Error`",
    "BakeStarted": "the watch at 100 % begins",
    "BakeCompleted": "it is over, or an operator ended it",
    "IncidentOpened": "an incident was opened, with its number",
    "IncidentsResolved": "incidents of the versions before were resolved",
    "ChangeOpened": "a change was opened in ServiceNow",
    "ChangeClosed": "it was closed",
    "GitReverted": "the image was put back in Git, with the commit",
    "GitUnchanged": "nothing was to be put back in Git, and why",
    "CompensationFailed": "a part of the abort failed for good: an operator is needed",
    "FollowUpFailed": "another effect failed for good",
    "UnknownSignal": "a signal has a name that a release does not know",
    "UnreadableMessage": "a message of another workflow cannot be read",
}
OF_THE_WATCHER: Final[Mapping[str, str]] = {
    dispatch.INVALID_SPEC: "the spec is refused, with field and remedy",
    dispatch.NOT_NOW: "a request cannot be carried out now, and why",
    dispatch.HELD_BY_ARGO: "a controller of Argo Rollouts acts on the object",
    stuck.STUCK: "the workflow task of the release fails",
    stuck.GIVEN_UP: "a release that could not go on was terminated; its traffic goes back",
}
PURPOSES: Final[Mapping[str, tuple[str, str]]] = {
    names.ROLLOUT_WORKFLOW: (names.rollout_id("<cluster>", "<namespace>", "<name>"), "one release of a Rollout"),
    names.ANALYSIS_WORKFLOW: (names.analysis_id("<cluster>", "<namespace>", "<run>"), "one execution of templates"),
    names.EXPERIMENT_WORKFLOW: (
        names.experiment_id("<cluster>", "<namespace>", "<name>", "<uid>"),
        "one Experiment object: versions side by side for a time",
    ),
    names.FOLLOW_UP_WORKFLOW: (
        f"{names.follow_ups_of('<cluster>/<namespace>/<name>')}<revision>/<run>/<decision>",
        "the effects of one decision in outside systems",
    ),
    names.ROLLBACK_WORKFLOW: (names.rollback_id("<cluster>", "<namespace>", "<name>"), "`tidegate undo`"),
    names.LET_GO_WORKFLOW: (
        names.let_go_id("<cluster>", "<namespace>", "<name>", "<uid>"),
        "objects of a Rollout that was deleted are given back",
    ),
    names.FORECAST_WORKFLOW: (names.forecast_id("<cluster>", "<namespace>", "<name>", "<number>"), "`tidegate plan`"),
    names.BACKTEST_WORKFLOW: (names.backtest_id("<namespace>", "<name>", "<number>"), "`tidegate backtest`"),
    names.DOCTOR_WORKFLOW: (names.doctor_id("<cluster>", "<namespace>", "<number>"), "`tidegate doctor`"),
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; a bar in a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def comments(kind: type[Enum]) -> Iterator[tuple[str, str]]:
    """Value and comment of each member of an enumeration, in order; the comment is on its line."""
    lines = dict(re.findall(r"^    (\w+) = [^#\n]*?(?:  # (.*))?$", inspect.getsource(kind), re.MULTILINE))
    for member in kind:
        yield str(member.value), lines[member.name]


def reasons(source: str) -> Iterator[tuple[str, bool]]:
    """Reason of each Event that a file makes, and whether it is a warning; a phase is `<phase>`."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        named = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if named in ("event", "PendingEvent"):
            for reason in _written(call.args[0]):
                yield from ((reason, kind) for kind in _warnings(call) if reason[:1].isupper())


def _warnings(call: ast.Call) -> tuple[bool, ...]:
    """False, True, or both where it depends."""
    given = next((word.value for word in call.keywords if word.arg == "warning"), ast.Constant(value=False))
    return (bool(given.value),) if isinstance(given, ast.Constant) else (False, True)


def _written(node: ast.expr) -> Iterator[str]:
    """The texts that an expression of literals may be."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "<phase>" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _written(node.body)
        yield from _written(node.orelse)


def events() -> dict[str, set[bool]]:
    """Each reason of an Event of a release that the code has, and whether it is a warning, which may differ."""
    found: dict[str, set[bool]] = {}
    for file in modules("workflows", "activities"):
        for reason, warns in reasons(file.read_text()):
            found.setdefault(reason, set()).add(warns)
    for file in modules("activities"):  # of a router: reason and text
        if file.parent.name == "routers":
            for reason in re.findall(r"return \"([A-Z]\w+)\", f\"", file.read_text()):
                found.setdefault(reason, set()).add(False)
    for refused in REFUSALS:
        found.setdefault(refused.value, set()).add(True)
    for failed in ("CompensationFailed", "FollowUpFailed"):  # one call makes either
        found.setdefault(failed, set()).add(True)
    for reason in ("ChangeOpened", "ChangeClosed", "IncidentsResolved"):  # by the name of the effect
        found.setdefault(reason, set()).add(False)
    return found


def _queues() -> Iterator[tuple[str, str]]:
    yield f"`{names.RELEASES_QUEUE}`", "workflows"
    yield f"`{names.FOLLOW_UP_QUEUE}`", "activities of ServiceNow, Git and notifications"
    yield f"`{names.cluster_queue('<cluster>')}`", "activities that touch one Kubernetes cluster"
    for each in Activity:
        if each.startswith("measure_"):
            provider = each.removeprefix("measure_")
            yield f"`{names.metrics_queue(provider)}`", f"measurements of the provider `{provider}`"


def _messages() -> Iterator[tuple[str, str, str]]:
    described = dict(re.findall(r"name=Signal\.(\w+),\s+description=\"([^\"]+)\"", inspect.getsource(handlers)))
    for signal, comment in comments(Signal):
        yield f"`{signal}`", "signal", described.get(signal.upper(), comment)
    for update, comment in comments(Update):
        yield f"`{update}`", "update", comment or f"as the signal `{update}`, with an answer"
    for query, comment in comments(Query):
        yield f"`{query}`", "query", comment


def render() -> str:
    """The page as Markdown."""
    meaning = ("annotation", "meaning")
    attributes = (
        (f"`{key.name}`", key.indexed_value_type.name.lower(), SEARCHED[key.name]) for key in SEARCH_ATTRIBUTES
    )
    warns = {
        reason: " or ".join(("Normal", "Warning")[kind] for kind in sorted(kinds)) for reason, kinds in events().items()
    }
    released = ((f"`{reason}`", warns[reason], text) for reason, text in OF_A_RELEASE.items())
    running = ((f"`{name}`", f"`{workflow_id}`", purpose) for name, (workflow_id, purpose) in PURPOSES.items())
    watched = ((f"`{reason}`", "Warning", text) for reason, text in OF_THE_WATCHER.items())
    codes = ((f"`{code}`", ExitCode(int(code)).name, text) for code, text in comments(ExitCode))
    sections = {
        "Annotations of a Rollout": table(meaning, _rows(WRITTEN_BY_PEOPLE)),
        "Annotations and labels that Tidegate writes": table(("name", "meaning"), _rows(WRITTEN_BY_TIDEGATE)),
        "Search attributes": table(("attribute", "type", "value"), attributes),
        "Signals, updates and queries": table(("name", "kind", "meaning"), _messages()),
        "Kubernetes Events of a release": table(("reason", "type", "meaning"), released),
        "Kubernetes Events of the watcher": table(("reason", "type", "meaning"), watched),
        "Exit codes": table(("code", "name", "meaning"), codes),
        "Types of errors": "Each with whether a retry helps.\n\n"
        + table(("type", "retry"), _rows(dict(comments(ErrorType)))),
        "Workflows": table(("type", "id", "what it is"), running),
        "Task queues": table(("queue", "work"), _queues()),
        "Activities": table(("activity",), ((f"`{each}`",) for each in Activity)),
    }
    return _INTRODUCTION + "".join(f"\n## {title}\n\n{text}" for title, text in sections.items())


def _rows(named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((f"`{name}`", text) for name, text in named.items())


if __name__ == "__main__":
    PAGE.write_text(render())
