"""One run of a workflow in the SDK's own workflow instance, fed with activations; and a replay of what it was fed with.

The instance is private to the SDK, and this is the only place that touches it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.bridge.proto.workflow_activation import InitializeWorkflow, WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.common import MetricMeter, Priority, TypedSearchAttributes
from temporalio.converter import DataConverter
from temporalio.worker._workflow_instance import (
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
)
from temporalio.workflow import Info, ParentInfo, RootInfo, _Definition

NAMESPACE = "default"


class TaskFailedError(AssertionError):
    """The workflow's code failed its task, which on a real server is tried again until the code was mended."""


class ReplayError(AssertionError):
    """The same events led to other commands (law 9)."""


@dataclass
class Turn:
    """One activation and the commands that answered it.

    `flags` are the SDK's marks of its own behaviour, which a replay is told of; `length` counts the events by then, and
    `long` says whether the server suggests to continue as new.
    """

    at: datetime
    jobs: list[WorkflowActivationJob]
    commands: list[WorkflowCommand] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    length: int = 0
    long: bool = False


class Instance:
    """A run in memory. `evict` it in the end: what its coroutines wait for never comes."""

    def __init__(self, definition: _Definition, converter: DataConverter, info: Info, seed: int) -> None:
        self._run_id = info.run_id
        self._instance: WorkflowInstance = UnsandboxedWorkflowRunner().create_instance(
            WorkflowInstanceDetails(
                payload_converter_factory=lambda: converter.payload_converter,
                failure_converter_class=converter.failure_converter_class,
                interceptor_classes=[],
                defn=definition,
                info=info,
                randomness_seed=seed,
                extern_functions={
                    "__temporal_get_metric_meter": lambda: MetricMeter.noop,
                    "__temporal_assert_local_activity_valid": lambda _: None,
                },
                disable_eager_activity_execution=True,
                worker_level_failure_exception_types=[],
                patch_activation_callback=None,
                last_completion_result=Payloads(),
                last_failure=None,
            )
        )

    def play(self, turn: Turn, flags: Sequence[int], *, replaying: bool = False) -> Turn:
        """Feed it with the jobs of a turn; returns the turn with what came of them. Raises TaskFailedError."""
        activation = WorkflowActivation(
            run_id=self._run_id,
            is_replaying=replaying,
            history_length=turn.length,
            jobs=turn.jobs,
            available_internal_flags=flags,
            continue_as_new_suggested=turn.long,
        )
        activation.timestamp.FromDatetime(turn.at)
        completion = self._activate(activation)
        if completion.HasField("failed"):
            raise TaskFailedError(completion.failed.failure.message + "\n" + completion.failed.failure.stack_trace)
        done = completion.successful
        return Turn(turn.at, turn.jobs, list(done.commands), list(done.used_internal_flags), turn.length, turn.long)

    def evict(self) -> None:
        """Let it go."""
        job = WorkflowActivationJob()
        job.remove_from_cache.SetInParent()
        self._activate(WorkflowActivation(run_id=self._run_id, jobs=[job]))

    def _activate(self, activation: WorkflowActivation):
        loop = asyncio.get_running_loop()
        try:
            return self._instance.activate(activation)
        finally:
            asyncio._set_running_loop(loop)


def replay(instance: Instance, turns: Sequence[Turn]) -> None:
    """Feed a new instance with what happened so far. Raises ReplayError when it does not do the same."""
    flags: set[int] = set()
    for number, turn in enumerate(_merged(turns)):
        flags.update(turn.flags)
        again = instance.play(_as_recorded(turn), sorted(flags), replaying=True)
        if again.commands != turn.commands:
            raise ReplayError(
                f"turn {number} of {len(turns)}: {kinds(turn.jobs)} led to {kinds(turn.commands)} "
                f"and in a replay to {kinds(again.commands)}"
            )


def _merged(turns: Sequence[Turn]) -> Iterator[Turn]:
    """The turns as the SDK's core finds them in a history.

    Where two tasks in a row came to no command, and the next one is for updates alone, nothing in between tells the
    second and the third apart (temporalio/sdk-core, history_update.rs, find_end_index_of_next_wft_seq).
    """
    silent, before = False, Turn(datetime.min.replace(tzinfo=UTC), [])
    for turn in turns:
        if before.jobs and silent and not before.commands and all(job.HasField("do_update") for job in turn.jobs):
            before = replace(turn, jobs=[*before.jobs, *turn.jobs])
            continue
        if before.jobs:
            yield before
            silent = not before.commands
        before = turn
    if before.jobs:
        yield before


def _as_recorded(turn: Turn) -> Turn:
    """What an update was validated for is in no history: one that is there was accepted."""
    jobs = []
    for job in turn.jobs:
        if job.HasField("do_update"):
            accepted = WorkflowActivationJob()
            accepted.CopyFrom(job)
            accepted.do_update.run_validator = False
            job = accepted
        jobs.append(job)
    return Turn(turn.at, jobs, length=turn.length, long=turn.long)


def kinds(messages: Sequence[WorkflowActivationJob | WorkflowCommand]) -> list[str]:
    """What they are, in short."""
    return [str(message.WhichOneof("variant")) for message in messages]


def info_of(init: InitializeWorkflow, run_id: str, task_queue: str, first_task: datetime) -> Info:
    """What a workflow can ask about itself, as the SDK's worker makes it of a run's first activation."""
    parent = root = None
    if init.HasField("parent_workflow_info"):
        found = init.parent_workflow_info
        parent = ParentInfo(namespace=found.namespace, run_id=found.run_id, workflow_id=found.workflow_id)
    if init.HasField("root_workflow"):
        root = RootInfo(run_id=init.root_workflow.run_id, workflow_id=init.root_workflow.workflow_id)
    return Info(
        attempt=1,
        continued_run_id=init.continued_from_execution_run_id or None,
        cron_schedule=None,
        execution_timeout=None,
        first_execution_run_id=init.first_execution_run_id,
        headers={},
        namespace=NAMESPACE,
        original_execution_run_id=init.original_execution_run_id or run_id,
        parent=parent,
        root=root,
        raw_memo=dict[str, Payload](),
        retry_policy=None,
        run_id=run_id,
        run_timeout=None,
        search_attributes={},
        start_time=first_task,
        workflow_start_time=init.start_time.ToDatetime(UTC),
        task_queue=task_queue,
        task_timeout=timedelta(seconds=10),
        typed_search_attributes=TypedSearchAttributes.empty,
        workflow_id=init.workflow_id,
        workflow_type=init.workflow_type,
        priority=Priority.default,
    )
