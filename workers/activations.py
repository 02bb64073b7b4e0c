"""Gives a workflow its events one by one, so that its actions do not depend on the grouping of events into tasks.

A workflow task brings every event since the one before, and the SDK wakes all waiting tasks before it lets one run. The
commands of a release then follow from the server's grouping of events into tasks. A replay has to come to the same
commands, and its grouping may differ from that of the worker that ran the release:

* The events of a task that timed out or failed come again with the next one. A worker that still has the run in its
  cache may have acted on them already.
* A task that was completed without a command is joined with the one after it, if that brought updates alone, by a
  worker that does not have the run in its cache, and is split again later (sdk-core, workflow_task_chunking.md).

So the consequences of each event come to rest before the next event is taken. Signals come first, as in the SDK: core
has put them there already, and their own order is lost. Updates come last: the server orders an update behind all
events of the task that brings it (its `accepted_request_sequencing_event_id`), and an update that was joined with an
earlier task stays behind that task's events. A run's first task brings messages alone, and is passed on whole: the SDK
promises that they are handled before `run`.

A timer that has fired is over by the workflow's clock, too. A worker that took a run over after a lost task fired one
with the time of the task before it. Code that reads the clock then starts another timer. A replay, which has the time
of the task itself, does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

if TYPE_CHECKING:
    from temporalio.worker._command_aware_visitor import CommandInfo
    from temporalio.workflow import Info
    from temporalio.workflow import _Definition as Definition

_PREPARING = ("notify_has_patch", "update_random_seed")  # what no code waits for, and what has to be known before
_WHOLE = ("initialize_workflow", "query_workflow")


class OneByOneRunner(WorkflowRunner):
    """Runs workflows as another runner does, with one event in each activation."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner

    def prepare_workflow(self, defn: Definition) -> None:
        """Check a workflow when a worker starts."""
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Begin a run, or its replay."""
        return OneByOne(self._runner.create_instance(det))

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """Take over the worker's setting."""
        self._runner.set_worker_level_failure_exception_types(types)


class OneByOne(WorkflowInstance):
    """A run whose activations are taken apart."""

    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance
        self._ends: dict[int, int] = {}  # of the timers that run, by their number: nanoseconds since 1970
        self._reached = 0

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Take the events one after the other; the commands of all of them, or the failure of the first that fails."""
        first, *others = _parts(act)
        completion = self._take(first)
        for part in others:
            if completion.HasField("failed"):
                break
            following = self._take(part)
            if following.HasField("failed"):
                return following
            completion.successful.MergeFrom(following.successful)
        return completion

    def _take(self, part: WorkflowActivation) -> WorkflowActivationCompletion:
        """Take one event, not before the timer that it tells of has ended."""
        fired = [self._ends.pop(job.fire_timer.seq, 0) for job in part.jobs if job.HasField("fire_timer")]
        self._reached = max(self._reached, part.timestamp.ToNanoseconds(), *fired)
        if part.timestamp.ToNanoseconds() < self._reached:
            part.timestamp.FromNanoseconds(self._reached)
        completion = self._instance.activate(part)
        for command in completion.successful.commands:
            if command.HasField("start_timer"):
                lasts = command.start_timer.start_to_fire_timeout.ToNanoseconds()
                self._ends[command.start_timer.seq] = self._reached + lasts
            elif command.HasField("cancel_timer"):
                self._ends.pop(command.cancel_timer.seq, None)
        return completion

    def get_serialization_context(self, command_info: CommandInfo | None) -> SerializationContext | None:
        """None: payloads do not depend on a context. Each instance of one would enter the sandbox."""
        return None

    def get_external_store_context(self, command_info: CommandInfo | None) -> StorageDriverStoreContext:
        """None: all payloads are in the history."""
        return StorageDriverStoreContext()

    def get_info(self) -> Info:
        """The instance's info."""
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        """The instance's thread id."""
        return self._instance.get_thread_id()


def _parts(act: WorkflowActivation) -> Iterator[WorkflowActivation]:
    """The activation once for each event; itself where there is nothing to take apart."""
    if len(act.jobs) < 2 or any(job.WhichOneof("variant") in _WHOLE for job in act.jobs):
        yield act
        return
    preparing = [job for job in act.jobs if job.WhichOneof("variant") in _PREPARING]
    others = [job for job in act.jobs if job.WhichOneof("variant") not in _PREPARING]
    signals = [job for job in others if job.HasField("signal_workflow")]
    updates = [job for job in others if job.HasField("do_update")]
    results = [job for job in others if not (job.HasField("signal_workflow") or job.HasField("do_update"))]
    shared = WorkflowActivation()
    shared.CopyFrom(act)
    del shared.jobs[:]
    for jobs in filter(None, chain([preparing], ([job] for job in (*signals, *results, *updates)))):
        yield _with(shared, jobs)


def _with(shared: WorkflowActivation, jobs: Sequence[WorkflowActivationJob]) -> WorkflowActivation:
    part = WorkflowActivation()
    part.CopyFrom(shared)
    part.jobs.extend(jobs)
    return part
