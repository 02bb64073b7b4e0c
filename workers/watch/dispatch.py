"""Dispatch of one Rollout object: read its release's status, decide, and carry out the commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from activities.kubernetes.client import ROLLOUTS, SERVICES, Cluster, Object
from activities.kubernetes.workloads import Workloads, with_template
from tidegate.client import RefusedError, RolloutRef, TidegateClient
from tidegate.contract import ErrorType, WorkloadTemplate
from tidegate.contract.instances import DEFAULT_INSTANCE, ControllerInstance
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
from workers.watch.argo_lock import ArgoLock
from workers.watch.events import HELD_BY_ARGO, held_by, warn

log = structlog.get_logger(__name__)

INVALID_SPEC: Final = "InvalidSpec"
NOT_NOW: Final = "NotDone"


@dataclass(frozen=True)
class ObservedRollout:
    """The last known state of a Rollout; `object` is None when it is to be read, `missing`: a list lacked it."""

    object: Object | None
    missing: bool = False
    deleted: bool = False
    recheck: bool = False


class RolloutDispatcher:
    """Carries out the commands of the Rollouts of one cluster. It has no state: those of two dispatchers count once."""

    def __init__(
        self,
        cluster: Cluster,
        client: TidegateClient,
        name: str,
        instance: ControllerInstance = DEFAULT_INSTANCE,
        argo_namespaces: tuple[str, ...] = (),
    ) -> None:
        """`name` is the cluster's in requests and workflow ids.

        Objects of another `instance` are left alone, and nothing begins while one of Argo's controllers in
        `argo_namespaces` acts on the same objects.
        """
        self._cluster = cluster
        self._client = client
        self._name = name
        self._instance = instance
        self._lock = ArgoLock(cluster, instance, argo_namespaces)
        self._workloads = Workloads(cluster)

    async def dispatch(self, namespace: str, name: str, observed: ObservedRollout) -> bool:
        """Carry out the commands of an object. True when it is to be dispatched again although it did not change.

        Raises TidegateError when Temporal or its workers are away, ApplicationError when the API server is.
        """
        rollout = RolloutRef(namespace, name, self._name)
        found = observed.object
        if found is None:
            found = await self._cluster.find(ROLLOUTS, namespace, name)
        if found is not None and (why := self._instance.rejection(found)):
            await self._hand_over(rollout, why)
            return False
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
        for command in decision.commands:
            if isinstance(command, StartRelease) and await self._is_held(found or {}):
                return True
            again |= await self._carry_out(rollout, found or {}, workload, command)
        return again

    async def _hand_over(self, rollout: RolloutRef, why: str) -> None:
        """Terminate the release of an object that was given to another controller, which goes on where it left it."""
        if await self._client.hand_over(rollout, why):
            log.warning("handed over", rollout=rollout.workflow_id, why=why)

    async def _services(self, namespace: str, rollout: Object) -> dict[str, Object]:
        """The Services that a Rollout names, as far as they exist."""
        found = {name: await self._cluster.find(SERVICES, namespace, name) for name in service_names(rollout)}
        return {name: service for name, service in found.items() if service is not None}

    async def _carry_out(
        self, rollout: RolloutRef, found: Object, workload: WorkloadTemplate | None, command: Command
    ) -> bool:
        """Carry out one command. True when its consequences have to be checked."""
        try:
            match command:
                case StartRelease():
                    request = release_request(found, cluster=self._name, start=command, workload=workload)
                    handle = await self._client.start(request, key=command.key)
                    log.info(
                        "requested",
                        command="release",
                        rollout=rollout.workflow_id,
                        why=command.reason,
                        answer=handle.message,
                    )
                    return bool((found.get("spec") or {}).get("paused"))
                case SendUpdate():
                    accepted = await self._client.send_update(rollout, command)
                    answer = accepted.message
                    log.info(
                        "requested",
                        command=command.update,
                        rollout=rollout.workflow_id,
                        why=command.message.reason,
                        answer=answer,
                    )
                case ReleaseClaims():
                    if await self._client.let_go(rollout, command.uid):
                        log.info(
                            "requested", command="let go", rollout=rollout.workflow_id, why="the Rollout was deleted"
                        )
                case EmitWarning():
                    await self._refuse(found, NOT_NOW, command.about, command.message)
        except RefusedError as error:
            if error.kind == ErrorType.INVALID_SPEC:
                # A generation may have several rejections in turn: it does not count a Deployment's template.
                about = f"{found['metadata'].get('generation')}/{error.message}"
                await self._refuse(found, INVALID_SPEC, about, error.message)
            elif error.kind == ErrorType.SUPERSEDED:
                # A later request came by another way. The other commands are carried out all the same, and the
                # release's end is a new occasion for this one.
                await self._refuse(found, NOT_NOW, f"{found['metadata'].get('generation')}/superseded", error.message)
            elif error.kind == ErrorType.REJECTED:
                log.info("rejected, decided anew", rollout=rollout.workflow_id, why=error.message)
                return True
            else:
                raise
        return False

    async def _is_held(self, found: Object) -> bool:
        """True while a controller of Argo's acts on the object as well, which an Event says."""
        if holder := await self._lock.holder():
            await self._refuse(found, HELD_BY_ARGO, holder, held_by(holder, ROLLOUTS.kind))
        return bool(holder)

    async def _refuse(self, found: Object, reason: str, about: str, message: str) -> None:
        """Write a warning Event once, and a log line when it is new."""
        if await warn(self._cluster, found, reason, about, message):
            metadata = found["metadata"]
            log.warning("refused", reason=reason, namespace=metadata["namespace"], name=metadata["name"], why=message)
