"""What people's systems heard of the aborts of a round: each of it once (law 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowFailureError

from sandbox.git import GitRepository, git
from tests.chaos.plane import Plane
from tidegate.client.errors import release_error
from tidegate.contract import ROLLOUT_WORKFLOW, Compensation, ErrorType, ReleaseResult

RUN_TRAILER = "Tidegate-Run"


@dataclass(frozen=True)
class Abort:
    """One release that ended as aborted: its run, and the revisions that it told people were given up."""

    workflow_id: str
    run_id: str
    revision: int
    told: bool  # a version that was given up before is not told of again
    compensations: dict[str, str] = field(default_factory=dict)


@dataclass
class Heard:
    """What people's systems hold, by its cause."""

    incidents: Counter[str] = field(default_factory=Counter)  # by correlation id
    commits: Counter[str] = field(default_factory=Counter)  # by run
    messages: Counter[str] = field(default_factory=Counter)  # by the notice's id

    @classmethod
    def of(cls, plane: Plane) -> Heard:
        """Everything that a plane's systems hold. Blocks."""
        incidents = plane.servicenow.records.incidents.values()
        messages = [message for channel in plane.slack.channels.values() for message in channel.messages]
        return cls(
            Counter(str(each.fields["correlation_id"]) for each in incidents),
            Counter(_runs(plane.git)),
            Counter(str((each.metadata or {}).get("event_payload", {}).get("id", each.text)) for each in messages),
        )


def _runs(repository: GitRepository) -> Iterable[str]:
    log = git(repository.bare, "log", "--all", f"--format=%(trailers:key={RUN_TRAILER},valueonly)")
    return [line.strip() for line in log.decode().splitlines() if line.strip()]


async def aborts_of(client: Client, runs: Sequence[WorkflowExecution]) -> list[Abort]:
    """The releases among some runs that ended as aborted."""
    return [abort for run in runs if run.workflow_type == ROLLOUT_WORKFLOW and (abort := await _abort(client, run))]


async def _abort(client: Client, run: WorkflowExecution) -> Abort | None:
    if run.status not in (WorkflowExecutionStatus.FAILED, WorkflowExecutionStatus.CANCELED):
        return None
    try:
        await client.get_workflow_handle(run.id, run_id=run.run_id, result_type=ReleaseResult).result()
    except WorkflowFailureError as error:
        result = release_error(error.cause).result
        if result is None or result.outcome != ErrorType.ROLLOUT_ABORTED:
            return None
        rows = {row.name: row.state for row in result.status.compensations}
        told = any(event.reason == "RolloutAborted" for event in result.status.events)
        return Abort(run.id, run.run_id, result.status.revision, told, rows)
    return None


def judge(aborts: Sequence[Abort], heard: Heard) -> list[str]:
    """What was told twice, or not at all."""
    wrong = [f"law 6: {count} incidents of {cause}" for cause, count in heard.incidents.items() if count > 1]
    wrong += [f"law 6: {count} commits by run {run}" for run, count in heard.commits.items() if count > 1]
    wrong += [f"law 6: {count} messages of {cause}" for cause, count in heard.messages.items() if count > 1]
    for abort in aborts:
        wrong += [
            f"{abort.workflow_id} ({abort.run_id}) revision {abort.revision}: {each}" for each in _of(abort, heard)
        ]
    return wrong


def _of(abort: Abort, heard: Heard) -> Iterable[str]:
    incidents = [cause for cause in heard.incidents if abort.run_id in cause]
    if len(incidents) != abort.told:
        yield f"law 6: {len(incidents)} incidents of an abort that was told {'once' if abort.told else 'before'}"
    states = abort.compensations
    if failed := [name for name, state in states.items() if state == "failed"]:
        yield f"did not succeed: {', '.join(failed)}"
    if states.get(Compensation.REVERT) == "done" and abort.told and heard.commits[abort.run_id] > 1:
        yield f"law 6: {heard.commits[abort.run_id]} commits"
