"""The controllers that make stored objects a cluster: pods for ReplicaSets and Jobs, addresses for Services."""

from __future__ import annotations

import asyncio
from types import TracebackType

from sandbox.controllers.endpoints import EndpointsController
from sandbox.controllers.jobs import JobController
from sandbox.controllers.loop import Controller
from sandbox.controllers.pod_simulator import PodSimulator
from sandbox.controllers.replica_sets import ReplicaSetController
from sandbox.kubernetes_api.cluster import Cluster

__all__ = ["Controllers", "PodSimulator"]


class Controllers:
    """All controllers of a cluster, running inside `async with`.

    `simulator` stands in for kubelets; leave it out when one runs.
    """

    def __init__(self, cluster: Cluster, *, simulator: PodSimulator | None = None) -> None:
        self._controllers: list[Controller] = [
            ReplicaSetController(cluster),
            JobController(cluster),
            EndpointsController(cluster),
        ]
        if simulator is not None:
            self._controllers.append(simulator)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Controllers:
        self._tasks = [
            asyncio.create_task(controller.run(), name=type(controller).__name__) for controller in self._controllers
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
