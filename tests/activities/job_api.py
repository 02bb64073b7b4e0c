"""What the tests of the Job provider share: metrics, and one look at them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from activities.kubernetes.client import Cluster
from activities.metrics.job.provider import Jobs
from tests.activities.outside import run_activity
from tidegate.analysis.reading import Reading
from tidegate.contract import EndJobs, MeasureRequest, job_name

UID = "5f1b6f0e-8a52-4a4e-9d37-0c6f2f0f9a11"
NAME = job_name(UID, "smoke", 1)
PENDING = {"smoke": {"job-name": NAME, "job-namespace": "payments"}}


def metric(name: str = "smoke", script: str = "true", **job: Any) -> dict[str, Any]:
    spec = {"backoffLimit": 0, **job.pop("spec", {})}
    container = {"name": "main", "image": job.pop("image", "busybox:1"), "command": ["sh", "-c", script]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"name": name, "provider": {"job": {"spec": {"template": template, **spec}, **job}}}


class Provider:
    """The activities of the provider on one API server, at a time that the test sets."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.now = 0.0
        self.jobs = Jobs(cluster, clock=lambda: self.now)

    async def look(self, *metrics: dict[str, Any], **request: Any) -> list[Reading]:
        fields = {"namespace": "payments", "run": "checkout-1", "uid": UID, "metrics": metrics, **request}
        readings: list[Reading] = await run_activity(self.jobs.measure, MeasureRequest.model_validate(fields))
        return readings

    async def end(self, *names: str, uid: str = UID) -> None:
        await run_activity(self.jobs.end, EndJobs(namespace="payments", run="checkout-1", uid=uid, jobs=names))


@asynccontextmanager
async def provider_at(url: str, timeout: float = 10.0) -> AsyncIterator[Provider]:
    cluster = await Cluster.connect(url=url, timeout=timeout)
    try:
        yield Provider(cluster)
    finally:
        await cluster.close()
