"""The control plane as its administrator has it: kubectl, and objects read and awaited."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import Cluster, Object, Resource
from sandbox.machine import patience
from tests.sandbox.kubernetes.kubectl import KUBECTL, run
from tidegate.contract import ErrorType

POLL_SECONDS = 0.25
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")


class Plane:
    """One cluster, and files of this run."""

    def __init__(self, kubeconfig: Path, cluster: Cluster, home: Path) -> None:
        self.kubeconfig = kubeconfig
        self.cluster = cluster
        self.home = home
        self._files = 0

    async def kubectl(self, *words: str, fails: bool = False) -> str:
        """What kubectl answers; it has to fail where it `fails`."""
        code, output = await self.run(str(KUBECTL), *words)
        assert bool(code) is fails, f"kubectl {' '.join(words)}: {output}"
        return output

    async def run(self, *command: str) -> tuple[int, str]:
        """The exit status and output of a program that is to use this cluster."""
        return await run(*command, KUBECONFIG=str(self.kubeconfig), HOME=str(self.home))

    async def is_refused(self, *words: str) -> bool:
        """Whether the server would refuse what kubectl asks for; nothing is done."""
        code, output = await self.run(str(KUBECTL), *words, "--dry-run=server")
        assert not code or "denied" in output or "orbidden" in output, output
        return bool(code)

    def file(self, *objects: Object) -> str:
        """A file of manifests."""
        self._files += 1
        path = self.home / f"{self._files}.yaml"
        path.write_text(yaml.safe_dump_all(objects))
        return str(path)

    async def create(self, objects: Iterable[Object]) -> None:
        """Make objects of any kinds."""
        await self.kubectl("create", "--validate=false", "-f", self.file(*objects))

    async def names(self, resource: Resource, namespace: str) -> set[str]:
        """Names of all that stands."""
        return {each["metadata"]["name"] for each in await self.cluster.select(resource, namespace, {})}

    async def wait(
        self, resource: Resource, namespace: str, name: str, condition: Callable[[Object], bool], seconds: float = 30.0
    ) -> Object:
        """An object as soon as that holds for it."""
        found: Object | None = None

        async def holds() -> bool:
            nonlocal found
            found = await self.cluster.find(resource, namespace, name)
            return found is not None and condition(found)

        def told() -> str:
            shown = {k: v for k, v in (found or {}).items() if k in ("status", "data")}
            return f"{resource.kind} {namespace}/{name}: {json.dumps(shown)[:4000]}"

        await self.until(holds, seconds, told)
        assert found is not None
        return found

    async def gone(self, resource: Resource, namespace: str, name: str, seconds: float = 30.0) -> None:
        """Wait until there is no such object."""

        async def holds() -> bool:
            return await self.cluster.find(resource, namespace, name) is None

        await self.until(holds, seconds, lambda: f"{resource.kind} {namespace}/{name} stands still")

    async def until(self, holds: Callable[[], Any], seconds: float, told: Callable[[], str]) -> None:
        """Ask again until that holds; `told` says what stands when it never does. A restarting server: not yet."""
        begun = time.monotonic()
        while True:
            try:
                if await holds():
                    return
            except ApplicationError as error:
                if error.type not in (ErrorType.UNAVAILABLE, ErrorType.RATE_LIMITED, ErrorType.NOT_FOUND):
                    raise
            if time.monotonic() - begun >= patience(seconds):
                raise AssertionError(f"not so after {seconds:g} s: {told()}")
            await asyncio.sleep(POLL_SECONDS)
