"""Tidegate as it is installed: a worker and a watcher, each with the rights of its rendered role and no more."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from sandbox.tidegate_process import WATCHER, TidegateProcess
from tests.kubernetes.roles import Roles


class Installed:
    """The processes for one cluster name."""

    def __init__(self, name: str, temporal: str, roles: Roles, namespaces: Sequence[str], state: Path) -> None:
        """`temporal` is its address, `namespaces` those that the watcher follows."""
        self.name = name
        self.temporal = temporal
        self.roles = roles
        self._namespaces = ",".join(namespaces)
        self._state = state
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Begin to work and to watch."""
        for account, module in (("tidegate-cluster", None), ("tidegate-watcher", WATCHER)):
            settings = {
                "TEMPORAL_ADDRESS": self.temporal,
                "TIDEGATE_CLUSTER": self.name,
                "TIDEGATE_KUBERNETES__KUBECONFIG": str(await self.roles.kubeconfig(account)),
                "TIDEGATE_WATCHER__NAMESPACES": self._namespaces,
                "TIDEGATE_METRICS__HOSTS": "127.0.0.0/8",
                "TIDEGATE_GRACEFUL_SHUTDOWN": "5s",
            }
            title = f"{account}-{self.name}"
            process = (
                TidegateProcess(title, self._state, settings, module=module)
                if module
                else TidegateProcess(title, self._state, settings)
            )
            await process.start()
            self._stack.push_async_callback(process.stop)

    async def stop(self) -> None:
        """End both, in order."""
        await self._stack.aclose()
