"""What a pass reads of the cache: never anything older than what the release has written, whoever wrote it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import REPLICA_SETS, SERVICES, WORKER_AGENT, Object
from activities.kubernetes.fresh import PATIENCE_SECONDS, FreshReader
from activities.kubernetes.informers import Cache
from activities.kubernetes.json_patch import put
from activities.kubernetes.replica_sets import HASH_LABEL
from activities.kubernetes.seen import Seen, noting
from sandbox.kubernetes_api import Call, KubernetesApi
from tests.activities.test_informers import NAMESPACE, replica_set
from tests.virtual.temporal.chances import Chances
from tests.virtual.temporal.loop import run_virtually
from tests.virtual.wire import Wire

SETS = ("a-1", "b-1")
STALE = {"stale": 0.5, "watch cut off": 0.1}


class Release:
    """Passes of one release in two workers, each with a cache of its own that may be far behind."""

    def __init__(self, rates: dict[str, float] | None = None) -> None:
        self.api = KubernetesApi(gate=self._note)
        self.wires = [Wire(self.api, WORKER_AGENT, Chances(seed, dict(rates or {}))) for seed in (7, 8)]
        self.caches = [Cache(wire) for wire in self.wires]
        self.written: dict[str, int] = {}
        self.seen: dict[str, str] = {}
        self.reads = 0

    async def _note(self, call: Call) -> None:
        self.reads += call.verb in ("get", "list")

    async def stand(self) -> None:
        """Two ReplicaSets, and caches that know them."""
        for name in SETS:
            hash_ = name.partition("-")[2]
            await self.wires[0].create(REPLICA_SETS, NAMESPACE, replica_set(name.partition("-")[0], hash_))
        for cache in self.caches:
            cache.informer(REPLICA_SETS, NAMESPACE)
        await asyncio.sleep(1)

    async def make_pass(self, worker: int, writes: list[tuple[str, int]], *, cached: bool = True) -> None:
        """Look, write one object after the other, and look after each."""
        seen = Seen(self.seen)
        wire = self.wires[worker]
        with noting(seen), self.caches[worker].lister() as lister:
            reader = FreshReader(wire, lister, seen)
            await self.look(reader)
            for name, replicas in writes:
                known = await reader.find(REPLICA_SETS, NAMESPACE, name) if cached else None
                edit = [put("/spec/replicas", replicas)]
                await wire.change(REPLICA_SETS, NAMESPACE, name, None, lambda _, edit=edit: edit, known=known)
                self.written[name] = replicas
                await self.look(reader)
        self.seen = seen.versions()

    async def look(self, reader: FreshReader) -> None:
        """All has to stand as it was written."""
        reader.lister.begin()
        found = await reader.select(REPLICA_SETS, NAMESPACE, {HASH_LABEL: None})
        assert self._differences({each["metadata"]["name"]: each for each in found}) == {}
        for name in SETS:
            one = await reader.find(REPLICA_SETS, NAMESPACE, name)
            assert one is not None
            assert self._differences({name: one}) == {}

    def _differences(self, found: dict[str, Object]) -> dict[str, int]:
        shown = {name: each["spec"]["replicas"] for name, each in found.items()}
        return {name: shown[name] for name in shown if shown[name] != self.written.get(name, 0)}

    async def close(self) -> None:
        for cache in self.caches:
            await cache.close()
        for wire in self.wires:
            await wire.close()


passes = st.lists(
    st.tuples(
        st.sampled_from((0, 1)),
        st.lists(st.tuples(st.sampled_from(SETS), st.integers(0, 9)), max_size=3),
        st.sampled_from((0.0, 0.01, 1.0)),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(passes)
def test_no_look_is_older_than_what_the_release_has_written_in_whatever_worker(
    made: list[tuple[int, list[tuple[str, int]], float]],
) -> None:
    async def live() -> None:
        release = Release(STALE)
        try:
            await release.stand()
            for worker, writes, seconds in made:
                await release.make_pass(worker, writes)
                await asyncio.sleep(seconds)
        finally:
            await release.close()

    run_virtually(live())


def test_while_watches_are_in_order_only_the_first_look_of_a_release_asks_the_api_server() -> None:
    async def live() -> None:
        release = Release()
        await release.stand()
        await release.make_pass(0, [("a-1", 1)])
        release.reads = 0
        for number in range(5):
            await release.make_pass(number % 2, [("a-1", 2 + number), ("b-1", number)])
        assert release.reads == 0
        await release.close()

    run_virtually(live())


def test_few_objects_are_read_at_once_instead_of_their_names_before_them() -> None:
    async def live() -> None:
        release = Release()
        await release.stand()
        release.reads = 0
        with release.caches[0].lister() as lister:
            reader = FreshReader(release.wires[0], lister, Seen())
            assert await reader.names(REPLICA_SETS, NAMESPACE, HASH_LABEL) == list(SETS)
            found = await reader.select(REPLICA_SETS, NAMESPACE, {HASH_LABEL: {"1"}})
        assert [each["metadata"]["name"] for each in found] == list(SETS)
        assert release.reads == 1
        await release.close()

    run_virtually(live())


def test_after_a_write_without_an_answer_the_api_server_is_asked() -> None:
    async def live() -> None:
        release = Release()
        await release.stand()
        await release.make_pass(0, [])
        wire, seen = release.wires[0], Seen(release.seen)
        wire._chances.rates["no answer"] = 1.0
        with noting(seen), suppress(ApplicationError):
            await wire.delete(REPLICA_SETS, NAMESPACE, "a-1")
        wire._chances.rates.clear()
        release.reads = 0
        with release.caches[0].lister() as lister:
            reader = FreshReader(wire, lister, seen)
            assert await reader.find(REPLICA_SETS, NAMESPACE, "a-1") is None
            assert await reader.find(REPLICA_SETS, NAMESPACE, "b-1") is not None
        assert release.reads == 2
        assert seen.versions() == {}
        await release.close()

    run_virtually(live())


def test_what_was_read_says_it_of_itself_alone_and_a_write_of_all() -> None:
    seen = Seen({"sets./a": "10", "sets./a/x": "12", "sets./a?b": "9", "other./a/x": "7"})
    assert seen.written_at("sets./a") == 10
    assert [seen.read_at("sets./a", f"sets./a{place}") for place in ("/x", "?b", "/y")] == [12, 9, None]
    assert (seen.written_at("other./a"), seen.read_at("other./a", "other./a/x")) == (None, 7)
    seen.wrote("sets./a", "15")
    assert seen.versions() == {"sets./a": "15", "other./a/x": "7"}


def test_a_list_of_a_quiet_kind_is_not_waited_for_and_asked_for_but_once() -> None:
    async def live() -> None:
        release = Release()
        await release.stand()
        for number in range(3):  # other kinds go on, so that a list's version is ahead of all that the watch can tell
            service = {"metadata": {"name": f"s-{number}"}, "spec": {"ports": [{"port": 80}]}}
            await release.wires[0].create(SERVICES, NAMESPACE, service)
        release.reads, began = 0, asyncio.get_running_loop().time()
        for worker in (0, 1, 0):
            await release.make_pass(worker, [])
        assert asyncio.get_running_loop().time() - began < PATIENCE_SECONDS
        assert release.reads == 1 + len(SETS)
        await release.close()

    run_virtually(live())
