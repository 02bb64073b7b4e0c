"""What people do with a Rollout by its object, from its first version on."""

from __future__ import annotations

import pytest

from tests.kubernetes.apps import App, version
from tests.kubernetes.hands import Hand, Plugin

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def in_its_first_step(app: App, hand: Hand) -> tuple[str, str]:
    """A second version at its first pause; the hashes of stable and of it."""
    await app.create()
    stable = (await app.healthy())["stableRS"]
    await hand.set_image(*app.where, version(7))
    found = await app.paused_at(1)
    await app.weight_is(20)
    return stable, found["currentPodHash"]


async def test_a_version_goes_through_its_steps(app: App, hand: Hand) -> None:
    await app.create()
    first = await app.healthy()
    assert first["currentStepIndex"] == 4, "the first version has nothing to be compared with"
    stable = first["stableRS"]
    assert set(await app.sets()) == {stable}
    assert (await app.object())["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "1"
    assert await app.selected() == {"stable": stable, "canary": stable}
    await hand.set_image(*app.where, version(7))
    new = (await app.paused_at(1))["currentPodHash"]
    await app.weight_is(20)
    assert await app.selected() == {"stable": stable, "canary": new}
    assert len(await app.pods()) == 3
    await hand.promote(*app.where)
    await app.paused_at(3)
    await app.weight_is(60)
    await hand.promote(*app.where)
    assert (await app.healthy())["stableRS"] == new
    await app.weight_is(0)
    assert await app.selected() == {"stable": new, "canary": new}
    assert (await app.object())["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "2"


async def test_an_aborted_version_is_tried_again_and_promoted_in_full(app: App, hand: Hand) -> None:
    stable, new = await in_its_first_step(app, hand)
    await hand.abort(*app.where)
    assert (await app.aborted())["stableRS"] == stable
    await hand.retry(*app.where)
    await app.paused_at(1)
    await app.weight_is(20)
    await hand.promote_full(*app.where)
    assert (await app.healthy())["stableRS"] == new
    await app.weight_is(0)


async def test_whoever_speaks_is_heard_in_a_version_that_came_within_the_scale_down_delay(app: App, hand: Hand) -> None:
    _, new = await in_its_first_step(app, hand)
    await hand.promote_full(*app.where)
    assert (await app.healthy())["stableRS"] == new
    await hand.set_image(*app.where, version(8))
    await app.paused_at(1)
    await hand.pause(*app.where)
    await app.until(lambda s: s["phase"] == "Paused")
    await hand.promote(*app.where)
    await app.paused_at(3)
    await app.weight_is(60)
    await hand.abort(*app.where)
    assert (await app.aborted())["stableRS"] == new


async def test_a_pause_by_a_person_holds_a_version(app: App, hand: Hand) -> None:
    steps = [{"setWeight": 20}, {"pause": {"duration": "5s"}}, {"setWeight": 60}, {"pause": {}}]
    await app.create(app.manifest(steps))
    await app.healthy()
    await hand.pause(*app.where)
    await hand.set_image(*app.where, version(7))
    held = await app.until(lambda s: s["phase"] == "Paused")
    assert not held.get("currentStepIndex"), "nothing goes on while a person holds it"
    await hand.promote(*app.where)
    await app.paused_at(3)
    await app.weight_is(60)


async def test_a_restart_replaces_the_pods(app: App, hand: Hand) -> None:
    await app.create()
    stable = (await app.healthy())["stableRS"]
    before = await app.pods()
    await hand.restart(*app.where)

    async def replaced() -> bool:
        now = await app.pods()
        return len(now) == len(before) and not now & before

    await app.plane.until(replaced, 60, lambda: f"pods from before: {before}")
    await app.until(lambda s: s["phase"] == "Healthy" and s.get("restartedAt"))
    assert set(await app.sets()) == {stable}


async def test_an_undo_goes_back_at_once_to_the_replica_set_that_stands(app: App, hand: Hand) -> None:
    stable, new = await in_its_first_step(app, hand)
    await hand.undo(*app.where, stable, 1)
    found = await app.healthy()
    assert found["stableRS"] == stable
    await app.weight_is(0)
    assert set(await app.sets()) == {stable, new}, "its template stood already, with what the server filled in"


async def test_an_undo_after_a_promotion_brings_the_earlier_replica_set_back(app: App, hand: Hand) -> None:
    stable, new = await in_its_first_step(app, hand)
    await hand.promote_full(*app.where)
    assert (await app.healthy())["stableRS"] == new
    await hand.undo(*app.where, stable, 1)
    assert (await app.paused_at(1))["currentPodHash"] == stable
    assert set(await app.sets()) == {stable, new}
    await hand.promote_full(*app.where)
    assert (await app.healthy())["stableRS"] == stable


async def test_the_plugin_says_how_it_stands(app: App, plugin: Plugin) -> None:
    await in_its_first_step(app, plugin)
    assert "Paused - CanaryPauseStep" in await plugin.status(*app.where)
    await plugin.abort(*app.where)
    await app.aborted()
    assert "RolloutAborted: Rollout aborted update to revision 2" in await plugin.status(*app.where)
    await plugin.retry(*app.where)
    await app.paused_at(1)
    await plugin.promote_full(*app.where)
    await app.healthy()
    assert "Healthy" in await plugin.status(*app.where)
