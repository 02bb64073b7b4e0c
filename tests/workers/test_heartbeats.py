"""An activity of a worker that lives goes on however long it takes, in its first attempt."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from workers.heartbeats import Heartbeats

pytestmark = pytest.mark.asyncio(loop_scope="module")
TIMEOUT = timedelta(seconds=1)


@activity.defn
async def slow() -> int:
    """Last three times as long as may pass between two heartbeats; returns the attempt."""
    await asyncio.sleep(3 * TIMEOUT.total_seconds())
    return activity.info().attempt


@activity.defn
async def remembering() -> list[str]:
    """Leave a word at the first attempt, last a while at the second; returns what the third one finds."""
    attempt = activity.info().attempt
    if attempt == 1:
        activity.heartbeat("a word")
    elif attempt == 2:
        await asyncio.sleep(2 * TIMEOUT.total_seconds())
    else:
        return list(activity.info().heartbeat_details)
    raise ApplicationError("once more", next_retry_delay=timedelta(milliseconds=10))


async def test_a_slow_activity_of_a_worker_that_lives_is_tried_once(temporal: Client) -> None:
    queue = f"slow-{uuid.uuid4().hex}"
    async with Worker(temporal, task_queue=queue, activities=[slow], interceptors=[Heartbeats()]):
        attempt = await temporal.execute_activity(
            slow, id=queue, task_queue=queue, start_to_close_timeout=timedelta(seconds=30), heartbeat_timeout=TIMEOUT
        )
    assert attempt == 1


async def test_what_an_earlier_attempt_left_is_still_there_after_heartbeats(temporal: Client) -> None:
    queue = f"remembering-{uuid.uuid4().hex}"
    async with Worker(temporal, task_queue=queue, activities=[remembering], interceptors=[Heartbeats()]):
        found = await temporal.execute_activity(
            remembering,
            id=queue,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=TIMEOUT,
        )
    assert found == ["a word"]
