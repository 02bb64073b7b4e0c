"""A recorded history as the jobs that its events are to a workflow, one batch for each task that completed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure as ApiFailure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.activity_result import ActivityResolution, Cancellation, Failure, Success
from temporalio.bridge.proto.child_workflow import (
    Cancellation as ChildCancellation,
)
from temporalio.bridge.proto.child_workflow import (
    ChildWorkflowResult,
)
from temporalio.bridge.proto.child_workflow import Failure as ChildFailure
from temporalio.bridge.proto.child_workflow import StartChildWorkflowExecutionFailedCause as Cause
from temporalio.bridge.proto.child_workflow import Success as ChildSuccess
from temporalio.bridge.proto.common import NamespacedWorkflowExecution
from temporalio.bridge.proto.workflow_activation import (
    CancelWorkflow,
    DoUpdate,
    FireTimer,
    InitializeWorkflow,
    ResolveActivity,
    ResolveChildWorkflowExecution,
    ResolveChildWorkflowExecutionStart,
    ResolveChildWorkflowExecutionStartFailure,
    ResolveChildWorkflowExecutionStartSuccess,
    ResolveRequestCancelExternalWorkflow,
    ResolveSignalExternalWorkflow,
    SignalWorkflow,
    WorkflowActivationJob,
)
from temporalio.client import WorkflowHistory


@dataclass(frozen=True)
class Event:
    """What one event of a history is to the workflow; `task` is that whose command it answers, None for any other."""

    job: WorkflowActivationJob
    task: int | None = None


@dataclass
class Batch:
    """The events that one workflow task brought; `number` is the event of its completion."""

    number: int
    at: datetime
    length: int
    events: list[Event] = field(default_factory=list)

    @property
    def names(self) -> tuple[int, int]:
        """What commands call the task that gave them: its completion, or, on the time-skipping server, its start."""
        return self.number, self.length


@dataclass(frozen=True)
class Recorded:
    """A history, taken apart."""

    workflow_id: str
    run_id: str
    workflow_type: str
    batches: Sequence[Batch]


def take_apart(history: WorkflowHistory) -> Recorded:
    """The batches of a history, as its tasks took them in. What a failed task was given comes with the next one."""
    started = history.events[0].workflow_execution_started_event_attributes
    taken = _Taken()
    for event in history.events:
        taken.take(event, history)
    return Recorded(
        workflow_id=history.workflow_id,
        run_id=started.original_execution_run_id,
        workflow_type=started.workflow_type.name,
        batches=taken.batches,
    )


class _Taken:
    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self._pending: list[Event] = []
        self._started: HistoryEvent | None = None
        self._activities: dict[int, tuple[int, int]] = {}  # event -> sequence number, task
        self._timers: dict[int, tuple[int, int]] = {}
        self._children: dict[int, tuple[int, int]] = {}
        self._signals: dict[int, tuple[int, int]] = {}
        self._cancels: dict[int, tuple[int, int]] = {}

    def take(self, event: HistoryEvent, history: WorkflowHistory) -> None:
        kind = EventType.Name(event.event_type)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            self._started = event
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            assert self._started is not None
            at = self._started.event_time.ToDatetime()
            self.batches.append(Batch(event.event_id, at, self._started.event_id, self._pending))
            self._pending = []
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            self.batches[-1].events.append(Event(_update(event)))
        else:
            self._note_command(event)
            for job, answered in self._jobs(event, kind, history):
                self._pending.append(Event(job, answered))

    def _note_command(self, event: HistoryEvent) -> None:
        if event.HasField("activity_task_scheduled_event_attributes"):
            scheduled = event.activity_task_scheduled_event_attributes
            noted = int(scheduled.activity_id), scheduled.workflow_task_completed_event_id
            self._activities[event.event_id] = noted
        elif event.HasField("timer_started_event_attributes"):
            timer = event.timer_started_event_attributes
            self._timers[event.event_id] = int(timer.timer_id), timer.workflow_task_completed_event_id
        elif event.HasField("start_child_workflow_execution_initiated_event_attributes"):
            child = event.start_child_workflow_execution_initiated_event_attributes
            self._children[event.event_id] = len(self._children) + 1, child.workflow_task_completed_event_id
        elif event.HasField("signal_external_workflow_execution_initiated_event_attributes"):
            signal = event.signal_external_workflow_execution_initiated_event_attributes
            self._signals[event.event_id] = len(self._signals) + 1, signal.workflow_task_completed_event_id
        elif event.HasField("request_cancel_external_workflow_execution_initiated_event_attributes"):
            cancel = event.request_cancel_external_workflow_execution_initiated_event_attributes
            if not cancel.child_workflow_only:
                self._cancels[event.event_id] = len(self._cancels) + 1, cancel.workflow_task_completed_event_id

    def _jobs(
        self, event: HistoryEvent, kind: str, history: WorkflowHistory
    ) -> Iterator[tuple[WorkflowActivationJob, int | None]]:
        match kind.removeprefix("EVENT_TYPE_"):
            case "WORKFLOW_EXECUTION_STARTED":
                yield WorkflowActivationJob(initialize_workflow=_init(event, history.workflow_id)), None
            case "WORKFLOW_EXECUTION_SIGNALED":
                signalled = event.workflow_execution_signaled_event_attributes
                job = SignalWorkflow(
                    signal_name=signalled.signal_name,
                    input=signalled.input.payloads,
                    originating_event_id=event.event_id,
                )
                yield WorkflowActivationJob(signal_workflow=job), None
            case "WORKFLOW_EXECUTION_CANCEL_REQUESTED":
                cause = event.workflow_execution_cancel_requested_event_attributes.cause
                yield WorkflowActivationJob(cancel_workflow=CancelWorkflow(reason=cause)), None
            case "TIMER_FIRED":
                seq, task = self._timers[event.timer_fired_event_attributes.started_event_id]
                yield WorkflowActivationJob(fire_timer=FireTimer(seq=seq)), task
            case name if name.startswith("ACTIVITY_TASK_"):
                yield from self._activity(event)
            case name if "CHILD_WORKFLOW_EXECUTION_" in name and not name.endswith("INITIATED"):
                yield from self._child(event)
            case "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED":
                initiated = event.external_workflow_execution_signaled_event_attributes.initiated_event_id
                seq, task = self._signals[initiated]
                yield (
                    WorkflowActivationJob(resolve_signal_external_workflow=ResolveSignalExternalWorkflow(seq=seq)),
                    task,
                )
            case "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED":
                requested = event.external_workflow_execution_cancel_requested_event_attributes
                yield from self._cancel(requested.initiated_event_id, None)
            case "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED":
                refused = event.request_cancel_external_workflow_execution_failed_event_attributes
                yield from self._cancel(refused.initiated_event_id, ApiFailure(message="it has ended"))

    def _cancel(self, initiated: int, failure: ApiFailure | None) -> Iterator[tuple[WorkflowActivationJob, int | None]]:
        """The answer to the request of a cancellation by an id; that of a child's has none that anybody hears."""
        if initiated in self._cancels:
            seq, task = self._cancels[initiated]
            resolved = ResolveRequestCancelExternalWorkflow(seq=seq, failure=failure)
            yield WorkflowActivationJob(resolve_request_cancel_external_workflow=resolved), task

    def _activity(self, event: HistoryEvent) -> Iterator[tuple[WorkflowActivationJob, int | None]]:
        if event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            result = done.result.payloads[0] if done.result.payloads else Payload()
            resolution = ActivityResolution(completed=Success(result=result))
            scheduled = done.scheduled_event_id
        elif event.HasField("activity_task_failed_event_attributes"):
            failed = event.activity_task_failed_event_attributes
            resolution, scheduled = (
                ActivityResolution(failed=Failure(failure=failed.failure)),
                failed.scheduled_event_id,
            )
        elif event.HasField("activity_task_timed_out_event_attributes"):
            late = event.activity_task_timed_out_event_attributes
            resolution, scheduled = ActivityResolution(failed=Failure(failure=late.failure)), late.scheduled_event_id
        elif event.HasField("activity_task_canceled_event_attributes"):
            cancelled = event.activity_task_canceled_event_attributes
            resolution = ActivityResolution(cancelled=Cancellation())
            resolution.cancelled.failure.canceled_failure_info.SetInParent()
            scheduled = cancelled.scheduled_event_id
        else:
            return
        seq, task = self._activities[scheduled]
        yield WorkflowActivationJob(resolve_activity=ResolveActivity(seq=seq, result=resolution)), task

    def _child(self, event: HistoryEvent) -> Iterator[tuple[WorkflowActivationJob, int | None]]:
        if event.HasField("child_workflow_execution_started_event_attributes"):
            started = event.child_workflow_execution_started_event_attributes
            seq, task = self._children[started.initiated_event_id]
            run = ResolveChildWorkflowExecutionStartSuccess(run_id=started.workflow_execution.run_id)
            begun = ResolveChildWorkflowExecutionStart(seq=seq, succeeded=run)
            yield WorkflowActivationJob(resolve_child_workflow_execution_start=begun), task
            return
        if event.HasField("start_child_workflow_execution_failed_event_attributes"):
            refused = event.start_child_workflow_execution_failed_event_attributes
            seq, task = self._children[refused.initiated_event_id]
            why = ResolveChildWorkflowExecutionStartFailure(
                workflow_id=refused.workflow_id,
                workflow_type=refused.workflow_type.name,
                cause=Cause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS,
            )
            begun = ResolveChildWorkflowExecutionStart(seq=seq, failed=why)
            yield WorkflowActivationJob(resolve_child_workflow_execution_start=begun), task
            return
        if event.HasField("child_workflow_execution_completed_event_attributes"):
            done = event.child_workflow_execution_completed_event_attributes
            value = done.result.payloads[0] if done.result.payloads else Payload()
            result, initiated = ChildWorkflowResult(completed=ChildSuccess(result=value)), done.initiated_event_id
        elif event.HasField("child_workflow_execution_failed_event_attributes"):
            failed = event.child_workflow_execution_failed_event_attributes
            result, initiated = ChildWorkflowResult(failed=ChildFailure()), failed.initiated_event_id
            result.failed.failure.child_workflow_execution_failure_info.SetInParent()
            result.failed.failure.cause.CopyFrom(failed.failure)
        elif event.HasField("child_workflow_execution_canceled_event_attributes"):
            initiated = event.child_workflow_execution_canceled_event_attributes.initiated_event_id
            result = ChildWorkflowResult(cancelled=ChildCancellation())
            result.cancelled.failure.child_workflow_execution_failure_info.SetInParent()
            result.cancelled.failure.cause.canceled_failure_info.SetInParent()
        else:
            raise AssertionError(f"event {event.event_id}: not known here")
        seq, task = self._children[initiated]
        ended = ResolveChildWorkflowExecution(seq=seq, result=result)
        yield WorkflowActivationJob(resolve_child_workflow_execution=ended), task


