"""What tests see of a release, and a Rollout object whose changes reach its release as in production."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from sandbox.kubernetes_api.kinds import ROLLOUTS, VIRTUAL_SERVICES
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import World
from tests.workflows.edits import HALF, Edit
from tidegate.client import TidegateClient
from tidegate.contract import ReleaseResult, ReleaseStatus, rollout_id
from workers.watch.dispatch import ObservedRollout, RolloutDispatcher


def paused(status: ReleaseStatus) -> bool:
    return status.phase == "Paused"


def routes(world: World) -> list[str]:
    rule = world.cluster.find(VIRTUAL_SERVICES, "checkout-vsvc")
    assert rule is not None
    return [route["name"] for route in rule["spec"]["http"]]


async def failure(handle: WorkflowHandle[Any, Any]) -> tuple[ApplicationError, ReleaseResult]:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    return cause, ReleaseResult.model_validate(cause.details[0])


class Watched:
    """A Rollout object whose changes reach its release by the watcher's door."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._door = RolloutDispatcher(world.cluster.watching, TidegateClient(world.client), "default")

    async def tell(self) -> None:
        """What the watcher does when the object changed; again for as long as the door wants to look again."""
        while await self.look():
            await self._world.env.sleep(1)

    async def look(self) -> bool:
        """One look at the object; whether the door wants to look again."""
        return await self._door.dispatch(NAMESPACE, "checkout", ObservedRollout(None))

    async def apply(self, tag: str, edit: Edit) -> WorkflowHandle[Any, ReleaseResult]:
        """Apply the Rollout object; the release that follows."""
        self._world.cluster.apply(dict(self._world.request(tag, edit).rollout))
        await self.tell()
        return self.release()

    async def patch(self, **spec: Any) -> WorkflowHandle[Any, ReleaseResult]:
        """Change fields of the object's spec; the release that follows."""
        self._world.cluster.change(ROLLOUTS, "checkout", lambda found: found | {"spec": found["spec"] | spec})
        await self.tell()
        return self.release()

    async def ended(self) -> WorkflowHandle[Any, ReleaseResult]:
        """The newest release after its end, to which only time brings it."""
        await self._world.closed(self.release())
        return self.release()

    def release(self) -> WorkflowHandle[Any, ReleaseResult]:
        """The newest."""
        workflow_id = rollout_id("default", NAMESPACE, "checkout")
        return self._world.client.get_workflow_handle(workflow_id, result_type=ReleaseResult)

    def status(self) -> dict[str, Any]:
        """Of the object."""
        found: dict[str, Any] = (self._world.cluster.find(ROLLOUTS, "checkout") or {}).get("status") or {}
        return found

    async def promoted(self, *tags: str, edit: Edit = HALF) -> None:
        """Apply one version after the other, each until its release has ended well."""
        for tag in tags:
            await self.apply(tag, edit)
            assert (await (await self.ended()).result()).outcome == "Healthy"

    async def held(self, tag: str, edit: Edit = HALF) -> WorkflowHandle[Any, ReleaseResult]:
        """Apply a version; its release, once it waits for a person."""
        handle = await self.apply(tag, edit)
        await self._world.until(handle, paused)
        return handle

    def flag(self, name: str) -> None:
        """Somebody patches a flag into the status of the object."""

        def edit(found: dict[str, Any]) -> dict[str, Any]:
            return found | {"status": found["status"] | {name: True}}

        self._world.cluster.change(ROLLOUTS, "checkout", edit, status=True)
