"""Following a release over the absence of its worker."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack, aclosing

import pytest

from tests.workers.scripted_release import Answering, request
from tidegate.cli.watch import Pace, follow
from tidegate.client import NoSuchReleaseError, RolloutRef, TidegateClient

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_last_answer_stands_while_no_worker_gives_another(
    client: TidegateClient, answering: Answering
) -> None:
    rollout = RolloutRef("payments", f"checkout-{uuid.uuid4().hex[:8]}")
    seen = []
    async with AsyncExitStack() as worker, aclosing(follow(client, rollout)) as frames:
        await worker.enter_async_context(answering())
        await client.start(request(name=rollout.name))
        async for frame in frames:
            seen.append((frame.status.phase, bool(frame.trouble)))
            if len(seen) == 1:
                await worker.aclose()
            elif seen[-1][1]:
                await worker.enter_async_context(answering())
                await client.promote(rollout)
    assert seen[0] == ("Progressing", False)
    assert ("Progressing", True) in seen
    assert seen[-1] == ("Healthy", False)


async def test_a_watch_goes_on_with_the_next_release_of_its_rollout(
    client: TidegateClient, answering: Answering
) -> None:
    rollout = RolloutRef("payments", f"checkout-{uuid.uuid4().hex[:8]}")
    seen: list[tuple[str, bool]] = []
    async with answering():
        first = await client.start(request(name=rollout.name))
        await client.promote(rollout)
        async with aclosing(follow(client, rollout, stay=True, pace=Pace(0.05, 0.05))) as frames:
            async for frame in frames:
                seen.append((frame.status.run_id, frame.status.finished_at is not None))
                if seen[-1] == (first.run_id, True) and seen.count(seen[-1]) == 2:
                    await client.start(request(name=rollout.name, image="checkout:2"))
                if frame.status.run_id != first.run_id:
                    break
    assert seen.count((first.run_id, True)) >= 2
    assert seen[-1][0] != first.run_id


async def test_what_was_never_released_cannot_be_followed(client: TidegateClient) -> None:
    with pytest.raises(NoSuchReleaseError):
        await anext(follow(client, RolloutRef("payments", "nobody")))
