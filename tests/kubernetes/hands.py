"""Whoever uses a Rollout: with plain kubectl, or with Argo's plugin. Both only write into the object."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from activities.kubernetes.client import REPLICA_SETS
from tests.kubernetes.plane import Plane


class Hand(Protocol):
    """What can be done with a Rollout of a namespace."""

    async def set_image(self, namespace: str, name: str, image: str) -> None:
        """Ask for another version."""

    async def promote(self, namespace: str, name: str) -> None:
        """End a pause, also one that a person made."""

    async def promote_full(self, namespace: str, name: str) -> None:
        """Skip all steps."""

    async def abort(self, namespace: str, name: str) -> None:
        """Put all traffic back."""

    async def retry(self, namespace: str, name: str) -> None:
        """Try an aborted version again."""

    async def pause(self, namespace: str, name: str) -> None:
        """Take no further step."""

    async def restart(self, namespace: str, name: str) -> None:
        """Replace all pods."""

    async def undo(self, namespace: str, name: str, hash_: str, revision: int) -> None:
        """Go back to the template of an earlier ReplicaSet."""


class Kubectl:
    """Patches of the object, as Argo's documentation gives them and its plugin sends them."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def set_image(self, namespace: str, name: str, image: str) -> None:
        path = "/spec/template/spec/containers/0/image"
        await self._json(namespace, name, [{"op": "replace", "path": path, "value": image}])

    async def promote(self, namespace: str, name: str) -> None:
        await self._merge(namespace, name, {"spec": {"paused": False}})
        await self._status(namespace, name, {"pauseConditions": None})

    async def promote_full(self, namespace: str, name: str) -> None:
        await self._status(namespace, name, {"promoteFull": True})

    async def abort(self, namespace: str, name: str) -> None:
        await self._status(namespace, name, {"abort": True})

    async def retry(self, namespace: str, name: str) -> None:
        await self._status(namespace, name, {"abort": False})

    async def pause(self, namespace: str, name: str) -> None:
        await self._merge(namespace, name, {"spec": {"paused": True}})

    async def restart(self, namespace: str, name: str) -> None:
        moment = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        await self._merge(namespace, name, {"spec": {"restartAt": moment}})

    async def undo(self, namespace: str, name: str, hash_: str, revision: int) -> None:
        found = await self._plane.cluster.get(REPLICA_SETS, namespace, f"{name}-{hash_}")
        template = found["spec"]["template"]
        del template["metadata"]["labels"]["rollouts-pod-template-hash"]
        await self._json(namespace, name, [{"op": "replace", "path": "/spec/template", "value": template}])

    async def _merge(self, namespace: str, name: str, patch: object, *more: str) -> None:
        words = ("patch", "rollouts.argoproj.io", name, "-n", namespace, "--type=merge", "-p", json.dumps(patch))
        await self._plane.kubectl(*words, *more)

    async def _status(self, namespace: str, name: str, status: object) -> None:
        await self._merge(namespace, name, {"status": status}, "--subresource=status")

    async def _json(self, namespace: str, name: str, patch: object) -> None:
        words = ("patch", "rollouts.argoproj.io", name, "-n", namespace, "--type=json", "-p", json.dumps(patch))
        await self._plane.kubectl(*words)


class Plugin:
    """`kubectl argo rollouts`."""

    def __init__(self, plane: Plane, program: Path) -> None:
        self._plane = plane
        self._program = program

    async def set_image(self, namespace: str, name: str, image: str) -> None:
        await self._run(namespace, "set", "image", name, f"*={image}")

    async def promote(self, namespace: str, name: str) -> None:
        await self._run(namespace, "promote", name)

    async def promote_full(self, namespace: str, name: str) -> None:
        await self._run(namespace, "promote", name, "--full")

    async def abort(self, namespace: str, name: str) -> None:
        await self._run(namespace, "abort", name)

    async def retry(self, namespace: str, name: str) -> None:
        await self._run(namespace, "retry", "rollout", name)

    async def terminate_experiment(self, namespace: str, name: str) -> None:
        await self._run(namespace, "terminate", "experiment", name)

    async def retry_experiment(self, namespace: str, name: str) -> None:
        await self._run(namespace, "retry", "experiment", name)

    async def pause(self, namespace: str, name: str) -> None:
        await self._run(namespace, "pause", name)

    async def restart(self, namespace: str, name: str) -> None:
        await self._run(namespace, "restart", name)

    async def undo(self, namespace: str, name: str, hash_: str, revision: int) -> None:
        await self._run(namespace, "undo", name, f"--to-revision={revision}")

    async def status(self, namespace: str, name: str) -> str:
        """What it says of a Rollout in one line."""
        _, output = await self._plane.run(str(self._program), "-n", namespace, "status", name, "--watch=false")
        return output

    async def _run(self, namespace: str, *words: str) -> None:
        code, output = await self._plane.run(str(self._program), "-n", namespace, *words)
        assert code == 0, output
