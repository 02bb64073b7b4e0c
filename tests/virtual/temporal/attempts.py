"""An activity that a workflow asked for: its attempts in a worker, their limits, and what the server makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType, ScheduleActivity
from temporalio.common import Priority
from temporalio.testing import ActivityEnvironment

from tests.virtual.temporal import failures
from tests.virtual.temporal.loop import running

if TYPE_CHECKING:
    from tests.virtual.temporal.server import VirtualTemporal

LONGEST_BACKOFF = 100  # times the first interval, where a policy names no longest one
_ENVIRONMENT = ActivityEnvironment()


class Asking(Protocol):
    """Who asked for an activity: a workflow's run, or a client, of which the names of a workflow are empty."""

    workflow_id: str
    workflow_type: str
    run_id: str

    def activity_ended(self, seq: int, resolution: ActivityResolution | None) -> None:
        """It ended; None where who asked was told so before."""


class ActivityTask:
    """From the command until who asked was told how it ended."""

    def __init__(self, server: VirtualTemporal, run: Asking, asked: ScheduleActivity) -> None:
        self.asked = asked
        self.name = asked.activity_type
        self.cancel_requested = False
        self.attempt = 0
        self._server = server
        self._run = run
        self._over = False
        self._environment: ActivityEnvironment | None = None
        self._token = b""  # of the attempt under way
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._scheduled = running().now()
        self._heartbeat = asked.heartbeat_timeout.ToTimedelta().total_seconds()
        if whole := asked.schedule_to_close_timeout.ToTimedelta().total_seconds():
            self._arm("whole", whole, self._out_of_time)
            self._expires = running().time() + whole
        else:
            self._expires = float("inf")
        self._arm("start", server.chances.latency(), self._start)

    @property
    def is_running(self) -> bool:
        """Whether a worker has it."""
        return self._environment is not None

    def request_cancel(self) -> None:
        """The workflow wants it to end. Who is not being carried out ends at once, others hear of it by a heartbeat."""
        self.cancel_requested = True
        if not self.is_running:
            self._end_cancelled()

    def forget(self) -> None:
        """Nobody waits for it any more: its workflow has closed, or has abandoned it."""
        self._over = True
        for timer in self._timers.values():
            timer.cancel()
        self._server.attempts.pop(self._token, None)

    # ------------------------------------------------------------------------------------------------------ the worker

    def _start(self) -> None:
        function = self._server.activity(self.asked.task_queue, self.name)
        if function is None:  # no worker polls that queue just now
            self._arm("start", 1.0, self._start)
            return
        self.attempt += 1
        fate = next((fate for fate in ("attempt lost", "answer lost") if self._server.chances.strikes(fate)), "")
        environment = self._environment = ActivityEnvironment()
        if limit := self.asked.start_to_close_timeout.ToTimedelta().total_seconds():
            self._arm("attempt", limit, lambda: self._timed_out(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE))
        self._watch_heartbeat()
        self._token = f"{self._run.run_id}/{self.asked.activity_id}/{self.attempt}".encode()
        self._server.attempts[self._token] = self
        if fate != "attempt lost":
            self._server.work(self._carry_out(function, environment, self.attempt, answers=not fate))

    async def _carry_out(
        self, function: Callable[..., Any], environment: ActivityEnvironment, attempt: int, *, answers: bool
    ) -> None:
        run, now, converter = self._run, running().now(), self._server.converter
        generation = self._server.generation
        environment.payload_converter = converter.payload_converter
        environment.on_heartbeat = lambda *_: self._beat(environment, attempt)
        environment.info = replace(
            _ENVIRONMENT.info,
            activity_id=self.asked.activity_id,
            activity_type=self.name,
            attempt=attempt,
            scheduled_time=self._scheduled,
            current_attempt_scheduled_time=now,
            started_time=now,
            heartbeat_timeout=timedelta(seconds=self._heartbeat) if self._heartbeat else None,
            start_to_close_timeout=self.asked.start_to_close_timeout.ToTimedelta() or None,
            schedule_to_close_timeout=self.asked.schedule_to_close_timeout.ToTimedelta() or None,
            task_queue=self.asked.task_queue,
            task_token=self._token,
            workflow_id=run.workflow_id or None,
            workflow_run_id=run.run_id if run.workflow_id else None,
            workflow_type=run.workflow_type or None,
            priority=Priority.default,
        )
        result, failure = Payload(), Failure()
        try:
            arguments = converter.payload_converter.from_payloads(
                list(self.asked.arguments), self._server.argument_types(function)
            )
            answer = await environment.run(function, *arguments)
            [result] = converter.payload_converter.to_payloads([answer])
        except activity._CompleteAsyncError:
            return  # it goes on without a slot: who holds its token says how it ended
        except asyncio.CancelledError:
            failure = failures.cancelled()
        except Exception as error:  # of any kind: it is the answer of the attempt
            converter.failure_converter.to_failure(error, converter.payload_converter, failure)
        if answers and generation == self._server.generation:
            await asyncio.sleep(self._server.chances.latency())
            if attempt == self.attempt and not self._over:
                self.answered(result, failure)

    def _beat(self, environment: ActivityEnvironment, attempt: int) -> None:
        """The server answers a heartbeat with whether to go on."""
        if self._over or attempt != self.attempt or self.cancel_requested:
            running().call_later(self._server.chances.latency(), environment.cancel)
        else:
            self._watch_heartbeat()

    # ------------------------------------------------------------------------------------------------------ the server

    def beat(self) -> bool:
        """A heartbeat came by the token; returns whether the attempt is to end."""
        self._watch_heartbeat()
        return self.cancel_requested

    def _watch_heartbeat(self) -> None:
        if self._heartbeat:
            self._arm("heartbeat", self._heartbeat, lambda: self._timed_out(TimeoutType.TIMEOUT_TYPE_HEARTBEAT))

    def answered(self, result: Payload, failure: Failure) -> None:
        """The attempt ended, well where the failure is an empty one."""
        self._attempt_over()
        if failure == Failure():
            resolution = ActivityResolution()
            resolution.completed.result.CopyFrom(result)
            self._resolve(resolution)
        elif failure.HasField("canceled_failure_info") and self.cancel_requested:
            self._end_cancelled()
        else:
            self._again_or_fail(failure)

    def _timed_out(self, kind: TimeoutType.ValueType) -> None:
        self._attempt_over()
        self._again_or_fail(failures.timeout(kind))

    def _out_of_time(self) -> None:
        failure = failures.timeout(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)
        self._fail(failure, RetryState.RETRY_STATE_TIMEOUT)

    def _attempt_over(self) -> None:
        self._environment = None
        self._server.attempts.pop(self._token, None)
        for name in ("attempt", "heartbeat"):
            if (timer := self._timers.pop(name, None)) is not None:
                timer.cancel()

    def _again_or_fail(self, failure: Failure) -> None:
        policy, said = self.asked.retry_policy, failure.application_failure_info
        if self.cancel_requested:
            self._fail(failure, RetryState.RETRY_STATE_CANCEL_REQUESTED)
        elif said.non_retryable or said.type in policy.non_retryable_error_types:
            self._fail(failure, RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE)
        elif policy.maximum_attempts and self.attempt >= policy.maximum_attempts:
            self._fail(failure, RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED)
        elif running().time() + (delay := self._backoff(failure)) > self._expires:
            self._fail(failure, RetryState.RETRY_STATE_TIMEOUT)
        else:
            self._arm("start", delay + self._server.chances.latency(), self._start)

    def _backoff(self, failure: Failure) -> float:
        said, policy = failure.application_failure_info, self.asked.retry_policy
        if failure.HasField("application_failure_info") and said.HasField("next_retry_delay"):
            return said.next_retry_delay.ToTimedelta().total_seconds()
        first = policy.initial_interval.ToTimedelta().total_seconds() or 1.0
        longest = policy.maximum_interval.ToTimedelta().total_seconds() or first * LONGEST_BACKOFF
        return min(longest, first * (policy.backoff_coefficient or 2.0) ** min(self.attempt - 1, 30))

    def _fail(self, failure: Failure, state: RetryState.ValueType) -> None:
        timed_out = failure.HasField("timeout_failure_info")
        text = "Activity task timed out" if timed_out else "Activity task failed"
        resolution = ActivityResolution()
        resolution.failed.failure.CopyFrom(failures.of_activity(self.asked, failure, state, text))
        self._resolve(resolution)

    def _end_cancelled(self) -> None:
        self._resolve(resolved_as_cancelled(self.asked))

    def _resolve(self, resolution: ActivityResolution) -> None:
        told = not (self.cancel_requested and self.asked.cancellation_type == ActivityCancellationType.TRY_CANCEL)
        self.forget()
        self._run.activity_ended(self.asked.seq, resolution if told else None)

    def _arm(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        if (before := self._timers.get(name)) is not None:
            before.cancel()
        if not self._over:
            self._timers[name] = running().call_later(seconds, then)


def resolved_as_cancelled(asked: ScheduleActivity) -> ActivityResolution:
    """What a workflow is told of an activity that ended because it was asked to."""
    resolution = ActivityResolution()
    state = RetryState.RETRY_STATE_CANCEL_REQUESTED
    failure = failures.of_activity(asked, failures.cancelled(), state, "Activity cancelled")
    resolution.cancelled.failure.CopyFrom(failure)
    return resolution
