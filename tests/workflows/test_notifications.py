"""Who hears of a release's events: those whom its annotations name, once for each event."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.virtual.releases import World
from tests.workflows.edits import with_steps
from tests.workflows.watched import failure
from tidegate.contract import Document

PREFIX = "notifications.argoproj.io/subscribe"


def subscribed(**channels: str) -> Any:
    """`on_rollout_aborted__slack="payments"`: dots are two underscores, dashes are one."""
    keys = {name: f"{PREFIX}.{name.replace('__', '.').replace('_', '-')}" for name in channels}

    def edit(rollout: Document) -> None:
        named = {keys[name]: value for name, value in channels.items()}
        rollout["metadata"].setdefault("annotations", {}).update(named)

    return edit


async def test_each_event_is_told_once_to_each_who_subscribed(world: World) -> None:
    subscriptions = subscribed(
        on_rollout_completed__slack="payments;releases",
        on_rollout_step_completed__slack="payments",
        on_rollout_aborted__slack="payments",
    )

    def edit(rollout: Document) -> None:
        subscriptions(rollout)
        with_steps({"setWeight": 10}, {"setWeight": 50})(rollout)

    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", edit))
    result = await handle.result()
    await world.followed_up(handle)
    told = Counter((notification.trigger, notification.recipient) for notification in world.told.notifications)
    assert told == {
        ("on-rollout-step-completed", "payments"): 2,
        ("on-rollout-completed", "payments"): 1,
        ("on-rollout-completed", "releases"): 1,
    }
    assert {notification.revision for notification in world.told.notifications} == {result.revision}
    assert len({notification.id for notification in world.told.notifications}) == len(world.told.notifications)


async def test_an_abort_is_told_with_its_cause(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.2]}
    handle = await world.start(world.request("1.1.1-bad", subscribed(on_rollout_aborted__slack="payments")))
    await failure(handle)
    await world.followed_up(handle)
    [notification] = world.told.notifications
    assert (notification.trigger, notification.service, notification.recipient) == (
        "on-rollout-aborted",
        "slack",
        "payments",
    )
    assert "error-rate" in notification.message


async def test_who_cannot_be_told_is_a_warning_of_the_release(world: World) -> None:
    result = await (await world.start(world.request("1.0.0", subscribed(on_rollout_abort__slack="payments")))).result()
    [warning] = [text for text in result.status.warnings if "on-rollout-abort" in text]
    assert "did you mean on-rollout-aborted?" in warning
    assert world.told.notifications == []
