"""One run of a workflow as a server keeps it: what happened, what waits to be told, and the worker's memory of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status
from temporalio.api.failure.v1 import Failure
from temporalio.api.update.v1 import Outcome
from temporalio.bridge.proto.workflow_activation import InitializeWorkflow, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.service import RPCError, RPCStatusCode

from tests.virtual.temporal import failures
from tests.virtual.temporal.commands import ENDS, Commands
from tests.virtual.temporal.instance import Instance, Turn, info_of, replay
from tests.virtual.temporal.loop import running

if TYPE_CHECKING:
    from tests.virtual.temporal.server import VirtualTemporal

TASK_TIMEOUT_SECONDS = 10.0  # until a workflow task is given to another worker


@dataclass
class Update:
    """An update, from its admission to its outcome."""

    outcome: asyncio.Future[Outcome]
    accepted: bool = False


@dataclass
class Execution:
    """A run.

    Attributes:
        turns: its history, as far as a replay needs it.
        parent: who started it, and the number of the command that did.
    """

    server: VirtualTemporal
    workflow_id: str
    run_id: str
    workflow_type: str
    task_queue: str
    arguments: list[Payload]
    first_run_id: str
    parent: tuple[Execution, int] | None = None
    parent_close_policy: int = 1
    continued_from: str = ""
    search_attributes: dict[str, Payload] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.status: Status.ValueType = Status.WORKFLOW_EXECUTION_STATUS_RUNNING
        self.started_at = running().now()
        self.closed_at: datetime | None = None
        self.result = Payload()
        self.failure = Failure()
        self.ended: asyncio.Future[None] = running().create_future()
        self.turns: list[Turn] = []
        self.updates: dict[str, Update] = {}
        self.commands = Commands(self)
        self.stuck = False
        self._jobs: list[WorkflowActivationJob] = []
        self._instance: Instance | None = None
        self._scheduled: asyncio.TimerHandle | None = None
        self._busy = False
        self._resting: list[asyncio.Future[None]] = []
        self._settled: set[tuple[str, int]] = set()
        self._seed = self.server.chances.random.getrandbits(63)
        self.add(WorkflowActivationJob(initialize_workflow=self._initialize()))

    def _initialize(self) -> InitializeWorkflow:
        init = InitializeWorkflow(
            workflow_type=self.workflow_type,
            workflow_id=self.workflow_id,
            arguments=self.arguments,
            randomness_seed=self._seed,
            first_execution_run_id=self.first_run_id,
            original_execution_run_id=self.run_id,
            continued_from_execution_run_id=self.continued_from,
            attempt=1,
        )
        init.start_time.FromDatetime(self.started_at)
        if self.parent is not None:
            parent, _ = self.parent
            init.parent_workflow_info.workflow_id, init.parent_workflow_info.run_id = parent.workflow_id, parent.run_id
            init.parent_workflow_info.namespace = "default"
        return init

    @property
    def closed(self) -> bool:
        return self.closed_at is not None

    @property
    def is_resting(self) -> bool:
        """Whether nothing waits to be told to it, and nothing that it was told is being worked on."""
        return not (self._jobs or self._busy)

    # ------------------------------------------------------------------------------------------------- what it is told

    def add(self, job: WorkflowActivationJob) -> None:
        """Something happened that the workflow has to hear of."""
        if not self.closed:
            self._jobs.append(job)
            self._wake(self.server.chances.latency())

    def drop(self, which: Callable[[WorkflowActivationJob], bool]) -> None:
        """What was not told yet is not told at all."""
        self._jobs = [job for job in self._jobs if not which(job)]

    def activity_ended(self, seq: int, resolution: Any) -> None:
        """An activity ended; None where the workflow was told so before."""
        self.commands.activities.pop(seq, None)
        if resolution is None or ("activity", seq) in self.commands.converged:
            return
        self.commands.converged.add(("activity", seq))
        job = WorkflowActivationJob()
        job.resolve_activity.seq = seq
        job.resolve_activity.result.CopyFrom(resolution)
        self.add(job)

    def request_cancel(self, reason: str) -> None:
        """Ask it to end."""
        job = WorkflowActivationJob()
        job.cancel_workflow.reason = reason
        self.add(job)

    # ------------------------------------------------------------------------------------------------- workflow tasks

    def _wake(self, delay: float) -> None:
        if self.closed or self.stuck or self.is_resting:
            resting, self._resting = self._resting, []
            for rested in resting:
                if not rested.done():
                    rested.set_result(None)
        if self._scheduled is None and not self._busy and not self.stuck and self._jobs:
            self._scheduled = running().call_later(delay, self._task)

    def _task(self) -> None:
        """A worker takes all that there is to tell."""
        self._scheduled = None
        if self.closed or not self._jobs:
            return
        if self.server.chances.strikes("workflow task lost"):
            self.forget()
            self._wake(TASK_TIMEOUT_SECONDS)
            return
        if self.server.chances.strikes("forgotten"):
            self.forget()
        jobs, self._jobs = self._jobs, []
        long = self.server.chances.strikes("long history")
        turns = [Turn(running().now(), jobs, length=3 * len(self.turns) + 3, long=long)]
        try:
            turns = self._play(turns[0])
        except AssertionError as error:
            self._stop(error)
            return
        self._busy = True
        instance = self._instance
        running().call_later(self.server.chances.latency(0.005), lambda: self._completed(turns, instance))

    def _play(self, turn: Turn) -> list[Turn]:
        instance, flags = self._alive(), self._flags()
        self._settled = set(self.commands.converged)
        turns = [instance.play(turn, flags)]
        while jobs := self.commands.answered_at_once(_commands(turns), turns[-1].commands):
            turns.append(instance.play(Turn(turn.at, jobs, length=turn.length), flags))
        return turns

    def _completed(self, turns: list[Turn], instance: Instance | None) -> None:
        """The server takes what the worker answered, unless that has gone meanwhile."""
        self._busy = False
        if self.closed:
            return
        if instance is not self._instance:
            self._again(turns, TASK_TIMEOUT_SECONDS)
            return
        commands = _commands(turns)
        ends = [command for command in commands if command.WhichOneof("variant") in ENDS]
        if ends and any(not job.HasField("do_update") for job in self._jobs):
            # It cannot end while there is something that it has not heard of: the task is done again with that.
            self._again(turns, 0.0)
            return
        refused = _refused(commands, self.updates)
        self.turns += filter(None, (_recorded(turn, refused) for turn in turns))
        self.commands.carry_out(commands)
        if ends:
            self._end(ends[0])
        self._wake(self.server.chances.latency())

    def _again(self, turns: list[Turn], delay: float) -> None:
        """That task counts for nothing: what it was told is told again, with what has happened since."""
        self.forget()
        self.commands.converged = self._settled
        self._jobs = [*turns[0].jobs, *self._jobs]
        self._wake(delay)

    def _alive(self) -> Instance:
        if self._instance is None:
            init = self._initialize()
            first = self.turns[0].at if self.turns else running().now()
            info = info_of(init, self.run_id, self.task_queue, first)
            self._instance = Instance(
                self.server.definition(self.workflow_type), self.server.converter, info, self._seed
            )
            self.server.replays += bool(self.turns)
            replay(self._instance, self.turns)
        return self._instance

    def _flags(self) -> list[int]:
        return sorted({flag for turn in self.turns for flag in turn.flags})

    def _stop(self, error: AssertionError) -> None:
        """Its code cannot go on: on a real server its task would be tried again for ever."""
        self.stuck = True
        self._wake(0.0)
        self.server.troubles.append(f"{self.workflow_id}: {error}")

    def forget(self) -> None:
        """The worker's memory of it is gone."""
        if self._instance is not None:
            self._instance.evict()
            self._instance = None

    # ------------------------------------------------------------------------------------------------------ its doors

    async def query(self, name: str, arguments: Sequence[Payload]) -> Any:
        """Ask it, after it has heard of all that happened before."""
        await self._rested()
        if self.stuck:
            raise RPCError("Workflow Task in failed state", RPCStatusCode.FAILED_PRECONDITION, b"")
        job = WorkflowActivationJob()
        job.query_workflow.query_id, job.query_workflow.query_type = "query", name
        job.query_workflow.arguments.extend(arguments)
        now = self.closed_at or running().now()
        [answer] = self._alive().play(Turn(now, [job]), self._flags(), replaying=self.closed).commands
        return answer.respond_to_query

    async def _rested(self) -> None:
        """Wait until there is nothing to tell it, or it hears nothing any more."""
        while not (self.closed or self.is_resting or self.stuck):
            rested = running().create_future()
            self._resting.append(rested)
            await rested

    def update(self, update_id: str, name: str, arguments: Sequence[Payload], meta: Any) -> Update:
        """Admit an update, or find the one of that id."""
        if (known := self.updates.get(update_id)) is not None:
            return known
        if self.closed:
            raise _completed()
        self.updates[update_id] = admitted = Update(running().create_future())
        job = WorkflowActivationJob()
        job.do_update.id = job.do_update.protocol_instance_id = update_id
        job.do_update.name, job.do_update.run_validator = name, True
        job.do_update.input.extend(arguments)
        job.do_update.meta.CopyFrom(meta)
        self.add(job)
        return admitted

    def answer_update(self, response: Any) -> None:
        """It was accepted, refused or carried out."""
        update = self.updates[response.protocol_instance_id]
        outcome = Outcome()
        if response.HasField("accepted"):
            update.accepted = True
            return
        if response.HasField("completed"):
            outcome.success.payloads.append(response.completed)
        else:
            outcome.failure.CopyFrom(response.rejected)
            if not update.accepted:  # it is in no history: asked again, it is another one
                del self.updates[response.protocol_instance_id]
        if not update.outcome.done():
            update.outcome.set_result(outcome)

    # ------------------------------------------------------------------------------------------------------- its end

    def terminate(self) -> None:
        """End it from outside: it hears nothing of it."""
        self.forget()
        self._close(Status.WORKFLOW_EXECUTION_STATUS_TERMINATED, failure=failures.terminated())

    def _end(self, command: WorkflowCommand) -> None:
        kind = str(command.WhichOneof("variant"))
        if kind == "complete_workflow_execution":
            self._close(Status.WORKFLOW_EXECUTION_STATUS_COMPLETED, result=command.complete_workflow_execution.result)
        elif kind == "fail_workflow_execution":
            self._close(Status.WORKFLOW_EXECUTION_STATUS_FAILED, failure=command.fail_workflow_execution.failure)
        elif kind == "cancel_workflow_execution":
            self._close(Status.WORKFLOW_EXECUTION_STATUS_CANCELED, failure=failures.cancelled())
        else:
            self._close(Status.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW)
            self.server.continue_as_new(self, command.continue_as_new_workflow_execution)

    def _close(self, status: Status.ValueType, result: Payload | None = None, failure: Failure | None = None) -> None:
        self.status, self.closed_at = status, running().now()
        self.result, self.failure = result or self.result, failure or self.failure
        self._jobs.clear()
        self._wake(0.0)
        self.commands.close()
        for update_id, update in list(self.updates.items()):
            if not update.outcome.done():
                if update.accepted:
                    outcome = Outcome()
                    outcome.failure.message = "Workflow Update failed because the Workflow completed before the Update"
                    outcome.failure.application_failure_info.type = "AcceptedUpdateCompletedWorkflow"
                    update.outcome.set_result(outcome)
                else:
                    del self.updates[update_id]
                    update.outcome.set_exception(_completed())
                    update.outcome.exception()  # whoever asked may have gone
        self.server.closed(self)
        if not self.ended.done():
            self.ended.set_result(None)


def _completed() -> RPCError:
    return RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")


def _commands(turns: Sequence[Turn]) -> list[WorkflowCommand]:
    return [command for turn in turns for command in turn.commands]


def _refused(commands: Sequence[WorkflowCommand], known: dict[str, Update]) -> set[str]:
    """The updates that their validators turned down, which is no failure of one that was accepted."""
    answers = [command.update_response for command in commands if command.HasField("update_response")]
    accepted = {each.protocol_instance_id for each in answers if each.HasField("accepted")}
    rejected = {each.protocol_instance_id for each in answers if each.HasField("rejected")}
    return {each for each in rejected - accepted if not known[each].accepted}


def _recorded(turn: Turn, refused: set[str]) -> Turn | None:
    """A turn as it gets into the history, which knows nothing of updates that were turned down."""
    if not refused:
        return turn
    jobs = [job for job in turn.jobs if not (job.HasField("do_update") and job.do_update.id in refused)]
    commands = [
        command
        for command in turn.commands
        if not (command.HasField("update_response") and command.update_response.protocol_instance_id in refused)
    ]
    return Turn(turn.at, jobs, commands, turn.flags, turn.length, turn.long) if jobs else None
