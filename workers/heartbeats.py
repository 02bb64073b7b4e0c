"""Heartbeats of every activity with a heartbeat timeout: they show that the worker lives, however slow its server is.

An activity without heartbeats has a worker that was killed, frozen or cut off. After the timeout Temporal gives it to
another worker, and the result of the first one no longer counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

BEATS = 3  # in each heartbeat timeout, so that one which comes late is not missed


class Heartbeats(Interceptor):
    """Sends heartbeats beside each activity for as long as it runs."""

    def intercept_activity(self, inner: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Wrap the next interceptor."""
        return _Beating(inner)


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, call: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.heartbeat_timeout is None:
            return await super().execute_activity(call)
        # An earlier attempt may have left details, which a heartbeat without them would erase.
        beating = asyncio.create_task(_beat(info.heartbeat_timeout.total_seconds() / BEATS, info.heartbeat_details))
        try:
            return await super().execute_activity(call)
        finally:
            beating.cancel()


async def _beat(seconds: float, details: Sequence[Any]) -> None:
    while True:
        await asyncio.sleep(seconds)  # first: most activities have ended by then, and each heartbeat is a call
        activity.heartbeat(*details)
