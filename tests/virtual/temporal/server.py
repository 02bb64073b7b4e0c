"""Temporal in this process, in virtual time: workflows run in the SDK's own instances, activities as they are.

What the SDK's core and a server do in between is done here: workflow tasks and what is buffered for them, timers,
activities with their attempts, time limits and retries, children, signals, updates, queries, cancellation, closing. A
worker may forget a run, whose history is replayed then and compared, lose a task or an attempt, or its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status
from temporalio.api.enums.v1 import WorkflowIdReusePolicy
from temporalio.bridge.proto.child_workflow import ParentClosePolicy
from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob
from temporalio.converter import DataConverter
from temporalio.workflow import _Definition

from tests.virtual.temporal import failures
from tests.virtual.temporal.attempts import ActivityTask
from tests.virtual.temporal.chances import Chances
from tests.virtual.temporal.execution import Execution
from tests.virtual.temporal.loop import running
from tests.virtual.temporal.standalone import StandaloneActivity

Work = Callable[..., Any]


class VirtualTemporal:
    """The server and all workers.

    Attributes:
        runs: by workflow id, the oldest first.
        generation: of workers; what an earlier one carries out is answered by nobody.
        replays: how often a run was rebuilt from its history.
        troubles: what no workflow may do: fail a task, or do otherwise in a replay.
    """

    def __init__(self, chances: Chances, converter: DataConverter, workflows: Sequence[type]) -> None:
        self.chances = chances
        self.converter = converter
        self.runs: dict[str, list[Execution]] = {}
        self.standalone: dict[str, StandaloneActivity] = {}  # by id
        self.attempts: dict[bytes, ActivityTask] = {}  # that a worker has, by task token
        self.replays = 0
        self.generation = 0
        self._signals = 0
        self.troubles: list[str] = []
        self._definitions = {str(_named(each).name): _named(each) for each in workflows}
        self._activities: dict[str, dict[str, Work]] = {}
        self._types: dict[str, list[type] | None] = {}
        self._working: set[asyncio.Task[Any]] = set()

    # -------------------------------------------------------------------------------------------------------- workers

    def register(self, task_queue: str, activities: Sequence[Work]) -> None:
        """Let a worker poll a queue for these activities."""
        polled = self._activities.setdefault(task_queue, {})
        for function in activities:
            definition = activity._Definition.must_from_callable(function)
            polled[str(definition.name)] = function
            self._types[str(definition.name)] = definition.arg_types

    def activity(self, task_queue: str, name: str) -> Work | None:
        """What carries out an activity; None where no worker polls its queue for it."""
        return self._activities.get(task_queue, {}).get(name)

    def argument_types(self, function: Work) -> list[type] | None:
        """Of an activity that is registered."""
        return self._types[str(activity._Definition.must_from_callable(function).name)]

    def work(self, attempt: Coroutine[Any, Any, None]) -> None:
        """Let an attempt of an activity go on by itself."""
        task = running().create_task(attempt)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def lose_workers(self) -> None:
        """Every worker goes at once and others come: attempts end in the middle, and nothing is kept in memory."""
        self.generation += 1
        for task in list(self._working):
            task.cancel()
        for run in self.all_runs():
            run.forget()

    def definition(self, workflow_type: str) -> _Definition:
        """The code of a workflow."""
        return self._definitions[workflow_type]

    async def close(self) -> None:
        """End what is being carried out, and let go of what is kept in memory."""
        for run in self.all_runs():
            run.commands.close()
            run.forget()
        for each in self.standalone.values():
            each.task.forget()
        working = list(self._working)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    # ----------------------------------------------------------------------------------------------------------- runs

    def all_runs(self) -> list[Execution]:
        """Every run there was, the oldest of each id first."""
        return [run for runs in self.runs.values() for run in runs]

    def newest(self, workflow_id: str, run_id: str = "") -> Execution | None:
        """The newest run of an id, or the one that is named."""
        runs = self.runs.get(workflow_id, [])
        found = [run for run in runs if not run_id or run.run_id == run_id]
        return found[-1] if found else None

    def start(
        self, workflow_id: str, workflow_type: str, task_queue: str, arguments: Sequence[Payload], **fields: Any
    ) -> Execution:
        """Begin a run."""
        run_id = self.chances.uuid()
        fields.setdefault("first_run_id", run_id)
        run = Execution(self, workflow_id, run_id, workflow_type, task_queue, list(arguments), **fields)
        self.runs.setdefault(workflow_id, []).append(run)
        return run

    def start_child(self, parent: Execution, asked: Any) -> Execution | None:
        """Begin a run for another one; None where its id is taken."""
        before = self.newest(asked.workflow_id)
        once = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
        if before is not None and (not before.closed or asked.workflow_id_reuse_policy == once):
            return None
        return self.start(
            asked.workflow_id,
            asked.workflow_type,
            asked.task_queue,
            list(asked.input),
            parent=(parent, asked.seq),
            parent_close_policy=asked.parent_close_policy,
        )

    def continue_as_new(self, before: Execution, asked: Any) -> None:
        """Begin a run where another one has got to."""
        self.start(
            before.workflow_id,
            asked.workflow_type or before.workflow_type,
            asked.task_queue or before.task_queue,
            list(asked.arguments),
            first_run_id=before.first_run_id,
            parent=before.parent,
            parent_close_policy=before.parent_close_policy,
            continued_from=before.run_id,
        )

    def signal(self, workflow_id: str, run_id: str, name: str, arguments: Sequence[Payload]) -> bool:
        """Send a signal; returns whether anybody is there to hear it."""
        run = self.newest(workflow_id, run_id)
        if run is None or run.closed:
            return False
        job = WorkflowActivationJob()
        self._signals += 1
        job.signal_workflow.signal_name, job.signal_workflow.originating_event_id = name, self._signals
        job.signal_workflow.input.extend(arguments)
        run.add(job)
        return True

    def cancel(self, workflow_id: str, *, reason: str = "", parent: Execution | None = None) -> bool:
        """Ask a run to end, with `parent` only where it is a child of that one; returns whether one is there."""
        run = self.newest(workflow_id)
        if run is None or run.closed or (parent is not None and (run.parent or (None,))[0] is not parent):
            return False
        run.request_cancel(reason)
        return True

    def closed(self, run: Execution) -> None:
        """A run has closed: its parent hears of it, and its children."""
        if run.parent is not None and run.status != Status.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
            parent, seq = run.parent
            running().call_later(self.chances.latency(), lambda: parent.commands.child_ended(seq, _told(run, seq)))
        for child in self.all_runs():
            if child.closed or child.parent is None or child.parent[0] is not run:
                continue
            if child.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL:
                running().call_later(self.chances.latency(), lambda child=child: child.request_cancel("parent closed"))
            elif child.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE:
                child.terminate()


def _named(workflow_class: type) -> _Definition:
    return _Definition.must_from_class(workflow_class)


def _told(run: Execution, seq: int) -> WorkflowActivationJob:
    job = WorkflowActivationJob()
    resolved = job.resolve_child_workflow_execution
    resolved.seq = seq
    if run.status == Status.WORKFLOW_EXECUTION_STATUS_COMPLETED:
        resolved.result.completed.result.CopyFrom(run.result)
    elif run.status == Status.WORKFLOW_EXECUTION_STATUS_CANCELED:
        failure = failures.of_child(run.workflow_id, run.run_id, run.workflow_type, run.failure, "cancelled")
        resolved.result.cancelled.failure.CopyFrom(failure)
    else:
        failure = failures.of_child(
            run.workflow_id, run.run_id, run.workflow_type, run.failure, "Child Workflow execution failed"
        )
        resolved.result.failed.failure.CopyFrom(failure)
    return job
