from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from activities.kubernetes.client import Cluster
from sandbox.temporal import TemporalServer
from tests.kubernetes import crds as definitions
from tests.kubernetes import given
from tests.kubernetes.apps import App
from tests.kubernetes.hands import Hand, Kubectl, Plugin
from tests.kubernetes.installed import Installed
from tests.kubernetes.plane import NAMESPACES, Plane
from tests.kubernetes.pods import simulated_pods
from tests.kubernetes.roles import Roles

SESSION = {"scope": "session", "loop_scope": "session"}


class Spaces:
    """Namespaces of this run: that of most tests, and those whose tests change what holds for all in it."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix
        self.shop = f"shop-{suffix}"
        self.quota = f"quota-{suffix}"
        self.handover = f"handover-{suffix}"

    @property
    def all(self) -> tuple[str, ...]:
        return (self.shop, self.quota, self.handover)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a cluster one test is left to say so."""
    mine = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if mine and (reason := given.why_not()):
        mine[0].add_marker(pytest.mark.skip(reason=reason))
        config.hook.pytest_deselected(items=mine[1:])
        items[:] = [item for item in items if item not in mine[1:]]


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    return given.path(given.KUBECONFIG, "a file")


@pytest.fixture(scope="session")
def spaces() -> Spaces:
    return Spaces(uuid.uuid4().hex[:6])


@pytest_asyncio.fixture(**SESSION)
async def plane(kubeconfig: Path, spaces: Spaces, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plane]:
    """The cluster with namespaces for tests. All that the suite changes of it is as it was at the end."""
    async with AsyncExitStack() as stack:
        cluster = await Cluster.connect(kubeconfig=str(kubeconfig), agent="tidegate-tests", timeout=30)
        stack.push_async_callback(cluster.close)
        plane = Plane(kubeconfig, cluster, tmp_path_factory.mktemp("plane"))
        stack.push_async_callback(definitions.put_back, plane, await definitions.standing(plane))
        for name in await definitions.bring_istio(plane):
            stack.push_async_callback(plane.kubectl, "delete", "crd", name)
        if given.pods_are_simulated():
            await stack.enter_async_context(simulated_pods(plane, f"node-{spaces.suffix}", spaces.all))
        # Last, as a namespace is gone when all in it is, for which pods are needed that end.
        stack.push_async_callback(_delete, plane, spaces.all)
        await plane.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each}} for each in spaces.all)
        yield plane


async def _delete(plane: Plane, namespaces: Sequence[str]) -> None:
    await plane.kubectl("delete", "namespace", "--wait=false", "--ignore-not-found", *namespaces)
    for each in namespaces:
        await plane.gone(NAMESPACES, "", each, 120)


@pytest_asyncio.fixture(**SESSION, autouse=True, params=["tidegate", "argo"])
async def crds(request: pytest.FixtureRequest, plane: Plane) -> Path:
    """Whose definitions stand; each test is run under both."""
    own = request.param == "tidegate"
    folder = definitions.OWN if own else given.path(given.ARGO_CRDS, "a folder with Argo's definitions")
    await definitions.put(plane, folder)
    return folder


@pytest_asyncio.fixture(**SESSION)
async def temporal(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    server = TemporalServer(tmp_path_factory.mktemp("temporal"))
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(**SESSION)
async def roles(plane: Plane, spaces: Spaces) -> AsyncIterator[Roles]:
    found = Roles(plane, spaces.suffix)
    await found.apply(spaces.all)
    yield found
    await found.remove()


@pytest_asyncio.fixture(**SESSION)
async def tidegate(plane: Plane, temporal: TemporalServer, roles: Roles, spaces: Spaces) -> AsyncIterator[Installed]:
    """Tidegate at work in all namespaces but the one that is handed over."""
    namespaces = (spaces.shop, spaces.quota)
    installed = Installed("main", temporal.address, roles, namespaces, plane.home)
    await installed.start()
    yield installed
    await installed.stop()


@pytest.fixture
def app(plane: Plane, spaces: Spaces, tidegate: Installed) -> App:
    """A Rollout that is not made yet."""
    return App(plane, spaces.shop)


@pytest.fixture
def plugin(plane: Plane) -> Plugin:
    return Plugin(plane, given.path(given.ARGO_PLUGIN, "a program: Argo's kubectl plugin"))


@pytest.fixture(params=["kubectl", "plugin"])
def hand(request: pytest.FixtureRequest, plane: Plane) -> Hand:
    """Who acts: whoever has kubectl alone, or Argo's plugin."""
    if request.param == "kubectl":
        return Kubectl(plane)
    found: Plugin = request.getfixturevalue("plugin")
    return found
