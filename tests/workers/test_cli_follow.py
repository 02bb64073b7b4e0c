"""Following a release over the absence of its worker."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack, aclosing

import pytest

from tests.workers.scripted_release import Answering, request
from tidegate.cli.watch import follow
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


async def test_what_was_never_released_cannot_be_followed(client: TidegateClient) -> None:
    with pytest.raises(NoSuchReleaseError):
        await anext(follow(client, RolloutRef("payments", "nobody")))
