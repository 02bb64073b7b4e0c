"""Measurements by Kubernetes Jobs: a Job is created and polled until it has ended; its end is the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import JOBS, PODS, Cluster, Object
from activities.metrics.job.objects import POD_LABEL, ObjectError, SeenJob, build, never_starts
from activities.metrics.provider import (
    ConfigError,
    Failed,
    MetricQuery,
    MetricValue,
    Outcome,
    ProviderRunner,
    RateLimitedError,
    answer_each,
)
from activities.secrets.store import NamedSecrets, NoSecrets
from activities.transport.errors import DEFAULT_DELAY
from tidegate.analysis.arguments import has_placeholder
from tidegate.analysis.reading import Reading, Verdict
from tidegate.analysis.status import Phase
from tidegate.contract import JOB_NAME, JOB_NAMESPACE, Activity, EndJobs, ErrorType, MeasureRequest, job_name
from tidegate.manifests.providers.job import CONFIDENTIAL_REMEDY, KEY, NOT_CONFIDENTIAL
from tidegate.manifests.providers.job import Job as Provider

log = structlog.get_logger(__name__)

PATIENCE: Final = timedelta(minutes=5)
"""How long a Job that is under way may be out of sight before its measurement is an Error."""
_OUT_OF_SIGHT_SINCE: Final = "out-of-sight-since"
_UNSEEN_WAIT: Final = timedelta(seconds=10)
# The API said no: there is no Job. After anything else it may have made one all the same.
_REFUSED: Final = (ErrorType.UNAUTHORIZED, ErrorType.REJECTED, ErrorType.NOT_FOUND)


class Jobs:
    """Metric provider Job, on the cluster that the run belongs to.

    The conditions of the metric play no part. A deleted Job is an Error, and one whose image is bad is Inconclusive.
    Unlike in Argo, an API that is away for some minutes does not end a measurement.
    """

    def __init__(self, cluster: Cluster, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives unix seconds."""
        self._cluster = cluster
        self._measuring = ProviderRunner(KEY, NamedSecrets(NoSecrets("a Job is given none")), clock)

    def activities(self) -> list[Callable[..., Any]]:
        """Every activity of this class."""
        return [self.measure, self.end]

    @activity.defn(name=Activity.MEASURE_JOB)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        """One reading of each metric; the Job of a new measurement is created. Repeating it creates nothing.

        Raises ApplicationError of type `RateLimited`.
        """
        without_secrets = request.model_copy(update={"secret_args": {}})
        return await self._measuring.readings(without_secrets, _Round(self._cluster, request))

    @activity.defn(name=Activity.END_JOBS)
    async def end(self, request: EndJobs) -> None:
        """Delete Jobs of a run with their pods; those that are gone are no error. Repeating it changes nothing.

        Raises the ApplicationError or ObjectError of the first Job that could not be deleted, after all were tried.
        """
        errors: list[ApplicationError | ObjectError] = []
        for name in request.jobs:
            try:
                await _delete(self._cluster, request.namespace, name, request.uid)
            except (ApplicationError, ObjectError) as error:
                errors.append(error)
        if errors:
            raise errors[0]


