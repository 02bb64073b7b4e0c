"""The account of a release: what it did, what the proxy counted meanwhile, what the judgement cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from temporalio.client import Client

from sandbox.telemetry import Telemetry
from tidegate.analysis.status import Phase
from tidegate.contract import ReleaseStatus, WeightStatus

SETTLE_SECONDS = 0.5  # a new weight is in the proxy within milliseconds, the proxy's counts within one reading


async def account(
    client: Client, telemetry: Telemetry, service: str, status: ReleaseStatus, outcome: str, ui_url: str
) -> dict[str, Any]:
    """Everything that the account of one release holds, as JSON."""
    await telemetry.flushed()
    ended = time.time()  # the last weight goes on being served after the release has ended
    analyses = [analysis.workflow_id for analysis in status.analyses]
    return {
        "outcome": outcome,
        "reason": status.message,
        "workflowId": status.workflow_id,
        "runId": status.run_id,
        "url": f"{ui_url}/namespaces/default/workflows/{_quoted(status.workflow_id)}/{status.run_id}",
        "revision": status.revision,
        "hash": status.desired_hash,
        "stableHash": status.stable_hash,
        "images": status.images,
        "startedAt": status.started_at.isoformat(),
        "finishedAt": status.finished_at.isoformat() if status.finished_at else None,
        "steps": [step.model_dump(mode="json") for step in status.steps],
        "weights": counted_weights(telemetry, status, ended),
        "analyses": [analysis.model_dump(mode="json") for analysis in status.analyses],
        "requests": requests_by_version(telemetry, service, status, ended),
        "secondsFromVerdictToZero": seconds_to_zero(telemetry, status),
        "historyEvents": {
            "release": await _events(client, status.workflow_id, status.run_id),
            "analyses": {workflow_id: await _events(client, workflow_id, None) for workflow_id in analyses},
        },
        "compensations": [row.model_dump(mode="json") for row in status.compensations],
        "incident": status.incident.model_dump(mode="json") if status.incident else None,
    }


def counted_weights(telemetry: Telemetry, status: ReleaseStatus, ended: float) -> list[dict[str, Any]]:
    """Each weight that was set, and the canary's share of what the proxy sent until the next one."""
    rows = []
    for row, until in _intervals(status.weights, ended):
        start = row.at.timestamp() + SETTLE_SECONDS
        sent = {found.hash: _sent(telemetry, found.hash, start, until) for found in status.replica_sets}
        canary, everything = sent.get(status.desired_hash, 0), sum(sent.values())
        rows.append(
            {
                "at": row.at.isoformat(),
                "set": row.canary,
                "seconds": round(until - row.at.timestamp(), 3),
                "requests": everything,
                "canaryRequests": canary,
                "counted": round(100 * canary / everything, 2) if everything else None,
            }
        )
    return rows


def _sent(telemetry: Telemetry, pod_hash: str, start: float, end: float) -> int:
    """Requests that were sent to a hash between two moments, as far as readings of the proxy tell them apart."""
    timeline = telemetry.timeline(pod_hash)
    reached = [max((total for at, total in timeline if at <= edge), default=0) for edge in (start, end)]
    return reached[1] - reached[0]


def requests_by_version(
    telemetry: Telemetry, service: str, status: ReleaseStatus, ended: float
) -> dict[str, dict[str, Any]]:
    """Requests and failures (5xx) by version during the release, and the p99 latency in milliseconds."""
    began = status.started_at.timestamp()
    rows = {}
    for found in status.replica_sets:
        window = telemetry.window(service, found.hash, began, ended)
        if window.requests:
            rows[", ".join(found.images.values())] = {
                "hash": found.hash,
                "requests": window.requests,
                "failures": window.errors,
                "p99Milliseconds": round(window.percentile(99) or 0.0, 1),
            }
    return rows


def seconds_to_zero(telemetry: Telemetry, status: ReleaseStatus) -> float | None:
    """Seconds from the failing verdict to the last request that the proxy sent to the canary; None without a failure.

    The proxy is read four times a second, so the true figure is up to 0.25 s smaller.
    """
    verdict = failing_verdict(status)
    sent = telemetry.timeline(status.desired_hash)
    if verdict is None or not sent:
        return None
    return round(max(0.0, sent[-1][0] - verdict.timestamp()), 3)


def failing_verdict(status: ReleaseStatus) -> datetime | None:
    """When the reading was finished that made the first gate fail."""
    moments = [
        measurement.finished_at
        for analysis in status.analyses
        if analysis.status.phase in (Phase.FAILED, Phase.ERROR)
        for metric in analysis.status.metrics
        if metric.phase in (Phase.FAILED, Phase.ERROR) and metric.measurements
        for measurement in metric.measurements[-1:]
        if measurement.finished_at is not None
    ]
    return min(moments, default=None)


def _intervals(weights: Sequence[WeightStatus], ended: float) -> list[tuple[WeightStatus, float]]:
    inner = [(row, after.at.timestamp()) for row, after in pairwise(weights)]
    return [*inner, (weights[-1], ended)] if weights else []


async def _events(client: Client, workflow_id: str, run_id: str | None) -> int:
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    return (await handle.describe()).history_length


def _quoted(workflow_id: str) -> str:
    return workflow_id.replace("/", "%2F")
