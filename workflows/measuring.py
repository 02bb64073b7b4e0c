"""Measurement calls to a provider: a call lost with its worker is repeated, a failed one a few times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimeoutError
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.reading import Reading
    from tidegate.contract import Activity, ErrorType, MeasureRequest, cluster_queue, metrics_queue
    from tidegate.manifests.providers.job import KEY as JOB
    from workflows.activity_calls import HEARTBEAT_TIMEOUT

ATTEMPT_TIMEOUT = timedelta(minutes=2)
MEASURE_TIMEOUT = timedelta(minutes=10)  # with no worker that answers for a provider, it is an Error after this long
ATTEMPTS = 3  # that fail by themselves
RATE_LIMIT_TIMEOUT = timedelta(hours=1)
RATE_LIMIT_STEP = timedelta(minutes=1)  # waits of a second each would fill the history within that hour
SHORTEST_WAIT = timedelta(seconds=1)  # an interval of 0 is valid, and must not flood anybody
LONGEST_WAIT = timedelta(seconds=15)
# Attempts are counted here: Temporal counts those that were lost with a worker, too, and a history does not tell them.
ONCE = RetryPolicy(maximum_attempts=1)
WORKER_SHUTDOWN = "WorkerShutdown"  # type of the failure that Temporal's SDK gives what a worker left behind


async def measure(cluster: str, provider: str, request: MeasureRequest, timeout: timedelta) -> list[Reading]:
    """Measure once; a worker has to start and end it within `timeout`. Raises ActivityError."""
    is_job = provider == JOB
    answered: list[Reading] = await workflow.execute_activity(
        Activity(f"measure_{provider}"),
        request,
        result_type=list[Reading],
        task_queue=cluster_queue(cluster) if is_job else metrics_queue(provider),
        start_to_close_timeout=ATTEMPT_TIMEOUT,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        schedule_to_close_timeout=timeout,
        retry_policy=ONCE,
        # A Job that is being created is waited for, so that it cannot appear after it was deleted.
        cancellation_type=(
            ActivityCancellationType.WAIT_CANCELLATION_COMPLETED if is_job else ActivityCancellationType.TRY_CANCEL
        ),
        summary="measure " + ", ".join(str(metric.get("name")) for metric in request.metrics),
    )
    return answered


@dataclass
class MeasureRetries:
    """Number and time of the attempts at one measurement. `limited` is the time that the provider's rate limit took."""

    limited: timedelta = timedelta(0)
    _started: datetime = field(default_factory=workflow.now)
    _failed: int = 0
    _lost: int = 0

    @property
    def time_left(self) -> timedelta:
        """Time that it may still be without an answer."""
        return max(self._started + self.limited + MEASURE_TIMEOUT - workflow.now(), SHORTEST_WAIT)

    def delay(self, error: ActivityError) -> timedelta | None:
        """Time until the next attempt; None when there is none."""
        if (limit := rate_limit(error)) is not None:
            if self.limited + limit > RATE_LIMIT_TIMEOUT:
                return None
            delay = max(limit, min(self.limited, RATE_LIMIT_STEP))
            self.limited += delay
            return delay
        if is_lost(error):
            self._lost += 1
            delay = _growing(self._lost)
            return delay if delay < self.time_left else None
        if isinstance(error.cause, ApplicationError) and not error.cause.non_retryable:
            self._failed += 1
            return _growing(self._failed) if self._failed < ATTEMPTS else None
        return None


def is_lost(error: ActivityError) -> bool:
    """True when the call was lost with its worker, without an answer of the provider."""
    cause = error.cause
    if isinstance(cause, ActivityTimeoutError):
        return cause.type is not TimeoutType.SCHEDULE_TO_CLOSE
    return isinstance(cause, ApplicationError) and cause.type == WORKER_SHUTDOWN


def rate_limit(error: ActivityError) -> timedelta | None:
    """Time for which a provider rejects requests; None when that is not the error."""
    cause = error.cause
    if not isinstance(cause, ApplicationError) or cause.type != ErrorType.RATE_LIMITED:
        return None
    return max(cause.next_retry_delay or timedelta(seconds=10), SHORTEST_WAIT)


def _growing(times: int) -> timedelta:
    grown: timedelta = SHORTEST_WAIT * 2 ** min(times - 1, 10)
    return min(grown, LONGEST_WAIT)
