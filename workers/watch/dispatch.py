"""One Rollout object at a time: ask its release how it stands, decide, and say what the object asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from activities.kubernetes.client import ROLLOUTS, SERVICES, Cluster, Object
from activities.kubernetes.workloads import Workloads, with_template
from tidegate.client import RefusedError, RolloutRef, TidegateClient
from tidegate.contract import ErrorType, WorkloadTemplate
from tidegate.watch import (
    Command,
    Decision,
    EmitWarning,
    ReleaseClaims,
    RunState,
    SendUpdate,
    StartRelease,
    decide,
    decide_deleted,
    decide_services,
    release_request,
    service_names,
)
from workers.watch.events import warn

log = structlog.get_logger(__name__)

INVALID_SPEC: Final = "InvalidSpec"
NOT_NOW: Final = "NotDone"


@dataclass(frozen=True)
class ObservedRollout:
    """A Rollout as it was seen last; `object` is None when it is to be read, `missing` it was from a list of all."""

    object: Object | None
    missing: bool = False
    deleted: bool = False
    recheck: bool = False


class RolloutDispatcher:
    """Answers for the Rollouts of one cluster. Remembers nothing: two of them say the same, and it counts once."""

    def __init__(self, cluster: Cluster, client: TidegateClient, name: str) -> None:
        """`name` is the cluster's in requests and workflow ids."""
        self._cluster = cluster
        self._client = client
        self._name = name
        self._workloads = Workloads(cluster)

    async def answer(self, namespace: str, name: str, observed: ObservedRollout) -> bool:
        """Say what the object asks for; returns whether to look again although it did not change.

        Raises TidegateError when Temporal or its workers are away, ApplicationError when the API server is.
        """
        rollout = RolloutRef(namespace, name, self._name)
        found = observed.object
        if found is None:
            found = await self._cluster.find(ROLLOUTS, namespace, name)
        release = await self._client.newest(rollout)
        workload = None
        if found is None:
            uid = release.known.uid if release is not None and release.known is not None else ""
            decision = decide_deleted(uid, release)
        elif observed.deleted:
            decision = decide_deleted(str(found["metadata"].get("uid") or ""), release)
        else:
            workload = await self._workloads.template(namespace, found)
            decision = decide(with_template(found, workload), release, recheck=observed.recheck)
            if decision == Decision() and (release is None or release.state is RunState.ENDED):
                decision = decide_services(found, release, await self._services(namespace, found))
        again = decision.requeue
        for ask in decision.commands:
            again |= await self._say(rollout, found or {}, workload, ask)
        return again

    async def _services(self, namespace: str, rollout: Object) -> dict[str, Object]:
        """The Services that a Rollout names, as far as they exist."""
        found = {name: await self._cluster.find(SERVICES, namespace, name) for name in service_names(rollout)}
        return {name: service for name, service in found.items() if service is not None}

    async def _say(self, rollout: RolloutRef, found: Object, workload: WorkloadTemplate | None, ask: Command) -> bool:
        """Say one thing; returns whether what follows from it has to be looked at."""
        try:
            match ask:
                case StartRelease():
                    request = release_request(found, cluster=self._name, start=ask, workload=workload)
                    handle = await self._client.start(request, key=ask.key)
                    log.info("asked", ask="release", rollout=rollout.workflow_id, why=ask.reason, answer=handle.message)
                    return bool((found.get("spec") or {}).get("paused"))
                case SendUpdate():
                    accepted = await self._client.tell(rollout, ask)
                    answer = accepted.message
                    log.info(
                        "asked", ask=ask.update, rollout=rollout.workflow_id, why=ask.message.reason, answer=answer
                    )
                case ReleaseClaims():
                    if await self._client.let_go(rollout, ask.uid):
                        log.info("asked", ask="let go", rollout=rollout.workflow_id, why="the Rollout was deleted")
                case EmitWarning():
                    await self._refuse(found, NOT_NOW, ask.about, ask.message)
        except RefusedError as error:
            if error.kind == ErrorType.INVALID_SPEC:
                # A generation may be refused for one thing after the other: the template of a Deployment is not its.
                about = f"{found['metadata'].get('generation')}/{error.message}"
                await self._refuse(found, INVALID_SPEC, about, error.message)
            elif error.kind == ErrorType.SUPERSEDED:
                # Somebody asked by another way later on. What else the object says is said all the same, and the
                # release's end is a new occasion to ask.
                await self._refuse(found, NOT_NOW, f"{found['metadata'].get('generation')}/superseded", error.message)
            elif error.kind == ErrorType.REJECTED:
                log.info("turned down, decided anew", rollout=rollout.workflow_id, why=error.message)
                return True
            else:
                raise
        return False

    async def _refuse(self, found: Object, reason: str, about: str, message: str) -> None:
        """Say it where people look, once, and in the log when it was not said before."""
        if await warn(self._cluster, found, reason, about, message):
            metadata = found["metadata"]
            log.warning("refused", reason=reason, namespace=metadata["namespace"], name=metadata["name"], why=message)