def _init(event: HistoryEvent, workflow_id: str) -> InitializeWorkflow:
    started = event.workflow_execution_started_event_attributes
    parent = started.parent_workflow_execution
    child = started.HasField("parent_workflow_execution")
    return InitializeWorkflow(
        parent_workflow_info=NamespacedWorkflowExecution(
            namespace=started.parent_workflow_namespace, workflow_id=parent.workflow_id, run_id=parent.run_id
        )
        if child
        else None,
        workflow_type=started.workflow_type.name,
        workflow_id=workflow_id,
        arguments=started.input.payloads,
        first_execution_run_id=started.first_execution_run_id,
        original_execution_run_id=started.original_execution_run_id,
        attempt=started.attempt or 1,
        start_time=event.event_time,
    )


def _update(event: HistoryEvent) -> WorkflowActivationJob:
    accepted = event.workflow_execution_update_accepted_event_attributes
    asked = accepted.accepted_request
    return WorkflowActivationJob(
        do_update=DoUpdate(
            id=asked.meta.update_id,
            protocol_instance_id=accepted.protocol_instance_id,
            name=asked.input.name,
            input=asked.input.args.payloads,
            run_validator=True,
        )
    )


def timestamp(at: datetime) -> Timestamp:
    """For a message of the SDK."""
    found = Timestamp()
    found.FromDatetime(at)
    return found


