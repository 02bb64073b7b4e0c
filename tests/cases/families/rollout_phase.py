"""rollout_phase, bluegreen_phase: the one word for a Rollout, and its message, as a pass writes them into `.status`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from structlog.testing import capture_logs

from activities.kubernetes.client import ROLLOUTS
from activities.kubernetes.replica_sets import HASH_LABEL, PROMOTED_AT
from activities.reconcile.cluster_state import ClusterSnapshot, Snapshots
from activities.reconcile.rollout_status import StatusWriter
from activities.reconcile.strategies import pass_of
from tests.activities.mesh import NAMESPACE, Mesh, serving
from tests.cases.family import Answer, Family, Input
from tidegate.contract import (
    DesiredState,
    Document,
    Fence,
    Message,
    PauseReason,
    Reconcile,
    ReleaseStatus,
    StatusReport,
    StrategyName,
    Target,
)
from tidegate.manifests.rollout import Canary
from tidegate.report import rollout_status
from tidegate.rollouts.phase import RolloutPhase
from tidegate.rollouts.restarts import restart_due

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
DEGRADED: Final = ("RolloutAborted", "ProgressDeadlineExceeded", "InvalidSpec")


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
    for service in _services(rollout):
        mesh.put("Service", service, NAMESPACE)
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
    await StatusWriter(mesh.cluster).write(request, snapshot, pass_of(request, snapshot), created=False)
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
        strategy=StrategyName.of(request.rollout),
        step_index=desired.index,
    )
    ended = [each for each in stored.get("conditions") or [] if each["reason"] in DEGRADED]
    if ended:
        message = f"{ended[0]['reason']}: {ended[0]['message']}"
        given_up = {"message": message, "aborting": bool(stored.get("abort"))}
        return release.model_copy(update={"phase": RolloutPhase.DEGRADED, **given_up})
    if pauses := stored.get("pauseConditions"):
        pause: dict[str, Any] = {"pause": PauseReason(pauses[0]["reason"]), "message": pauses[0]["reason"]}
        if request.rollout["spec"].get("paused"):
            pause["manual_pause"] = Message()
        return release.model_copy(update={"phase": RolloutPhase.PAUSED, "paused_at": NOW, **pause})
    if restart_due(request.rollout) is not None:
        release = release.model_copy(update={"restarting": True})
    has_all = all(each.available >= each.desired for each in snapshot.cluster_state.sets)
    strategy = request.manifest.strategy
    if isinstance(strategy, Canary) and strategy.traffic_routing is None:
        has_all &= not any(each.current for each in snapshot.cluster_state.sets if each.hash != desired.hash)
    is_there = desired.hash == desired.stable_hash and pass_of(request, snapshot).converged()
    return release.model_copy(update={"phase": RolloutPhase.HEALTHY}) if is_there and has_all else release


def _sets(rollout: Document) -> list[tuple[str, int, int, int]]:
    """Hash, wanted, created and available pods: the version's, and those of older ones, that are on their way out."""
    status, wanted = rollout["status"], rollout["spec"]["replicas"]
    updated, stable, available = status["updatedReplicas"], status["stableRS"], status["availableReplicas"]
    active = (status.get("blueGreen") or {}).get("activeSelector", status["currentPodHash"])
    if active != status["currentPodHash"]:
        others = max(0, status["replicas"] - updated)
        return [(status["currentPodHash"], updated, updated, 0), (active, wanted, others, available)]
    sets = [(status["currentPodHash"], wanted, updated, available)]
    if stable not in ("", status["currentPodHash"]):
        sets.append((stable, 0, 0, 0))
    return [*sets, ("old", 0, status["replicas"] - updated, 0)]


def _services(rollout: Document) -> list[Document]:
    """The Services of a blue-green strategy, with what the status says that they select."""
    strategy, status = rollout["spec"]["strategy"].get("blueGreen") or {}, rollout["status"].get("blueGreen") or {}
    named = {strategy.get(f"{role}Service"): status.get(f"{role}Selector") for role in ("active", "preview")}
    return [
        {"metadata": {"name": name}, "spec": {"selector": {HASH_LABEL: hash_} if hash_ else {"app": "x"}}}
        for name, hash_ in named.items()
        if name
    ]


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
    return (rollout["spec"]["strategy"].get("canary") or {}).get("steps") or []


def quirk(given: Input) -> str:
    status = given["rollout"]["status"]
    if status.get("phase"):
        return "a release says what it knows, whatever the status says"
    if status["observedGeneration"] < str(given["rollout"]["metadata"]["generation"]):
        return "what is said of a release is said of its own spec, also while a newer one waits"
    if status.get("controllerPause") and not status.get("pauseConditions"):
        return "a release says what it knows, whatever the status says"
    if "blueGreen" in status and not status["stableRS"]:
        return "a first version is the stable one from its beginning, as in Argo's own controller"
    return ""


FAMILIES = (Family("rollout_phase", phase, quirk=quirk), Family("bluegreen_phase", phase, quirk=quirk))
