"""What the API server refuses is told in its words, where Argo's users look, and goes on once it is taken."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from activities.kubernetes.client import REPLICA_SETS
from tests.kubernetes.apps import App, condition, version
from tests.kubernetes.conftest import Spaces
from tests.kubernetes.hands import Kubectl, Plugin
from tests.kubernetes.installed import Installed
from tests.kubernetes.plane import Plane
from tests.kubernetes.policies import refusing

pytestmark = pytest.mark.asyncio(loop_scope="session")

FREEZE = "change freeze until Monday"


@pytest.fixture
def kubectl(plane: Plane) -> Kubectl:
    return Kubectl(plane)


@asynccontextmanager
async def frozen_weights(app: App) -> AsyncIterator[None]:
    """No weight of the app's VirtualService can be changed."""
    rule = {
        "apiGroups": ["networking.istio.io"],
        "apiVersions": ["*"],
        "operations": ["UPDATE"],
        "resources": ["virtualservices"],
    }
    patch = json.dumps([{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 99}])
    probe = ["patch", "virtualservice", app.name, "-n", app.namespace, "--type=json", "-p", patch]
    async with refusing(app, rule, "object.spec == oldObject.spec", FREEZE, probe):
        yield


@asynccontextmanager
async def no_replica_set(app: App, reason: str) -> AsyncIterator[None]:
    """No ReplicaSet of the app can be made."""
    rule = {"apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["replicasets"]}
    labels = {"app": app.name, "probe": "yes"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "probe", "image": version(6)}]}}
    probe = {
        "apiVersion": REPLICA_SETS.api_version,
        "kind": REPLICA_SETS.kind,
        "metadata": {"name": f"{app.name}-probe", "namespace": app.namespace},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
    words = ["create", "-f", app.plane.file(probe)]
    async with refusing(app, rule, "false", FREEZE, words, reason):
        yield


def progressing(status: object, reason: str, words: str) -> bool:
    """Whether status and condition say that it is refused."""
    assert isinstance(status, dict)
    said = condition(status)
    return (
        words in str(status.get("message"))
        and (said.get("status"), said.get("reason")) == ("False", reason)
        and words in said["message"]
    )


async def test_a_refused_weight_is_told_and_written_once_it_is_taken(app: App, kubectl: Kubectl) -> None:
    await app.create()
    await app.healthy()
    await kubectl.set_image(*app.where, version(7))
    await app.paused_at(1)
    async with frozen_weights(app):
        await kubectl.promote(*app.where)
        await app.warned("TrafficRoutingError", FREEZE)
        await app.until(lambda s: progressing(s, "TrafficRoutingError", FREEZE))
        assert (await app.status())["phase"] == "Progressing"
        assert await app.weights() == [80, 20]
    await app.paused_at(3)
    await app.weight_is(60)
    assert len(await app.warnings("TrafficRoutingError")) == 1
    assert FREEZE not in str((await app.status()).get("message"))


async def test_an_abort_whose_way_back_is_refused_ends_with_all_traffic_on_stable(app: App, kubectl: Kubectl) -> None:
    await app.create()
    stable = (await app.healthy())["stableRS"]
    await kubectl.set_image(*app.where, version(7))
    await app.paused_at(1)
    async with frozen_weights(app):
        await kubectl.abort(*app.where)
        await app.warned("TrafficRoutingError", FREEZE)
        await app.until(lambda s: s.get("abort") and FREEZE in s.get("message", ""))
        assert await app.weights() == [80, 20]
        assert len(await app.pods()) == 3, "nothing is scaled while it has traffic"
    assert (await app.aborted())["stableRS"] == stable


@pytest.mark.parametrize("reason", ["Invalid", "Forbidden"])
async def test_a_refused_replica_set_is_told_and_made_once_it_is_taken(app: App, kubectl: Kubectl, reason: str) -> None:
    await app.create()
    stable = (await app.healthy())["stableRS"]
    async with no_replica_set(app, reason):
        await kubectl.set_image(*app.where, version(7))
        await app.warned("ReplicaSetCreateError", FREEZE)
        await app.until(lambda s: progressing(s, "ReplicaSetCreateError", FREEZE))
        assert set(await app.sets()) == {stable}
    await app.paused_at(1)
    await app.weight_is(20)
    assert len(await app.warnings("ReplicaSetCreateError")) == 1


@pytest.mark.parametrize("reason", ["Invalid", "Forbidden"])
async def test_an_abort_asks_for_no_replica_set_that_was_refused(app: App, kubectl: Kubectl, reason: str) -> None:
    await app.create()
    stable = (await app.healthy())["stableRS"]
    async with no_replica_set(app, reason):
        await kubectl.set_image(*app.where, version(7))
        await app.warned("ReplicaSetCreateError", FREEZE)
        await kubectl.abort(*app.where)
        found = await app.aborted()
        assert found["stableRS"] == stable
    assert set(await app.sets()) == {stable}


async def test_the_plugin_shows_what_is_refused(app: App, plugin: Plugin) -> None:
    await app.create()
    await app.healthy()
    async with no_replica_set(app, "Invalid"):
        await plugin.set_image(*app.where, version(7))
        await app.until(lambda s: progressing(s, "ReplicaSetCreateError", FREEZE))
        assert FREEZE in await plugin.status(*app.where)


@asynccontextmanager
async def quota(app: App, **hard: int) -> AsyncIterator[None]:
    """No more than that in the namespace."""
    limits = {name.replace("_", "/"): str(each) for name, each in hard.items()}
    body = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": app.namespace},
        "spec": {"hard": limits},
    }
    await app.plane.create([body])

    async def counted() -> bool:
        found = json.loads(await app.plane.kubectl("get", "resourcequota", "few", "-n", app.namespace, "-o", "json"))
        return limits == (found.get("status") or {}).get("hard") and bool(found["status"].get("used"))

    await app.plane.until(counted, 60, lambda: "the quota is not counted")
    try:
        yield
    finally:
        await app.plane.kubectl("delete", "resourcequota", "few", "-n", app.namespace)


@pytest.fixture
def alone(plane: Plane, spaces: Spaces, tidegate: Installed) -> App:
    """A Rollout in a namespace in which nothing else runs."""
    return App(plane, spaces.quota)


async def test_the_words_of_a_quota_that_pods_do_not_fit_in_are_told(alone: App, kubectl: Kubectl) -> None:
    await alone.create()
    await alone.healthy()
    async with quota(alone, pods=2):
        await kubectl.set_image(*alone.where, version(7))
        await alone.until(lambda s: "exceeded quota: few" in s.get("message", ""))
    await alone.plane.kubectl("delete", "rollouts.argoproj.io", alone.name, "-n", alone.namespace)


async def test_the_words_of_a_quota_that_a_replica_set_does_not_fit_in_are_told(alone: App, kubectl: Kubectl) -> None:
    await alone.create()
    await alone.healthy()
    have = len(await alone.plane.names(REPLICA_SETS, alone.namespace))
    async with quota(alone, **{"count_replicasets.apps": have}):
        await kubectl.set_image(*alone.where, version(7))
        await alone.warned("ReplicaSetCreateError", "exceeded quota: few")
        await alone.until(lambda s: progressing(s, "ReplicaSetCreateError", "exceeded quota: few"))
    await alone.paused_at(1)
    await alone.plane.kubectl("delete", "rollouts.argoproj.io", alone.name, "-n", alone.namespace)
