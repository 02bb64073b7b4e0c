"""Drives a workflow through the SDK's own runner, activation by activation, as the SDK's core would; no server."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import Payloads
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.bridge.proto.activity_result import Cancellation as ActivityCancellation
from temporalio.bridge.proto.child_workflow import Cancellation, ChildWorkflowCancellationType, ChildWorkflowResult
from temporalio.bridge.proto.workflow_activation import (
    InitializeWorkflow,
    ResolveActivity,
    ResolveChildWorkflowExecution,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import (
    ActivityCancellationType,
    WorkflowCommand,
)
from temporalio.common import MetricMeter, Priority, TypedSearchAttributes
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.workflow import Info, ParentInfo, _Definition

from tests.activations.history import timestamp
from tidegate.client import data_converter

# Where the SDK's core answers a cancellation itself, within the same task.
_AT_ONCE = {ActivityCancellationType.TRY_CANCEL, ActivityCancellationType.ABANDON}
_CHILD_AT_ONCE = {ChildWorkflowCancellationType.TRY_CANCEL, ChildWorkflowCancellationType.ABANDON}


class Driver:
    """One run of a workflow."""

    def __init__(self, runner: WorkflowRunner, workflow: type, run_id: str) -> None:
        self._runner = runner
        self._definition = _Definition.must_from_class(workflow)
        self._converter = data_converter()
        self._run_id = run_id
        self._instance: WorkflowInstance | None = None
        self._kinds: dict[tuple[str, int], int] = {}  # cancellation types of what was asked for
        self._answered: set[tuple[str, int]] = set()

    def task(
        self, *activations: Iterable[WorkflowActivationJob], at: datetime, length: int = 0
    ) -> list[WorkflowCommand]:
        """Give the jobs of one workflow task in so many activations; the commands with which it is completed.

        More than one is what a run sees that stays in a worker's cache while its tasks time out: the events of each try
        come by themselves, and no command has been sent before the last of them.
        """
        said: list[WorkflowCommand] = []
        for jobs in activations:
            pending = [job for job in jobs if not self._was_answered(job)]
            while pending:
                commands = self._activate(pending, at, length)
                pending = self._answered_at_once(said, commands)
        return said

    def _was_answered(self, job: WorkflowActivationJob) -> bool:
        """Whether it tells of something whose end was told before: core keeps that to itself."""
        if job.HasField("resolve_activity"):
            key = "activity", job.resolve_activity.seq
        elif job.HasField("resolve_child_workflow_execution"):
            key = "child", job.resolve_child_workflow_execution.seq
        else:
            return False
        known = key in self._answered
        self._answered.add(key)
        return known

    def close(self) -> None:
        """Evict the run, so that none of its coroutines is left."""
        if self._instance is not None:
            job = WorkflowActivationJob()
            job.remove_from_cache.SetInParent()
            self._activate([job], datetime(2026, 1, 1), 0)
            self._instance = None

    def _activate(self, jobs: list[WorkflowActivationJob], at: datetime, length: int) -> list[WorkflowCommand]:
        if self._instance is None:
            self._instance = self._create(jobs[0].initialize_workflow, at)
        # As core sorts them.
        first = [job for job in jobs if job.HasField("initialize_workflow")]
        messages = [job for job in jobs if job.HasField("signal_workflow") or job.HasField("do_update")]
        others = [job for job in jobs if job not in first and job not in messages]
        activation = WorkflowActivation(
            run_id=self._run_id,
            timestamp=timestamp(at),
            is_replaying=False,
            history_length=length,
            jobs=[*first, *messages, *others],
        )
        # In a thread, as in a worker: the instance is an event loop of its own.
        with ThreadPoolExecutor(1) as thread:
            completion = thread.submit(self._instance.activate, activation).result()
        assert not completion.HasField("failed"), f"the task failed: {completion.failed.failure}"
        return list(completion.successful.commands)

    def _answered_at_once(
        self, said: list[WorkflowCommand], commands: list[WorkflowCommand]
    ) -> list[WorkflowActivationJob]:
        answers = []
        for command in commands:
            said.append(command)
            if command.HasField("schedule_activity"):
                scheduled = command.schedule_activity
                self._kinds["activity", scheduled.seq] = scheduled.cancellation_type
            elif command.HasField("start_child_workflow_execution"):
                child = command.start_child_workflow_execution
                self._kinds["child", child.seq] = child.cancellation_type
            elif command.HasField("request_cancel_activity"):
                seq = command.request_cancel_activity.seq
                unsent = [
                    each for each in said if each.schedule_activity.seq == seq and each.HasField("schedule_activity")
                ]
                if unsent:
                    said.remove(unsent[0])
                    said.remove(command)
                if unsent or self._kinds["activity", seq] in _AT_ONCE:
                    answers.append(_cancelled_activity(seq))
                    self._answered.add(("activity", seq))
            elif command.HasField("cancel_child_workflow_execution"):
                seq = command.cancel_child_workflow_execution.child_workflow_seq
                if self._kinds["child", seq] in _CHILD_AT_ONCE:
                    answers.append(_cancelled_child(seq))
                    self._answered.add(("child", seq))
            elif command.HasField("cancel_timer"):
                seq = command.cancel_timer.seq
                unsent = [each for each in said if each.HasField("start_timer") and each.start_timer.seq == seq]
                if unsent:
                    said.remove(unsent[0])
                    said.remove(command)
        return answers

    def _create(self, init: InitializeWorkflow, at: datetime) -> WorkflowInstance:
        info = Info(
            attempt=1,
            continued_run_id=None,
            cron_schedule=None,
            execution_timeout=None,
            first_execution_run_id=init.first_execution_run_id,
            headers={},
            namespace="default",
            original_execution_run_id=init.original_execution_run_id,
            parent=_parent(init),
            root=None,
            raw_memo={},
            retry_policy=None,
            run_id=self._run_id,
            run_timeout=None,
            search_attributes={},
            start_time=at.replace(tzinfo=UTC),
            workflow_start_time=at.replace(tzinfo=UTC),
            task_queue="releases",
            task_timeout=timedelta(seconds=10),
            typed_search_attributes=TypedSearchAttributes.empty,
            workflow_id=init.workflow_id,
            workflow_type=init.workflow_type,
            priority=Priority.default,
        )
        details = WorkflowInstanceDetails(
            payload_converter_factory=self._converter.payload_converter_class,
            failure_converter_class=self._converter.failure_converter_class,
            interceptor_classes=[],
            defn=self._definition,
            info=info,
            randomness_seed=init.randomness_seed,
            extern_functions={"__temporal_get_metric_meter": lambda: MetricMeter.noop},
            disable_eager_activity_execution=False,
            worker_level_failure_exception_types=[],
            patch_activation_callback=None,
            last_completion_result=Payloads(),
            last_failure=None,
        )
        return self._runner.create_instance(details)


def _parent(init: InitializeWorkflow) -> ParentInfo | None:
    if not init.HasField("parent_workflow_info"):
        return None
    found = init.parent_workflow_info
    return ParentInfo(namespace=found.namespace, run_id=found.run_id, workflow_id=found.workflow_id)


def _cancelled_activity(seq: int) -> WorkflowActivationJob:
    result = ActivityResolution(cancelled=ActivityCancellation())
    result.cancelled.failure.canceled_failure_info.SetInParent()
    return WorkflowActivationJob(resolve_activity=ResolveActivity(seq=seq, result=result))


def _cancelled_child(seq: int) -> WorkflowActivationJob:
    result = ChildWorkflowResult(cancelled=Cancellation())
    result.cancelled.failure.child_workflow_execution_failure_info.SetInParent()
    result.cancelled.failure.cause.canceled_failure_info.SetInParent()
    return WorkflowActivationJob(resolve_child_workflow_execution=ResolveChildWorkflowExecution(seq=seq, result=result))


def word(command: WorkflowCommand) -> str:
    """What a replay compares of a command."""
    kind = command.WhichOneof("variant") or "none"
    match kind:
        case "schedule_activity":
            return f"{kind} {command.schedule_activity.activity_type} {command.schedule_activity.seq}"
        case "start_child_workflow_execution":
            child = command.start_child_workflow_execution
            return f"{kind} {child.workflow_type} {child.workflow_id}"
        case "start_timer":
            return f"{kind} {command.start_timer.seq}"
        case "update_response":
            answer = command.update_response
            return f"{kind} {answer.protocol_instance_id} {answer.WhichOneof('response')}"
        case _:
            return kind


def in_order(jobs: Iterable[WorkflowActivationJob]) -> list[WorkflowActivationJob]:
    """Jobs of one task in the order in which they are taken: signals, what was waited for, updates."""

    def rank(job: WorkflowActivationJob) -> int:
        if job.HasField("signal_workflow"):
            return 0
        return 2 if job.HasField("do_update") else 1

    return sorted(jobs, key=rank)
