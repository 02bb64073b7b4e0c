from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from sandbox.kubernetes_api import KubernetesApi
from sandbox.machine import patience
from tests.sandbox.kubernetes.kube import CORE, Kube, pod, serving

PODS = f"{CORE}/pods"


async def take(events: AsyncIterator[dict[str, Any]], count: int) -> list[tuple[str, str]]:
    async with asyncio.timeout(patience(10)):
        return [
            (event["type"], event["object"]["metadata"].get("name", ""))
            for _ in range(count)
            if (event := await anext(events))
        ]


async def version(kube: Kube) -> str:
    return str((await kube.get(PODS))["metadata"]["resourceVersion"])


async def test_events_arrive_as_they_happen(kube: Kube) -> None:
    await kube.create(PODS, pod("before"))
    async with kube.watch(PODS, f"resourceVersion={await version(kube)}") as events:
        await kube.create(PODS, pod("p"))
        assert await take(events, 1) == [("ADDED", "p")]
        await kube.create(f"{CORE}/configmaps", {"metadata": {"name": "elsewhere"}})
        await kube.patch(f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}})
        await kube.delete(f"{PODS}/p")
        assert await take(events, 2) == [("MODIFIED", "p"), ("DELETED", "p")]


async def test_without_a_version_a_watch_begins_with_what_there_is(kube: Kube) -> None:
    await kube.create(PODS, pod("p"))
    async with kube.watch(PODS) as events:
        assert await take(events, 1) == [("ADDED", "p")]


async def test_a_watch_resumes_where_it_broke_off(kube: Kube) -> None:
    begin = await version(kube)
    await kube.create(PODS, pod("p"))
    middle = await version(kube)
    await kube.delete(f"{PODS}/p")
    async with kube.watch(PODS, f"resourceVersion={begin}") as events:
        assert await take(events, 2) == [("ADDED", "p"), ("DELETED", "p")]
    async with kube.watch(PODS, f"resourceVersion={middle}") as events:
        assert await take(events, 1) == [("DELETED", "p")]


async def test_a_deletion_has_a_version_of_its_own(kube: Kube) -> None:
    made = await kube.create(PODS, pod("p"))
    async with kube.watch(PODS, f"resourceVersion={made['metadata']['resourceVersion']}") as events:
        await kube.delete(f"{PODS}/p")
        event = await anext(events)
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_what_leaves_a_selector_is_deleted_and_what_enters_it_is_added(kube: Kube) -> None:
    begin = await version(kube)
    await kube.create(PODS, pod("p", app="web"))
    await kube.patch(f"{PODS}/p", {"metadata": {"labels": {"app": "db"}}})
    await kube.patch(f"{PODS}/p", {"metadata": {"labels": {"x": "y"}}})
    await kube.patch(f"{PODS}/p", {"metadata": {"labels": {"app": "web"}}})
    async with kube.watch(PODS, f"resourceVersion={begin}&labelSelector=app=web") as events:
        assert await take(events, 3) == [("ADDED", "p"), ("DELETED", "p"), ("ADDED", "p")]


async def test_a_version_that_the_log_has_lost_is_expired() -> None:
    async with serving(KubernetesApi(history=5)) as kube:
        for number in range(12):
            await kube.create(f"{CORE}/configmaps", {"metadata": {"name": f"c{number}"}})
        async with kube.watch(PODS, "resourceVersion=1") as events:
            told = [(event["type"], event["object"]["code"], event["object"]["reason"]) async for event in events]
        assert told == [("ERROR", 410, "Expired")]


async def test_an_initial_list_ends_with_its_bookmark(kube: Kube) -> None:
    await kube.create(PODS, pod("p"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with kube.watch(PODS, query) as events:
        assert await take(events, 1) == [("ADDED", "p")]
        mark = await anext(events)
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert mark["object"]["metadata"]["resourceVersion"] == await version(kube)
    assert (await kube.call("GET", f"{PODS}?watch=1&sendInitialEvents=true"))[0] == 422


async def test_a_watch_ends_in_time_with_a_bookmark_for_who_wants_one(kube: Kube) -> None:
    async with kube.watch(PODS, "timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion=1") as events:
        assert [event["type"] async for event in events] == ["BOOKMARK"]


async def test_stopping_the_server_ends_watches_in_good_order() -> None:
    api = KubernetesApi()
    async with serving(api) as kube, kube.watch(PODS) as events:
        stop = asyncio.create_task(api.stop())
        assert [event async for event in events] == []
        await stop


async def test_a_listener_hears_every_write_in_order(kube: Kube) -> None:
    heard: list[tuple[str, str, int]] = []
    unsubscribe = kube.api.store.subscribe(
        lambda change: heard.append((change.type, change.object["metadata"]["name"], change.version))
    )
    await kube.create(PODS, pod("p"))
    await kube.delete(f"{PODS}/p")
    unsubscribe()
    await kube.create(PODS, pod("q"))
    assert [entry[:2] for entry in heard] == [("ADDED", "p"), ("DELETED", "p")]
    assert heard[0][2] < heard[1][2]
