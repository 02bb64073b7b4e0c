"""Brings Envoy to a mesh configuration: in an order in which no request is lost, and not done before Envoy says so."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from sandbox.documents import Document
from sandbox.envoy import CLUSTERS, ROUTES, Envoy, Subscription
from sandbox.mesh.names import ClusterName
from sandbox.mesh.snapshot import Backends
from sandbox.mesh.translate import MeshConfig
from sandbox.mesh.xds import DiscoveryFiles

CONFIRM_SECONDS = 5.0
POLL_SECONDS = 0.005
# A cluster that no route mentions any more stays for a while: its last requests end, and its last counts are read.
LINGER_SECONDS = 5.0


class MeshError(Exception):
    """Envoy does not do what the objects say: it refused an update, or did not take it in time."""


class Applier:
    """Writes discovery files and waits until Envoy reports their versions. One `apply` at a time."""

    def __init__(self, envoy: Envoy, files: DiscoveryFiles, *, linger: float = LINGER_SECONDS) -> None:
        """`linger` is how many seconds an unused cluster stays."""
        self._envoy = envoy
        self._files = files
        self._linger = linger
        self._written: Backends = {}
        self._announced: set[ClusterName] = set()
        self._unused: dict[ClusterName, float] = {}
        self._hosts: tuple[Document, ...] = ()
        self._expected: dict[str, str] = {}
        self._refused: dict[str, int] = {}
        self._bad: dict[str, str] = {}

    async def apply(self, session: aiohttp.ClientSession, config: MeshConfig) -> None:
        """Make Envoy follow `config`; what has not changed is not written.

        Raises MeshError when Envoy refuses a file (it then goes on with what it had) or does not answer in time.
        """
        for name, addresses in config.clusters.items():
            if self._written.get(name) != addresses:
                self._expected[_endpoints(name)] = self._files.put_endpoints(name, addresses)
                self._written[name] = addresses
        if self._announce(config):
            await self._confirm(session)  # a route to a cluster that Envoy does not know yet would answer 503
        if config.virtual_hosts != self._hosts:
            self._expected[ROUTES] = self._files.put_routes(config.virtual_hosts)
            self._hosts = config.virtual_hosts
        await self._confirm(session)

    def _announce(self, config: MeshConfig) -> bool:
        """Write the list of clusters if it changed; True when there are new ones."""
        now = time.monotonic()
        unused = self._written.keys() - config.clusters.keys()
        self._unused = {name: self._unused.get(name, now) for name in unused}
        in_use = self._bad.get(ROUTES) == self._expected.get(ROUTES, "")  # refused: the routes before it are in force
        expired = {name for name, since in self._unused.items() if now - since > self._linger and not in_use}
        for name in expired:
            self._forget(name)
        wanted = set(self._written)
        new = bool(wanted - self._announced)
        if wanted != self._announced:
            self._expected[CLUSTERS] = self._files.put_clusters(sorted(wanted))
            self._announced = wanted
        for name in expired:
            self._files.drop_endpoints(name)
        return new

    def _forget(self, name: ClusterName) -> None:
        del self._written[name], self._unused[name]
        self._expected.pop(_endpoints(name), None)
        self._refused.pop(_endpoints(name), None)

    async def _confirm(self, session: aiohttp.ClientSession) -> None:
        deadline = time.monotonic() + CONFIRM_SECONDS
        while True:
            try:
                seen = await self._envoy.subscriptions(session)
            except (aiohttp.ClientError, OSError) as error:
                pending, problem = set(self._expected), f"its admin interface does not answer: {error!r}"
            else:
                pending = {of for of, version in self._expected.items() if _version(seen, of) != version}
                self._raise_if_refused(seen, pending)
                problem = f"still without {', '.join(sorted(pending))}"
            if not pending:
                return
            if time.monotonic() >= deadline:
                raise MeshError(f"Envoy has not taken an update in {CONFIRM_SECONDS:g} s: {problem}")
            await asyncio.sleep(POLL_SECONDS)

    def _raise_if_refused(self, seen: dict[str, Subscription], pending: set[str]) -> None:
        for of in pending & seen.keys():
            if seen[of].refused > self._refused.get(of, 0):
                self._bad[of] = self._expected[of]
        self._refused = {of: subscription.refused for of, subscription in seen.items()}
        refused = sorted(of for of in pending if self._bad.get(of) == self._expected[of])
        if refused:
            raise MeshError(
                f"Envoy refused an update of {', '.join(refused)} and goes on with the one before; "
                f"the reason stands in {self._envoy.program.log_file}"
            )


def _endpoints(name: ClusterName) -> str:
    return f"cluster.{name}"


def _version(seen: dict[str, Subscription], of: str) -> str:
    return seen[of].version if of in seen else ""
