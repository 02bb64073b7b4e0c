"""Pods are asked for only where their words can say why a version is not available."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from activities.reconcile.reconciler import Passes
from sandbox.kubernetes_api.cluster import Ref
from sandbox.kubernetes_api.kinds import REPLICA_SETS
from sandbox.kubernetes_api.managed_fields import Writer
from tests.activities.standing import NAMESPACE, Standing, rollout
from tests.virtual.temporal.loop import run_virtually
from tidegate.contract import DesiredState, Fence, Reconcile, Reconciled, StatusReport, Target

NAME, HASH = "shop", "1"
REFUSED = "exceeded quota"


def count_pods(standing: Standing, pods: int) -> None:
    """The ReplicaSet controller says how many pods it has made."""

    def edit(found: Any) -> Any:
        seen = {"replicas": pods, "observedGeneration": found["metadata"]["generation"]}
        return {**deepcopy(found), "status": {**(found.get("status") or {}), **seen}}

    writer = Writer("replicaset-controller", "apps/v1", "status")
    standing.api.cluster.patch(Ref(REPLICA_SETS, NAMESPACE, f"{NAME}-{HASH}"), edit, writer)


async def look(standing: Standing) -> Reconciled:
    """A pass that changes nothing."""
    request = Reconcile(
        target=Target(namespace=NAMESPACE, name=NAME),
        rollout=rollout(NAME),
        revision=1,
        desired=DesiredState(hash=HASH, stable_hash=HASH, index=2),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        report=StatusReport(),
        moves=False,
        fence=Fence(epoch=1, sequence=1),
    )
    return await Passes(standing.wire, standing.cache).reconcile(request)


@pytest.mark.parametrize(("made", "refused", "asks"), [(0, "", 0), (1, "", 1), (0, REFUSED, 0)])
def test_pods_that_are_still_being_made_are_not_asked_for(made: int, refused: str, asks: int) -> None:
    async def live() -> None:
        standing = Standing(NAME)
        standing.make_set(NAME, HASH)
        if refused:
            standing.refuse_pods(f"{NAME}-{HASH}", refused)
        count_pods(standing, made)
        seen = await look(standing)
        assert [(verb, kind) for _, verb, kind in standing.asked].count(("list", "pods")) == asks
        assert seen.not_ready_reason.startswith(f"0 of 1 pods of {NAME}-{HASH} available")
        assert (REFUSED in seen.not_ready_reason) == bool(refused)
        await standing.close()

    run_virtually(live())
