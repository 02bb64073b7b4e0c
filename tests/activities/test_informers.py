"""The cache of a cluster's objects: whatever happens to its watches, it ends equal to what the API server holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import (
    DEPLOYMENTS,
    DESTINATION_RULES,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    VIRTUAL_SERVICES,
    WORKER_AGENT,
    Cluster,
    Object,
)
from activities.kubernetes.informers import Cache
from activities.kubernetes.ownership import is_of, rollouts_of
from activities.kubernetes.reflector import SILENCE_SECONDS
from activities.kubernetes.replica_sets import HASH_LABEL, belongs
from sandbox.kubernetes_api import KubernetesApi
from sandbox.kubernetes_api.cluster import Ref
from sandbox.kubernetes_api.kinds import KINDS
from sandbox.kubernetes_api.kinds import REPLICA_SETS as SETS
from sandbox.kubernetes_api.kinds import ROLLOUTS as OWNERS
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.status import ApiError
from sandbox.machine import patience
from sandbox.processes import LOOPBACK
from tests.virtual.temporal.chances import Chances
from tests.virtual.temporal.loop import run_virtually
from tests.virtual.wire import Wire

NAMESPACE = "default"
KINDS_LOOKED_AT = (ROLLOUTS, REPLICA_SETS, DEPLOYMENTS, SERVICES, VIRTUAL_SERVICES, DESTINATION_RULES)
WRITER = Writer("somebody", SETS.stored_version)
NAMES = ("a", "b", "c")
HASHES = ("1", "2")
LABELS: tuple[dict[str, Any], ...] = ({}, {HASH_LABEL: None}, {HASH_LABEL: "1"}, {HASH_LABEL: ("1", "2")})


def replica_set(name: str, hash_: str, owner: str = "", uid: str = "") -> Object:
    labels = {"app": name, HASH_LABEL: hash_}
    metadata: Object = {"name": f"{name}-{hash_}", "namespace": NAMESPACE, "labels": labels}
    if owner:
        reference = {"apiVersion": ROLLOUTS.api_version, "kind": ROLLOUTS.kind, "name": owner, "uid": uid}
        metadata["ownerReferences"] = [reference]
    container = {"name": "main", "image": "img:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {"metadata": metadata, "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}}


class Watched:
    """An API server with a short memory, a cache of it, and what may happen to both."""

    def __init__(self, rates: dict[str, float] | None = None, history: int = 4096) -> None:
        self.chances = Chances(7, rates)
        self.api = KubernetesApi(history=history, gate=self._gate)
        self.wire = Wire(self.api, WORKER_AGENT, self.chances)
        self.cache = Cache(self.wire)
        self.informer = self.cache.informer(REPLICA_SETS, NAMESPACE)
        self.away = False
        self.uids = {name: self._create_owner(name) for name in NAMES} | {"": ""}

    def _create_owner(self, name: str) -> str:
        """Without one, what it owns is collected."""
        body = {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"replicas": 0}}
        return str(self.api.cluster.create(OWNERS, body, WRITER, namespace=NAMESPACE)["metadata"]["uid"])

    async def _gate(self, _: object) -> None:
        if self.away:
            raise ApiError(503, "ServiceUnavailable", "away")

    async def close(self) -> None:
        await self.cache.close()
        await self.wire.close()

    def write(self, name: str, hash_: str, replicas: int, owner: str) -> None:
        """Create the object, or change it."""
        made = replica_set(name, hash_, owner, self.uids[owner])
        ref = Ref(SETS, NAMESPACE, made["metadata"]["name"])
        found = self.api.store.get(SETS, NAMESPACE, ref.name)
        if found is None:
            self.api.cluster.create(SETS, made, WRITER, namespace=NAMESPACE)
        else:
            self.api.cluster.patch(ref, lambda now: now | {"spec": now["spec"] | {"replicas": replicas}}, WRITER)

    def delete(self, name: str, hash_: str) -> None:
        if self.api.store.get(SETS, NAMESPACE, f"{name}-{hash_}") is not None:
            self.api.cluster.delete(Ref(SETS, NAMESPACE, f"{name}-{hash_}"))

    async def happen(self, what: str, *values: Any) -> None:
        """One of what may happen."""
        if what == "write":
            name, hash_, replicas = values
            self.write(name, hash_, replicas, owner=("", *NAMES)[replicas])
        elif what == "delete":
            self.delete(*values)
        elif what == "many":
            for number in range(12):
                self.write("a", "1", number, "")
        elif what == "away":
            [self.away] = values
        else:
            await asyncio.sleep(values[0])

    async def settle(self) -> None:
        """Nothing goes wrong any more."""
        self.chances.rates.clear()
        self.away = False
        await asyncio.sleep(120)

    async def differences(self) -> list[str]:
        """What the cache answers otherwise than the API server."""
        differences = []
        for labels in LABELS:
            for rollout in ("", *NAMES):
                there = await self.wire.select(REPLICA_SETS, NAMESPACE, labels)
                wanted = [seen(each) for each in there if not rollout or rollout in rollouts_of(each)]
                here = [seen(each) for each in self.informer.select(NAMESPACE, labels, rollout)]
                if here != wanted:
                    differences.append(f"{labels} {rollout}: {here} instead of {wanted}")
        return differences


def seen(found: Object) -> tuple[str, str]:
    return found["metadata"]["name"], found["metadata"]["resourceVersion"]


WRITES = st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(HASHES), st.integers(0, 3))
DELETES = st.tuples(st.just("delete"), st.sampled_from(NAMES), st.sampled_from(HASHES))
MANY = st.tuples(st.just("many"))  # so many that the server forgets what was before
AWAY = st.tuples(st.just("away"), st.booleans())
TIME = st.tuples(st.just("time"), st.sampled_from([0.0, 0.01, 1.0, 40.0, 700.0]))
RATES = st.sampled_from([{}, {"watch cut off": 0.3}, {"watch cut off": 0.1, "answer cut off": 0.2, "stale": 0.3}])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(WRITES, DELETES, MANY, AWAY, TIME), max_size=30), RATES)
def test_whatever_happens_the_cache_ends_equal_to_the_api_server(
    happenings: list[tuple[Any, ...]], rates: dict[str, float]
) -> None:
    async def live() -> list[str]:
        watched = Watched(dict(rates), history=4)
        with watched.cache.lister() as lister:
            lister.of_object(REPLICA_SETS, NAMESPACE, "a-1")  # an informer that nobody reads from ends
            for what, *values in happenings:
                await watched.happen(what, *values)
            await watched.settle()
            differences = [*await watched.differences(), watched.informer.trouble]
        await watched.close()
        return differences

    assert not any(run_virtually(live()))


OWNED = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["Rollout", "Deployment"]),
            "name": st.sampled_from(NAMES),
            "uid": st.sampled_from(["uid-a", "uid-b"]),
            "controller": st.booleans(),
        }
    ),
    max_size=2,
)


@given(OWNED, st.sampled_from(NAMES), st.sampled_from(HASHES), st.booleans(), st.sampled_from(["", "uid-a", "uid-b"]))
def test_what_belongs_to_a_rollout_is_found_among_its_objects(
    owners: list[dict[str, Any]], name: str, hash_: str, named: bool, uid: str
) -> None:
    found = replica_set(name, hash_)
    # A reference names the object of its uid.
    found["metadata"]["ownerReferences"] = [owner | {"name": owner["uid"].removeprefix("uid-")} for owner in owners]
    if not named:
        found["metadata"]["name"] = "other"
    rollout = uid.removeprefix("uid-") or name
    if belongs(found, rollout, uid):
        assert rollout in rollouts_of(found)
    else:
        assert not is_of(found, rollout, uid, unowned=False)


def test_a_reader_of_one_rollout_is_not_woken_by_another() -> None:
    async def live() -> tuple[bool, bool, bool]:
        watched = Watched()
        await asyncio.sleep(1)
        with watched.cache.lister() as lister:
            lister.of_rollout(REPLICA_SETS, NAMESPACE, "a")
            watched.write("b", "1", 0, "b")
            await asyncio.sleep(1)
            by_another = lister.has_changed
            watched.write("a", "1", 0, "a")
            await asyncio.sleep(1)
            by_its_own = lister.has_changed
            lister.begin()
            watched.write("a", "1", 2, "a")
            await asyncio.sleep(1)
            forgotten = lister.has_changed
        await watched.close()
        return by_another, by_its_own, forgotten

    assert run_virtually(live()) == (False, True, False)


def test_who_waits_hears_when_what_was_not_synced_is() -> None:
    async def live() -> None:
        watched = Watched()
        watched.write("a", "1", 0, "a")
        with watched.cache.lister() as lister:
            lister.of_object(REPLICA_SETS, NAMESPACE, "a-1")
            assert not lister.synced
            while not watched.informer.synced:
                lister.begin()
                lister.of_object(REPLICA_SETS, NAMESPACE, "a-1")
                await lister.changed(60)
                assert lister.has_changed
            lister.begin()
            asked = sum(watched.api.calls.values())
            found = lister.of_object(REPLICA_SETS, NAMESPACE, "a-1").get(NAMESPACE, "a-1")
            assert found is not None
            assert "managedFields" not in found["metadata"]
            assert lister.synced
            assert sum(watched.api.calls.values()) == asked
        await watched.close()

    run_virtually(live())


def test_an_informer_ends_when_nobody_has_read_for_a_while_and_begins_again() -> None:
    async def live() -> None:
        watched = Watched()
        await asyncio.sleep(1)
        with watched.cache.lister() as lister:
            lister.of_object(REPLICA_SETS, NAMESPACE, "a-1")
            await asyncio.sleep(3600)
            assert watched.cache.informers() == [(REPLICA_SETS, watched.informer)]
        await asyncio.sleep(1500)
        assert watched.cache.informers() == []
        watched.write("a", "1", 0, "a")
        again = watched.cache.informer(REPLICA_SETS, NAMESPACE)
        await asyncio.sleep(1)
        assert again.synced
        assert again.get(NAMESPACE, "a-1") is not None
        await watched.close()

    run_virtually(live())


class Silent(Wire):
    """A connection that stands, and on which nothing arrives any more."""

    opened = 0

    async def stream(
        self, path: str, query: list[tuple[str, str]], silence: float, opened: Callable[[], None]
    ) -> AsyncIterator[Object]:
        self.opened += 1
        if self.opened > 1:
            async for event in super().stream(path, query, silence, opened):
                yield event
            return
        opened()
        await asyncio.sleep(silence)
        raise ApplicationError("Kubernetes API: WATCH: nothing came", type="Unavailable")


def test_a_watch_on_which_nothing_arrives_is_taken_for_dead_and_nothing_is_missed() -> None:
    async def live() -> None:
        api = KubernetesApi()
        wire = Silent(api, WORKER_AGENT, Chances(7))
        cache = Cache(wire)
        informer = cache.informer(SERVICES, NAMESPACE)
        await asyncio.sleep(1)
        assert informer.synced
        body = {"metadata": {"name": "shop"}, "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]}}
        await wire.create(SERVICES, NAMESPACE, deepcopy(body))
        await asyncio.sleep(SILENCE_SECONDS + 1)
        assert informer.get(NAMESPACE, "shop") is not None
        assert informer.synced
        await cache.close()

    run_virtually(live())


async def test_a_stream_without_a_word_is_a_failure_and_the_next_one_is_opened() -> None:
    gone = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(say_nothing, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    cluster = await Cluster.connect(url=f"http://{LOOPBACK}:{port}")
    opened = asyncio.Event()
    try:
        stream = cluster.stream(SERVICES.path(NAMESPACE), [("watch", "1")], 0.2, opened.set)
        with pytest.raises(ApplicationError, match="WATCH") as dead:
            await anext(aiter(stream))
        assert opened.is_set()
        assert dead.value.type == "Unavailable"
    finally:
        await cluster.close()
        await gone.wait()
        server.close()
        await server.wait_closed()


FOLLOWED = {
    "Rollout": {"replicas": 0},
    "ReplicaSet": replica_set("shop", "1")["spec"],
    "Deployment": replica_set("shop", "1")["spec"],
    "Service": {"ports": [{"port": 80}]},
    "VirtualService": {"hosts": ["shop"], "http": [{"route": [{"destination": {"host": "shop"}}]}]},
    "DestinationRule": {"host": "shop", "subsets": [{"name": "stable"}]},
}


@pytest.mark.parametrize("kind", sorted(FOLLOWED))
async def test_each_kind_that_is_looked_at_is_followed_through_a_socket(kind: str) -> None:
    resource = next(each for each in KINDS_LOOKED_AT if each.kind == kind)
    stored = next(each for each in KINDS if each.kind == kind)
    api = KubernetesApi()
    await api.start()
    cluster = await Cluster.connect(url=api.url, agent=WORKER_AGENT)
    cache = Cache(cluster)
    try:
        with cache.lister() as lister:
            async with asyncio.timeout(patience(30)):
                for number in range(3):
                    name = f"shop-{number}"
                    body = {"metadata": {"name": name}, "spec": deepcopy(FOLLOWED[kind])}
                    api.cluster.create(stored, body, WRITER, namespace=NAMESPACE)
                    while (
                        lister.of_object(resource, NAMESPACE, f"shop-{number}").get(NAMESPACE, f"shop-{number}") is None
                    ):
                        await lister.changed(1)
                        lister.begin()
        assert cache.informer(resource, NAMESPACE).synced
    finally:
        await cache.close()
        await cluster.close()
        await api.stop()
