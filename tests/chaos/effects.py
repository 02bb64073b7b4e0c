"""What people's systems heard of the aborts of a round: each of it once (law 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowFailureError

from sandbox.git import GitRepository, git
from tests.chaos.plane import Plane
from tidegate.client.translation import release_error
from tidegate.contract import ROLLOUT_WORKFLOW, ErrorType, ReleaseResult

RUN_TRAILER = "Tidegate-Run"
ABORTED = "on-rollout-aborted"


@dataclass(frozen=True)
class Abort:
    """One release that ended as aborted: its run, and the revisions that it told people were given up."""

    workflow_id: str
    run_id: str
    revision: int
    told: bool  # a version that was given up before is not told of again
    compensations: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The Rollout's address and the revision, as notifications name them."""
        return f"{self.workflow_id.removeprefix('rollout/')}/{self.revision}"

    def __str__(self) -> str:
        """`the abort of default/payments/plain0/2 by run ...`."""
        return f"the abort of {self.place} by run {self.run_id}"


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
            # A chart is an answer without an id of its own, to the message that has one. It is tried once.
            Counter(
                str((each.metadata or {}).get("event_payload", {}).get("id", each.text))
                for each in messages
                if not each.files
            ),
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
    """What was told twice, or not at all. Whether Git has the right image is for whoever knows what was asked for."""
    wrong = [f"law 6: {count} incidents of {cause}" for cause, count in heard.incidents.items() if count > 1]
    wrong += [f"law 6: {count} commits by run {run}" for run, count in heard.commits.items() if count > 1]
    wrong += [f"law 6: {count} messages of {cause}" for cause, count in heard.messages.items() if count > 1]
    for abort in aborts:
        found = sum(abort.run_id in cause for cause in heard.incidents)
        if found != abort.told:
            wrong.append(f"law 6: {found} incidents of {abort}, which was told {'once' if abort.told else 'before'}")
        if failed := [name for name, state in abort.compensations.items() if state == "failed"]:
            wrong.append(f"{abort} did not succeed with: {', '.join(failed)}")
    for place, asked in Counter(abort.place for abort in aborts if abort.told).items():
        told = sum(cause.startswith(f"notice/{place}/{ABORTED}/") for cause in heard.messages)
        if told < asked:
            wrong.append(f"law 6: {told} messages of {asked} aborts of {place}")
    return wrong
