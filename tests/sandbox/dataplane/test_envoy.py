"""What the VirtualService says is what Envoy does, and what Envoy counts is what was sent."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace

import pytest

from sandbox.documents import Document
from sandbox.mesh.apply import MeshError
from sandbox.mesh.translate import translate
from sandbox.processes import until
from sandbox.telemetry import Counts, Telemetry

from .conftest import Mesh
from .objects import local, route, split_by_weight, virtual_service

pytestmark = pytest.mark.world


@pytest.mark.parametrize("weight", [10, 50])
async def test_traffic_follows_the_weights(checkout: Mesh, weight: int) -> None:
    checkout.world.set_routes(split_by_weight(weight))
    await checkout.apply()
    count = 1000
    answers = await checkout.ask(count)
    share = weight / 100
    sigma = math.sqrt(count * share * (1 - share))
    assert answers.keys() == {(200, "aaa"), (200, "bbb")}
    assert abs(answers[200, "bbb"] - count * share) < 5 * sigma


async def test_pods_of_two_hashes_share_a_service_by_their_number(checkout: Mesh) -> None:
    stable = [await checkout.pod("aaa") for _ in range(3)]
    checkout.world.set_endpoints("checkout-stable", {"aaa": stable, "bbb": [await checkout.pod("bbb")]})
    await checkout.apply()
    answers = await checkout.ask(1000)
    assert abs(answers[200, "bbb"] - 250) < 5 * math.sqrt(1000 * 0.25 * 0.75)


async def test_once_applied_an_update_holds_for_every_request(checkout: Mesh) -> None:
    for weight, pod_hash in ((100, "bbb"), (0, "aaa")) * 3:
        checkout.world.set_routes(split_by_weight(weight))
        await checkout.apply()
        assert await checkout.ask(20) == {(200, pod_hash): 20}


async def test_a_header_chooses_the_route(checkout: Mesh) -> None:
    canary: Document = {"match": [{"headers": {"x-canary": {"exact": "yes"}}}], "route": [route("checkout-canary")]}
    checkout.world.set_routes(virtual_service(canary, {"route": [route("checkout-stable")]}))
    await checkout.apply()
    assert await checkout.ask(5, **{"X-Canary": "yes"}) == {(200, "bbb"): 5}
    assert await checkout.ask(5, **{"X-Canary": "no"}) == {(200, "aaa"): 5}


@pytest.mark.parametrize(
    "host", ["checkout", "checkout:8080", "checkout.payments", "checkout.payments.svc.cluster.local"]
)
async def test_every_name_of_the_host_is_known(checkout: Mesh, host: str) -> None:
    assert await checkout.ask(1, host) == {(200, "aaa"): 1}


async def test_a_host_of_nobody_is_not_found(checkout: Mesh) -> None:
    assert [status for status, _ in await checkout.ask(1, "nobody")] == [404]


async def test_pods_come_and_go_without_a_failed_request(checkout: Mesh) -> None:
    """Clients never pause while every pod is replaced, one after the other."""
    stop = asyncio.Event()
    statuses: set[int] = set()

    async def client() -> None:
        while not stop.is_set():
            statuses.update(status for status, _ in await checkout.ask(10))

    clients = asyncio.create_task(client())
    pods = [await checkout.pod("aaa") for _ in range(2)]
    for _ in range(6):
        pods = [*pods[1:], await checkout.pod("aaa")]
        checkout.world.set_endpoints("checkout-stable", {"aaa": pods})
        await checkout.apply()
    stop.set()
    await clients
    assert statuses == {200}


async def test_a_dead_pod_among_the_endpoints_costs_no_request(checkout: Mesh) -> None:
    checkout.world.set_endpoints("checkout-stable", {"aaa": [await checkout.pod("aaa"), *local(1)]})
    await checkout.apply()
    assert await checkout.ask(40) == {(200, "aaa"): 40}


async def test_a_destination_without_pods_answers_503_under_its_hash(checkout: Mesh, telemetry: Telemetry) -> None:
    checkout.world.set_endpoints("checkout-canary", {})
    checkout.world.set_routes(split_by_weight(100))
    await checkout.apply()
    assert await checkout.ask(20) == {(503, ""): 20}
    await telemetry.flushed()
    assert telemetry.totals()["bbb"] == Counts(requests=20, errors=20, sent=0)


async def test_a_refused_update_is_an_error_and_the_old_one_stays(checkout: Mesh) -> None:
    config = translate(checkout.world.snapshot())
    twice = replace(config, virtual_hosts=(*config.virtual_hosts, {**config.virtual_hosts[0], "name": "again"}))
    with pytest.raises(MeshError, match=r"refused an update of http\.ingress\.rds\.mesh"):
        await checkout.applier.apply(checkout.session, twice)
    with pytest.raises(MeshError, match="refused"):
        await checkout.applier.apply(checkout.session, twice)
    assert await checkout.ask(5) == {(200, "aaa"): 5}
    checkout.world.set_routes(split_by_weight(100))
    await checkout.apply()
    assert await checkout.ask(5) == {(200, "bbb"): 5}


async def test_envoy_goes_on_as_told_after_a_kill(checkout: Mesh) -> None:
    checkout.world.set_routes(split_by_weight(100))
    await checkout.apply()
    await checkout.envoy.kill()
    await checkout.envoy.start()
    await checkout.apply()
    assert await checkout.ask(5) == {(200, "bbb"): 5}


async def test_counts_survive_the_removal_of_their_cluster(checkout: Mesh, telemetry: Telemetry) -> None:
    canary = checkout.world.services["payments", "checkout-canary"]
    checkout.world.set_routes(split_by_weight(100))
    await checkout.apply()
    await checkout.ask(30)
    await telemetry.flushed()
    checkout.world.set_routes(split_by_weight(0))
    del checkout.world.services["payments", "checkout-canary"]
    checkout.world.set_routes(virtual_service({"route": [route("checkout-stable")]}))
    await checkout.apply()
    await checkout.apply()

    async def gone() -> bool:  # Envoy's worker threads let go of a cluster after its main thread has said so
        return not [name for name in await checkout.envoy.subscriptions(checkout.session) if "bbb" in name]

    await until(gone, 5.0, "the canary's cluster to be gone")
    await telemetry.flushed()
    assert telemetry.totals()["bbb"] == Counts(30, 0, 30)
    checkout.world.services["payments", "checkout-canary"] = canary
    checkout.world.set_routes(split_by_weight(100))
    await checkout.apply()
    await checkout.ask(7)
    await telemetry.flushed()
    assert telemetry.totals()["bbb"] == Counts(37, 0, 37)


async def test_counts_survive_envoy(checkout: Mesh, telemetry: Telemetry) -> None:
    await checkout.ask(10)
    await telemetry.flushed()
    await checkout.envoy.kill()
    await checkout.envoy.start()
    await checkout.apply()
    await checkout.ask(15)
    await telemetry.flushed()
    assert telemetry.totals()["aaa"].requests == 25


async def test_envoy_counts_what_was_sent_by_hash_and_outcome(mesh: Mesh, telemetry: Telemetry) -> None:
    mesh.world.add_service("checkout-stable", {"aaa": [await mesh.pod("aaa", seconds=0.03)]})
    mesh.world.add_service("checkout-canary", {"bbb": [await mesh.pod("bbb", status=500)]})
    mesh.world.set_routes(split_by_weight(50))
    await mesh.apply()
    start = time.time()
    answers = await mesh.ask(200)
    await telemetry.flushed()
    end = time.time()
    good, bad = telemetry.window("checkout", "aaa", start, end), telemetry.window("checkout", "bbb", start, end)
    assert (good.requests, good.errors) == (answers[200, "aaa"], 0)
    assert (bad.requests, bad.errors) == (answers[500, "bbb"], answers[500, "bbb"])
    assert telemetry.window("checkout", None, start, end).requests == 200
    median = good.percentile(50)
    assert median is not None
    assert 29.0 <= median < 200.0
    assert sum(count for *_, count in good.buckets) == good.requests
    assert telemetry.timeline("aaa")[-1][1] == answers[200, "aaa"]
