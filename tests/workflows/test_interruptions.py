"""What is cancelled while it speaks to another workflow hears of it."""

from __future__ import annotations

import asyncio

from workflows.interruptions import sent


async def test_a_cancellation_is_heard_although_the_signal_was_sent_already() -> None:
    arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def signal() -> None:
        """As the SDK does it: it withdraws the signal, which has arrived, and goes on."""
        while not arrived.done():
            try:
                await asyncio.shield(arrived)
            except asyncio.CancelledError:
                arrived.set_result(None)

    for speaking, heard in ((signal(), False), (sent(signal()), True)):
        task = asyncio.create_task(speaking)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled() is heard
        arrived = asyncio.get_running_loop().create_future()
