"""How long a test may take: it fails when its time is over, and a process in which something then hangs is ended.

A test that is stopped by an exception out of nowhere leaves its workers running, and closing the event loop under a
worker may take for ever. So a coroutine is cancelled instead, which lets everything in it end in order. What
does not even end then (or a fixture, or a test that is no coroutine) ends its process, which says all stacks before;
another one goes on with the tests that are left when there are several.

The seconds of `timeout`, in the settings or as a mark, are those of an idle machine.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from sandbox.machine import slowness

AROUND = 1 / 3  # of a test's time, for its fixtures
LEAST_SECONDS = 10.0
_LIMIT = pytest.StashKey[float]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test its limits, by how slow the machine is at the beginning."""
    slow = slowness()
    for item in items:
        mark = item.get_closest_marker("timeout")
        seconds = float(mark.args[0] if mark is not None else config.getini("timeout"))
        item.stash[_LIMIT] = slow * seconds
        whole = slow * (seconds + max(seconds * AROUND, LEAST_SECONDS))
        item.add_marker(pytest.mark.timeout(whole, method="thread", func_only=False), append=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let a coroutine end in order when its time is over."""
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.obj = _within(item.obj, item.stash[_LIMIT])
    return (yield)


def _within(test: Callable[..., Awaitable[Any]], seconds: float) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(test)
    async def limited(*args: Any, **kwargs: Any) -> Any:
        try:
            async with asyncio.timeout(seconds) as limit:
                return await test(*args, **kwargs)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError(f"the test was not done after {seconds:.0f} s and was cancelled") from error

    return limited