def recorded_words(history: WorkflowHistory) -> Iterator[str]:
    """What a release asked for, in the words of `driver.word`, without answers to updates and its end."""
    for event in history.events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            scheduled = event.activity_task_scheduled_event_attributes
            yield f"schedule_activity {scheduled.activity_type.name} {scheduled.activity_id}"
        elif event.HasField("activity_task_cancel_requested_event_attributes"):
            yield "request_cancel_activity"
        elif event.HasField("timer_started_event_attributes"):
            yield f"start_timer {event.timer_started_event_attributes.timer_id}"
        elif event.HasField("timer_canceled_event_attributes"):
            yield "cancel_timer"
        elif event.HasField("upsert_workflow_search_attributes_event_attributes"):
            yield "upsert_workflow_search_attributes"
        elif event.HasField("workflow_properties_modified_event_attributes"):
            yield "modify_workflow_properties"
        elif event.HasField("start_child_workflow_execution_initiated_event_attributes"):
            child = event.start_child_workflow_execution_initiated_event_attributes
            yield f"start_child_workflow_execution {child.workflow_type.name} {child.workflow_id}"
        elif event.HasField("request_cancel_external_workflow_execution_initiated_event_attributes"):
            asked = event.request_cancel_external_workflow_execution_initiated_event_attributes
            by_id = "request_cancel_external_workflow_execution"
            yield "cancel_child_workflow_execution" if asked.child_workflow_only else by_id
        elif event.HasField("signal_external_workflow_execution_initiated_event_attributes"):
            yield "signal_external_workflow_execution"