@dataclass(frozen=True)
class _Measured:
    """The Job of one measurement."""

    query: MetricQuery
    name: str

    @property
    def text(self) -> str:
        """Kind, namespace and name."""
        return f"Job {self.query.namespace}/{self.name}"

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of a measurement."""
        return {JOB_NAME: self.name, JOB_NAMESPACE: self.query.namespace}

    def judged(self, verdict: Verdict) -> MetricValue:
        """The measurement is over, whatever has become of the Job."""
        return MetricValue(None, "", metadata=self.metadata, query=self.text, verdict=verdict)

    def error(self, message: str) -> MetricValue:
        """The measurement is an Error, and yet the Job may be there."""
        return self.judged(Verdict(phase=Phase.ERROR, message=message, reason=f"no reading: {message}"))

    def under_way(self, note: str, resume_at: datetime, **more: str) -> MetricValue:
        """The Job has not ended; `more` is metadata for the next poll."""
        metadata = self.metadata | more
        return MetricValue(None, "", metadata=metadata, notes=(note,), query=self.text, resume_at=resume_at)


class _Round:
    """One poll of each metric of a request."""

    def __init__(self, cluster: Cluster, request: MeasureRequest) -> None:
        self._cluster = cluster
        self._request = request

    async def answer(self, queries: Sequence[MetricQuery]) -> list[Outcome]:
        """One outcome for each metric, as `Provider` says."""
        return await answer_each(queries, self._answer)

    async def _answer(self, query: MetricQuery) -> Outcome:
        pending = query.pending.get(JOB_NAME, "")
        job = _Measured(query, pending or job_name(self._request.uid, query.metric, query.number))
        try:
            return await (self._poll(job) if pending else self._start(job))
        except ObjectError as error:
            return job.error(str(error))
        except ApplicationError as error:
            if error.type == ErrorType.RATE_LIMITED:
                raise RateLimitedError(error.next_retry_delay or DEFAULT_DELAY) from error
            if pending and error.type == ErrorType.UNAVAILABLE:
                return _out_of_sight(job, error.message)
            if not pending and error.type in _REFUSED:
                return Failed(error.message, query=job.text)
            return job.error(error.message)

    async def _start(self, job: _Measured) -> Outcome:
        """Create the Job, or find the one that an earlier attempt created."""
        query, request = job.query, self._request
        if request.secret_args and has_placeholder(query.settings):
            return Failed(f"provider.job: {NOT_CONFIDENTIAL} ({CONFIDENTIAL_REMEDY})", query=job.text)
        try:
            settings = query.read(Provider, KEY)
        except ConfigError as error:
            return Failed(str(error), query=job.text)
        body = build(
            settings,
            job.name,
            query.namespace,
            run=query.run,
            uid=request.uid,
            metric=query.metric,
            owner=request.owner,
        )
        outcome = await self._judge(job, await self._cluster.create(JOBS, query.namespace, body))
        await self._collect_garbage(query)
        return outcome

    async def _poll(self, job: _Measured) -> Outcome:
        found = await self._cluster.find(JOBS, job.query.namespace, job.name)
        return (
            job.error(f"{job.text} not found: someone deleted it") if found is None else await self._judge(job, found)
        )

    async def _judge(self, job: _Measured, found: Object) -> Outcome:
        seen = SeenJob.read(found)
        if not seen.belongs_to(self._request.uid):
            return Failed(f"{job.text} is not of this analysis run; it is left alone", query=job.text)
        if verdict := seen.verdict:
            return job.judged(verdict)
        if seen.being_deleted:
            return job.error(f"{job.text} is being deleted")
        if seen.has_idle_pods and (why := await self._never_starts(job)):
            message = f"{job.text}: {why}"
            return job.judged(Verdict(phase=Phase.INCONCLUSIVE, message=message, reason=message))
        return job.under_way(seen.progress, seen.next_poll(job.query.at))

    async def _never_starts(self, job: _Measured) -> str:
        """Reason why the Job's pods do not start; empty when they may, and when it is unknown."""
        try:
            return never_starts(await self._cluster.select(PODS, job.query.namespace, {POD_LABEL: job.name}))
        except (ApplicationError, ObjectError) as error:
            log.info("pods of a Job were not seen", job=job.name, error=str(error))
            return ""

    async def _collect_garbage(self, query: MetricQuery) -> None:
        """Delete the Job of the measurement that the new one pushes out of what is kept."""
        kept = self._request.retention.get(query.metric, query.number)
        oldest = query.number - kept
        if oldest < 1:
            return
        name = job_name(self._request.uid, query.metric, oldest)
        try:
            await _delete(self._cluster, query.namespace, name, self._request.uid)
        except (ApplicationError, ObjectError) as error:
            # It goes by itself some time after its end: no reason to disturb a measurement.
            log.info("an old Job was not deleted", job=name, error=str(error))


def _out_of_sight(job: _Measured, message: str) -> MetricValue:
    at = job.query.at
    since = job.query.pending.get(_OUT_OF_SIGHT_SINCE) or at.isoformat()
    if at - datetime.fromisoformat(since) > PATIENCE:
        return job.error(f"{job.text} is out of sight since {since}: {message}")
    return job.under_way(f"{job.text} is out of sight: {message}", at + _UNSEEN_WAIT, **{_OUT_OF_SIGHT_SINCE: since})


async def _delete(cluster: Cluster, namespace: str, name: str, run_uid: str) -> None:
    """Delete a Job of this run; one of that name that is not the run's is left alone. Raises ObjectError."""
    found = await cluster.find(JOBS, namespace, name)
    if found is None:
        return
    seen = SeenJob.read(found)
    if seen.belongs_to(run_uid):
        await cluster.delete(JOBS, namespace, name, propagation="Foreground", uid=seen.metadata.uid)
    else:
        log.warning("a Job is not of this run and is left alone", job=name, namespace=namespace)
