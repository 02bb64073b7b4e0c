"""The mesh agent: watches the Kubernetes API and keeps Envoy doing what the objects say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import aiohttp
import structlog

from sandbox.documents import metadata, texts
from sandbox.envoy import Envoy
from sandbox.machine import patience
from sandbox.mesh.apply import LINGER_SECONDS, Applier, MeshError
from sandbox.mesh.snapshot import Snapshot
from sandbox.mesh.translate import MeshConfig, translate
from sandbox.mesh.xds import DiscoveryFiles
from sandbox.reflector import Reflector

log = structlog.get_logger(__name__)

ISTIO = "/apis/networking.istio.io/v1beta1"
SETTLE_SECONDS = 0.003  # one change of a controller is often several writes
RETRY_SECONDS = 0.5
TIDY_SECONDS = 1.0


class MeshAgent:
    """Runs from `start` to `stop`.

    What it cannot honour of an object is logged as a warning, an update that Envoy refused as an error.
    """

    def __init__(
        self,
        api: str,
        envoy: Envoy,
        files: DiscoveryFiles,
        *,
        linger: float = LINGER_SECONDS,
        seen: Callable[[Mapping[str, str]], None] = lambda _: None,
    ) -> None:
        """`api` is the URL of the Kubernetes API, `linger` how many seconds an unused Envoy cluster stays.

        `seen` is called with the labels of each pod before any traffic goes to it.
        """
        self._api = api
        self._seen = seen
        self._applier = Applier(envoy, files, linger=linger)
        self._stack = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._reflectors: list[Reflector] = []
        self._dirty = asyncio.Event()
        self._idle = asyncio.Event()
        self._warned: set[str] = set()
        self._problem = ""

    async def start(self) -> None:
        """Begin to watch; returns at once. `synced` tells when Envoy follows."""
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        paths = (
            "/api/v1/services",
            "/api/v1/endpoints",
            "/api/v1/pods",
            f"{ISTIO}/virtualservices",
            f"{ISTIO}/destinationrules",
            "/apis/gateway.networking.k8s.io/v1/httproutes",
            "/apis/networking.k8s.io/v1/ingresses",
        )
        self._reflectors = [Reflector(session, self._api, path, lambda _: self._mark()) for path in paths]
        self._tasks = [asyncio.create_task(reflector.run()) for reflector in self._reflectors]
        self._tasks.append(asyncio.create_task(self._run(session)))

    async def stop(self) -> None:
        """Stop watching; Envoy keeps what it has."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._stack.aclose()

    async def synced(self, timeout: float = 10.0) -> None:
        """Wait until Envoy does what the API server holds at this moment.

        Raises MeshError when Envoy refused the update, TimeoutError after `timeout` seconds of an
        idle machine.
        """
        async with asyncio.timeout(patience(timeout)):
            await asyncio.gather(*(reflector.caught_up() for reflector in self._reflectors))
            await self._idle.wait()
        if self._problem:
            raise MeshError(self._problem)

    def _mark(self) -> None:
        self._dirty.set()
        self._idle.clear()

    async def _run(self, session: aiohttp.ClientSession) -> None:
        await self._listed()
        self._mark()
        while True:
            with contextlib.suppress(TimeoutError):  # now and then without a change, so that unused clusters go
                await asyncio.wait_for(self._dirty.wait(), TIDY_SECONDS)
                await asyncio.sleep(SETTLE_SECONDS)
            self._dirty.clear()
            try:
                await self._apply(session)
            except MeshError as error:
                self._report(str(error))
            if not self._dirty.is_set():
                self._idle.set()

    async def _listed(self) -> None:
        """Wait for the first list of every kind: half a picture would make Envoy refuse requests for no reason."""
        while True:
            try:
                await asyncio.gather(*(reflector.caught_up() for reflector in self._reflectors))
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _apply(self, session: aiohttp.ClientSession) -> None:
        snapshot = self._snapshot()
        for pod in snapshot.pods.values():
            self._seen(texts(metadata(pod).get("labels")))
        config = translate(snapshot)
        self._warn(config)
        await self._applier.apply(session, config)
        self._problem = ""

    def _snapshot(self) -> Snapshot:
        return Snapshot(*(each.objects for each in self._reflectors))

    def _warn(self, config: MeshConfig) -> None:
        for warning in config.warnings:
            if warning not in self._warned:
                log.warning("mesh", problem=warning)
        self._warned = set(config.warnings)

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            log.error("mesh out of step", problem=problem)
        self._problem = problem
