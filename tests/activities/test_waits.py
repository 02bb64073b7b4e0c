"""Waiting for a change of one Rollout's objects: nothing is asked while nothing happens, and no change is missed."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.machine import patience
from tests.activities.standing import Standing
from tests.virtual.temporal.loop import run_virtually, running


async def asked_of_standing(count: int) -> list[tuple[str, str]]:
    """What the API server is asked in three hours in which so many releases stand and nothing happens."""
    names = [f"shop-{number}" for number in range(count)]
    standing = Standing(*names)
    waits = [asyncio.create_task(standing.changed(name, await standing.state_digest(name))) for name in names]
    await asyncio.sleep(30)
    before = len(standing.asked)
    await asyncio.sleep(3 * 3600)
    asked = [(verb, resource) for _, verb, resource in standing.asked[before:]]
    assert not any(wait.done() for wait in waits)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    await standing.close()
    return asked


def test_releases_that_stand_ask_the_api_server_for_nothing() -> None:
    """What is left are the lists of each kind every ten minutes, however many releases there are."""
    one, many = run_virtually(asked_of_standing(1)), run_virtually(asked_of_standing(40))
    assert {verb for verb, _ in many} == {"list"}
    assert len(many) <= len(one) + 8
    assert len(many) <= 4 * 3 * 6 + 8


MOMENTS = st.lists(st.sampled_from([0.0, 0.001, 0.003, 0.01, 0.05, 0.21, 5.0, 301.0]), min_size=1, max_size=5)
RATES = st.sampled_from([{}, {"watch cut off": 0.3}, {"stale": 0.4}, {"no answer": 0.05, "watch cut off": 0.2}])


@settings(max_examples=100, deadline=None)
@given(MOMENTS, RATES, st.booleans())
def test_no_change_is_missed(moments: list[float], rates: dict[str, float], warm: bool) -> None:
    """Between a look and the wait, during a look, while the cache is behind, or not there at all."""

    async def live() -> list[float]:
        standing, late = Standing("shop", rates=dict(rates)), []
        if warm:
            await asyncio.wait(
                [asyncio.create_task(standing.changed("shop", await standing.state_digest("shop")))], timeout=9
            )
        for number, moment in enumerate(moments):
            state_digest = await standing.state_digest("shop")
            waiting = asyncio.create_task(standing.changed("shop", state_digest))
            await asyncio.sleep(moment)
            standing.shift("shop", number)
            began = running().time()
            await waiting
            late.append(running().time() - began)
            assert await standing.state_digest("shop") != state_digest
        await standing.close()
        return late

    assert max(run_virtually(live())) < (120 if rates else 1.5)


def test_a_change_that_the_cache_has_not_heard_of_yet_is_no_other_one() -> None:
    """What a pass wrote itself, and saw, wakes nobody although the cache still shows what was before."""

    async def live() -> bool:
        standing = Standing("shop")
        warm = asyncio.create_task(standing.changed("shop", await standing.state_digest("shop")))
        await asyncio.sleep(5)
        standing.chances.rates["stale"] = 1.0
        standing.shift("shop", 7)
        waiting = asyncio.create_task(standing.changed("shop", await standing.state_digest("shop")))
        await asyncio.sleep(100)
        ended = waiting.done()
        standing.chances.rates.clear()
        standing.shift("shop", 8)
        async with asyncio.timeout(patience(60)):
            await asyncio.gather(waiting, warm)
        await standing.close()
        return ended

    assert not run_virtually(live())


def test_a_controller_that_is_refused_pods_wakes_whoever_waits_for_them() -> None:
    """Its words are what a person wants to read, and no count of pods changes with them."""

    async def live() -> None:
        standing = Standing("shop")
        standing.make_set("shop", "5bb7bc5849")
        waiting = asyncio.create_task(standing.changed("shop", await standing.state_digest("shop")))
        await asyncio.sleep(5)
        assert not waiting.done()
        standing.refuse_pods("shop-5bb7bc5849", "exceeded quota: few")
        async with asyncio.timeout(patience(30)):
            await waiting
        await standing.close()

    run_virtually(live())


def test_while_the_api_server_is_away_a_wait_goes_on_and_it_ends_when_it_is_back() -> None:
    async def live() -> int:
        standing = Standing("shop")
        waiting = asyncio.create_task(standing.changed("shop", await standing.state_digest("shop")))
        await asyncio.sleep(5)
        standing.away = True
        standing.cache.forget()
        before = len(standing.asked)
        await asyncio.sleep(60)
        assert not waiting.done()
        asked = len(standing.asked) - before
        standing.shift("shop", 7)
        standing.away = False
        async with asyncio.timeout(patience(40)):
            await waiting
        await standing.close()
        return asked

    assert run_virtually(live()) < 3 * 60
