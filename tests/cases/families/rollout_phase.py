"""rollout_phase: the one word for a Rollout, and its message, as a pass writes them into `.status`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from structlog.testing import capture_logs

from activities.kubernetes.client import ROLLOUTS
from activities.kubernetes.replica_sets import HASH_LABEL, PROMOTED_AT
from activities.reconcile.cluster_state import ClusterSnapshot, Snapshots
from activities.reconcile.rollout_status import StatusWriter
from tests.activities.mesh import NAMESPACE, Mesh, serving
from tests.cases.family import Answer, Family, Input
from tidegate.canary.phase import RolloutPhase
from tidegate.canary.position import CanaryState
from tidegate.canary.reconcile import converged
from tidegate.contract import (
    DesiredState,
    Document,
    Fence,
    PauseReason,
    Reconcile,
    ReleaseStatus,
    StatusReport,
    Target,
)
from tidegate.report import rollout_status

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
DEGRADED: Final = ("RolloutAborted", "ProgressDeadlineExceeded")


def phase(given: Input) -> Answer:
    async def write() -> Answer:
        async with serving() as mesh:
            return await _written(mesh, given["rollout"])

    with capture_logs():
        return asyncio.run(write())


async def _written(mesh: Mesh, rollout: Document) -> Answer:
    """What a release that stands as the case says writes into the object."""
    name = rollout["metadata"]["name"]
    mesh.put("Rollout", rollout, NAMESPACE)
    stored = rollout["status"]
    for hash_, wanted, created, available in _sets(rollout):
        body = _replica_set(f"{name}-{hash_}", hash_, wanted, created, available)
        if hash_ == stored["stableRS"]:
            body["metadata"]["annotations"] = {PROMOTED_AT: NOW.isoformat()}
        mesh.put("ReplicaSet", body, NAMESPACE)
    request = Reconcile(
        target=Target(namespace=NAMESPACE, name=name),
        rollout=rollout,
        revision=0,
        desired=DesiredState(
            hash=stored["currentPodHash"], stable_hash=stored["stableRS"], index=len(_steps(rollout)) or None
        ),
        at=NOW,
        fence=Fence(epoch=1, sequence=1),
    )
    snapshot = await Snapshots(mesh.cluster, request).snapshot()
    document = rollout_status(_release(request, snapshot))
    report = StatusReport(status=document, message=document["message"])
    request = request.model_copy(update={"report": report})
    await StatusWriter(mesh.cluster).write(request, snapshot, created=False)
    status = (await mesh.now(ROLLOUTS, name))["status"]
    return {"phase": status["phase"], "message": status.get("message", "")}


def _release(request: Reconcile, snapshot: ClusterSnapshot) -> ReleaseStatus:
    """The release of a case: aborted, late, paused, promoted with all of its pods, or still under way."""
    stored, desired = request.rollout["status"], request.desired
    release = ReleaseStatus(
        workflow_id="",
        run_id="",
        cluster="default",
        namespace=NAMESPACE,
        name=request.target.name,
        phase=RolloutPhase.PROGRESSING,
        started_at=NOW,
        desired_hash=desired.hash,
        stable_hash=desired.stable_hash,
        step_index=desired.index,
    )
    ended = [each for each in stored.get("conditions") or [] if each["reason"] in DEGRADED]
    if ended:
        message = f"{ended[0]['reason']}: {ended[0]['message']}"
        given_up = {"message": message, "aborting": bool(stored.get("abort"))}
        return release.model_copy(update={"phase": RolloutPhase.DEGRADED, **given_up})
    if pauses := stored.get("pauseConditions"):
        pause = {"pause": PauseReason(pauses[0]["reason"]), "message": pauses[0]["reason"], "paused_at": NOW}
        return release.model_copy(update={"phase": RolloutPhase.PAUSED, **pause})
    state = CanaryState(
        request.manifest.canary, snapshot.replicas, desired.hash, desired.stable_hash, index=desired.index
    )
    has_all = all(each.available >= each.desired for each in snapshot.cluster_state.sets)
    if state.weights is None and request.manifest.canary.traffic_routing is None:
        has_all &= not any(each.current for each in snapshot.cluster_state.sets if each.hash != desired.hash)
    is_there = state.fully_promoted and converged(state, snapshot.cluster_state, request.manifest.rules, NOW)
    return release.model_copy(update={"phase": RolloutPhase.HEALTHY}) if is_there and has_all else release


def _sets(rollout: Document) -> list[tuple[str, int, int, int]]:
    """Hash, wanted, created and available pods: the version's, and those of older ones, that are on their way out."""
    status, wanted = rollout["status"], rollout["spec"]["replicas"]
    updated, stable = status["updatedReplicas"], status["stableRS"]
    sets = [(status["currentPodHash"], wanted, updated, status["availableReplicas"])]
    if stable not in ("", status["currentPodHash"]):
        sets.append((stable, 0, 0, 0))
    return [*sets, ("old", 0, status["replicas"] - updated, 0)]


def _replica_set(name: str, hash_: str, wanted: int, created: int, available: int) -> Document:
    labels = {HASH_LABEL: hash_}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    counts = {"replicas": created, "readyReplicas": available, "availableReplicas": available}
    return {
        "metadata": {"name": name, "labels": labels, "generation": 1},
        "spec": {"replicas": wanted, "selector": {"matchLabels": labels}, "template": template},
        "status": {**counts, "observedGeneration": 1},
    }


def _steps(rollout: Document) -> list[Any]:
    return rollout["spec"]["strategy"]["canary"].get("steps") or []


def quirk(given: Input) -> str:
    status = given["rollout"]["status"]
    if status.get("phase"):
        return "a release says what it knows, whatever the status says"
    if status["observedGeneration"] < str(given["rollout"]["metadata"]["generation"]):
        return "what is said of a release is said of its own spec, also while a newer one waits"
    return ""


FAMILIES = (Family("rollout_phase", phase, quirk=quirk),)
