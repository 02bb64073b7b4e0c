"""Jobs of an analysis run in the cluster. None of them outlives the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.reading import Reading
    from tidegate.analysis.status import AnalysisStatus, Phase
    from tidegate.contract import JOB_NAME, Activity, AnalysisRequest, EndJobs, cluster_queue
    from workflows.activity_calls import HEARTBEAT_TIMEOUT
    from workflows.failures import cause_of

# A release waits for the verdict of its analysis: deleting what is left must not take its time.
END_TIMEOUT: Final = timedelta(seconds=30)
ATTEMPT_TIMEOUT: Final = timedelta(seconds=15)
RETRY: Final = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=5))


class MeasuredJobs:
    """Jobs that may be in the cluster and whose end is not known."""

    def __init__(self, request: AnalysisRequest, uid: str, status: AnalysisStatus) -> None:
        """`uid` is the run's; `status` is where an earlier part of the run stopped."""
        self._request = request
        self._uid = uid
        measurements = (measurement for metric in status.metrics for measurement in metric.measurements)
        unfinished = (each for each in measurements if each.phase not in (Phase.SUCCESSFUL, Phase.FAILED))
        self._names = {each.metadata[JOB_NAME] for each in unfinished if JOB_NAME in each.metadata}

    def add(self, names: Iterable[str]) -> None:
        """Note Jobs that are being created, or are under way."""
        self._names.update(names)

    def settle(self, names: Mapping[str, str], readings: Iterable[Reading]) -> None:
        """Note the readings of Jobs, `names` being by metric.

        A Job that ended may stay for inspection, and a rejected one does not exist. Any other Job is deleted when the
        run is over.
        """
        ended = (names.get(reading.metric, "") for reading in readings if _is_settled(reading))
        self._names.difference_update(ended)

    async def end(self) -> None:
        """Delete them, within `END_TIMEOUT`. A Job that cannot be deleted in time runs to its own end."""
        if not self._names:
            return
        names = tuple(sorted(self._names))
        request = EndJobs(namespace=self._request.namespace, run=self._request.name, uid=self._uid, jobs=names)
        try:
            await workflow.execute_activity(
                Activity.END_JOBS,
                request,
                task_queue=cluster_queue(self._request.cluster),
                start_to_close_timeout=ATTEMPT_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                schedule_to_close_timeout=END_TIMEOUT,
                retry_policy=RETRY,
                summary=f"delete Jobs {', '.join(names)}"[:200],
            )
        except ActivityError as error:
            workflow.logger.warning("Jobs of this run were not deleted: %s: %s", ", ".join(names), cause_of(error))


def _is_settled(reading: Reading) -> bool:
    ended = reading.verdict is not None and reading.verdict.phase in (Phase.SUCCESSFUL, Phase.FAILED)
    return ended or bool(reading.error)
