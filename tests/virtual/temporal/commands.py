"""What a workflow's commands do on the server, and which of them the SDK's core answers before it hears of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from temporalio.bridge.proto.child_workflow import (
    ChildWorkflowCancellationType,
    StartChildWorkflowExecutionFailedCause,
)
from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType, WorkflowCommand

from tests.virtual.temporal import failures
from tests.virtual.temporal.attempts import ActivityTask, resolved_as_cancelled
from tests.virtual.temporal.loop import running

if TYPE_CHECKING:
    from tests.virtual.temporal.execution import Execution

ENDS = (
    "complete_workflow_execution",
    "fail_workflow_execution",
    "cancel_workflow_execution",
    "continue_as_new_workflow_execution",
)


class Commands:
    """The commands of one run: those that were sent, and what is under way because of them."""

    def __init__(self, run: Execution) -> None:
        self._run = run
        self.timers: dict[int, Any] = {}
        self.activities: dict[int, ActivityTask] = {}
        self.children: dict[int, Any] = {}  # the child's start command
        self._started: dict[int, Execution] = {}
        self.converged: set[tuple[str, int]] = set()  # of which the workflow has heard the end

    def close(self) -> None:
        """The run is over: nobody waits for any of it."""
        for timer in self.timers.values():
            timer.cancel()
        for activity in self.activities.values():
            activity.forget()

    # -------------------------------------------------------------------------------------------- before they are sent

    def answered_at_once(
        self, task: Sequence[WorkflowCommand], newest: Sequence[WorkflowCommand]
    ) -> list[WorkflowActivationJob]:
        """Jobs for the same workflow task: `newest` are the last of its commands, none of which was sent yet."""
        unsent_activities = {c.schedule_activity.seq: c for c in task if c.HasField("schedule_activity")}
        unsent_children = {
            c.start_child_workflow_execution.seq: c for c in task if c.HasField("start_child_workflow_execution")
        }
        jobs: list[WorkflowActivationJob] = []
        for command in newest:
            if command.HasField("request_cancel_activity"):
                seq = command.request_cancel_activity.seq
                jobs += self._cancelled_activity(seq, unsent_activities.get(seq))
            elif command.HasField("cancel_child_workflow_execution"):
                seq = command.cancel_child_workflow_execution.child_workflow_seq
                jobs += self._cancelled_child(seq, unsent_children.get(seq))
        return jobs

    def _cancelled_activity(self, seq: int, unsent: WorkflowCommand | None) -> list[WorkflowActivationJob]:
        pending = self.activities.get(seq)
        if ("activity", seq) in self.converged or (unsent is None and pending is None):
            return []
        asked = unsent.schedule_activity if unsent is not None else pending.asked  # type: ignore[union-attr]
        if unsent is None and asked.cancellation_type == ActivityCancellationType.WAIT_CANCELLATION_COMPLETED:
            return []
        self.converged.add(("activity", seq))
        job = WorkflowActivationJob()
        job.resolve_activity.seq = seq
        job.resolve_activity.result.CopyFrom(resolved_as_cancelled(asked))
        return [job]

    def _cancelled_child(self, seq: int, unsent: WorkflowCommand | None) -> list[WorkflowActivationJob]:
        if ("child", seq) in self.converged:
            return []
        job = WorkflowActivationJob()
        if unsent is not None:
            self.converged.add(("child", seq))
            asked = unsent.start_child_workflow_execution
            failure = failures.of_child(
                asked.workflow_id, "", asked.workflow_type, failures.cancelled(), "cancelled before scheduled"
            )
            job.resolve_child_workflow_execution_start.seq = seq
            job.resolve_child_workflow_execution_start.cancelled.failure.CopyFrom(failure)
            return [job]
        asked = self.children.get(seq)
        at_once = (ChildWorkflowCancellationType.ABANDON, ChildWorkflowCancellationType.TRY_CANCEL)
        if asked is None or asked.cancellation_type not in at_once:
            return []
        self.converged.add(("child", seq))
        job.resolve_child_workflow_execution.seq = seq
        job.resolve_child_workflow_execution.result.cancelled.failure.CopyFrom(
            failures.of_child(asked.workflow_id, "", asked.workflow_type, failures.cancelled(), "cancelled")
        )
        return [job]

    # ------------------------------------------------------------------------------------------------ on the server

    def carry_out(self, commands: Sequence[WorkflowCommand]) -> None:
        """The server takes the commands of one workflow task."""
        for command in commands:
            kind = str(command.WhichOneof("variant"))
            handler: Callable[[Any], None] | None = getattr(self, f"_{kind}", None)
            if handler is not None:
                handler(getattr(command, kind))
            elif kind not in ENDS:
                raise NotImplementedError(kind)

    def _start_timer(self, asked: Any) -> None:
        seconds = asked.start_to_fire_timeout.ToTimedelta().total_seconds()

        def fire() -> None:
            self.timers.pop(asked.seq, None)
            job = WorkflowActivationJob()
            job.fire_timer.seq = asked.seq
            self._run.add(job)

        self.timers[asked.seq] = running().call_later(seconds, fire)

    def _cancel_timer(self, asked: Any) -> None:
        if (timer := self.timers.pop(asked.seq, None)) is not None:
            timer.cancel()
        self._run.drop(lambda job: job.HasField("fire_timer") and job.fire_timer.seq == asked.seq)

    def _schedule_activity(self, asked: Any) -> None:
        if ("activity", asked.seq) not in self.converged:  # it was cancelled before it was sent
            self.activities[asked.seq] = ActivityTask(self._run.server, self._run, asked)

    def _request_cancel_activity(self, asked: Any) -> None:
        pending = self.activities.get(asked.seq)
        if pending is None:
            return
        if pending.asked.cancellation_type == ActivityCancellationType.ABANDON:
            # The server hears nothing: it goes on until it ends, and its end is told to nobody.
            return
        pending.request_cancel()

    def _start_child_workflow_execution(self, asked: Any) -> None:
        if ("child", asked.seq) in self.converged:
            return
        self.children[asked.seq] = asked
        running().call_later(self._run.server.chances.latency(), lambda: self._begin_child(asked))

    def _begin_child(self, asked: Any) -> None:
        if self._run.closed:
            return
        job = WorkflowActivationJob()
        start = job.resolve_child_workflow_execution_start
        start.seq = asked.seq
        child = self._run.server.start_child(self._run, asked)
        if child is None:
            start.failed.workflow_id, start.failed.workflow_type = asked.workflow_id, asked.workflow_type
            causes = StartChildWorkflowExecutionFailedCause
            start.failed.cause = causes.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
            del self.children[asked.seq]
        else:
            start.succeeded.run_id = child.run_id
            self._started[asked.seq] = child
        if ("child", asked.seq) not in self.converged:
            self._run.add(job)

    def child_ended(self, seq: int, job: WorkflowActivationJob) -> None:
        """A child closed."""
        if ("child", seq) not in self.converged and not self._run.closed:
            self.converged.add(("child", seq))
            self._run.add(job)

    def _cancel_child_workflow_execution(self, asked: Any) -> None:
        start = self.children.get(asked.child_workflow_seq)
        if start is None or start.cancellation_type == ChildWorkflowCancellationType.ABANDON:
            return
        workflow_id, reason = start.workflow_id, asked.reason
        delay = self._run.server.chances.latency()
        running().call_later(delay, lambda: self._run.server.cancel(workflow_id, reason=reason, parent=self._run))

    def _request_cancel_external_workflow_execution(self, asked: Any) -> None:
        def deliver() -> None:
            workflow_id = asked.workflow_execution.workflow_id
            job = WorkflowActivationJob()
            job.resolve_request_cancel_external_workflow.seq = asked.seq
            if not self._run.server.cancel(workflow_id, reason=asked.reason):
                job.resolve_request_cancel_external_workflow.failure.CopyFrom(failures.not_there(workflow_id))
            self._run.add(job)

        running().call_later(self._run.server.chances.latency(), deliver)

    def _signal_external_workflow_execution(self, asked: Any) -> None:
        def deliver() -> None:
            target = asked.workflow_execution
            workflow_id = asked.child_workflow_id or target.workflow_id
            delivered = self._run.server.signal(workflow_id, target.run_id, asked.signal_name, list(asked.args))
            job = WorkflowActivationJob()
            job.resolve_signal_external_workflow.seq = asked.seq
            if not delivered:
                job.resolve_signal_external_workflow.failure.CopyFrom(failures.not_there(workflow_id))
            self._run.add(job)

        running().call_later(self._run.server.chances.latency(), deliver)

    def _cancel_signal_workflow(self, _: Any) -> None:
        """A signal that was sent is not taken back: its end is told all the same."""

    def _upsert_workflow_search_attributes(self, asked: Any) -> None:
        for name, payload in asked.search_attributes.indexed_fields.items():
            self._run.search_attributes[name] = payload

    def _modify_workflow_properties(self, _: Any) -> None:
        """Nobody reads a memo here."""

    def _update_response(self, asked: Any) -> None:
        self._run.answer_update(asked)
