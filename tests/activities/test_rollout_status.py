"""What a pass writes into a Rollout's status that somebody has written since it looked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import ROLLOUTS, Cluster
from activities.reconcile.cluster_state import Snapshots
from activities.reconcile.rollout_status import StatusWriter
from activities.reconcile.strategies import pass_of
from sandbox.kubernetes_api import KubernetesApi
from tests.sandbox.kubernetes.kube import serving
from tests.world.planes import wanted
from tidegate.contract import DesiredState, ErrorType, Fence, Reconcile, StatusReport, Target

TARGET = Target(namespace="default", name="checkout")


def said(rollout: dict[str, Any], fence: Fence, status: dict[str, Any]) -> Reconcile:
    """A pass that says this of a fourth revision."""
    return Reconcile(
        target=TARGET,
        rollout=rollout,
        revision=4,
        desired=DesiredState(hash="new", stable_hash="old"),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        fence=fence,
        report=StatusReport(status=status),
    )


async def write(cluster: Cluster, request: Reconcile) -> None:
    seen = await Snapshots(cluster, request).snapshot()
    await StatusWriter(cluster).write(request, seen, pass_of(request, seen), created=False)


@pytest.mark.parametrize("epoch", [999, 1000])
async def test_the_late_word_of_an_earlier_release_is_refused(epoch: int) -> None:
    """A worker that was frozen reads the object as it stands by now, which its resourceVersion does not guard."""
    async with serving(KubernetesApi()) as kube:
        cluster = await Cluster.connect(url=kube.api.url)
        try:
            rollout = wanted("1.0.0")
            rollout["metadata"]["namespace"] = "default"
            await kube.create(ROLLOUTS.path("default"), rollout)
            for fence, phase in (
                (Fence(epoch=epoch, sequence=1), "Progressing"),
                (Fence(epoch=1000, sequence=2), "Healthy"),
            ):
                request = said(rollout, fence, {"phase": phase})
                await write(cluster, request)
            late = said(rollout, Fence(epoch=999, sequence=7), {"phase": "Progressing"})
            with pytest.raises(ApplicationError, match=r"999\.7 refused") as refused:
                await write(cluster, late)
            assert refused.value.type == ErrorType.STALE_WRITE
            assert (await cluster.get(ROLLOUTS, "default", "checkout"))["status"]["phase"] == "Healthy"
        finally:
            await cluster.close()


async def test_what_the_version_before_wrote_since_the_look_is_written_over() -> None:
    """The pass of a version that makes way may write between the look of the next one and its first word."""
    async with serving(KubernetesApi()) as kube:
        cluster = await Cluster.connect(url=kube.api.url)
        try:
            rollout = wanted("1.0.0")
            rollout["metadata"]["namespace"] = "default"
            await kube.create(ROLLOUTS.path("default"), rollout)
            await cluster.merge_status(ROLLOUTS, "default", "checkout", {"currentPodHash": "new", "stableRS": "old"})
            status = {"phase": "Progressing", "currentPodHash": "new", "stableRS": "old"}
            request = said(rollout, Fence(epoch=1000, sequence=2), status)
            view = await Snapshots(cluster, request).snapshot()
            await cluster.merge_status(ROLLOUTS, "default", "checkout", {"currentPodHash": "old"})
            await StatusWriter(cluster).write(request, view, pass_of(request, view), created=False)
            found = await cluster.get(ROLLOUTS, "default", "checkout")
            assert found["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "4"
            assert found["status"]["currentPodHash"] == "new"
        finally:
            await cluster.close()
