"""A query that a worker loses is sent again within its time, by a client that has none of Temporal."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tidegate.client.queries import first_answer

TIMEOUT = timedelta(milliseconds=300)


class Worker:
    """Answers a query as the list says: at once with a text or an error, never for None. Counts what goes on."""

    def __init__(self, *answers: str | Exception | None) -> None:
        self.answers = list(answers)
        self.given: list[timedelta] = []
        self.open = 0
        self.reached = asyncio.Event()

    async def query(self, timeout: timedelta) -> str:
        self.given.append(timeout)
        self.open += 1
        self.reached.set()
        try:
            match self.answers.pop(0):
                case None:
                    await asyncio.sleep(timeout.total_seconds())
                    raise TimeoutError("no worker")
                case str() as answer:
                    return answer
                case error:
                    raise error
        finally:
            self.open -= 1


async def test_an_answer_in_time_is_the_only_query() -> None:
    worker = Worker("first")
    assert await first_answer(worker.query, TIMEOUT) == "first"
    assert worker.given == [TIMEOUT]


async def test_a_lost_query_is_sent_again_and_what_is_left_of_it_ends() -> None:
    worker = Worker(None, "second")
    assert await first_answer(worker.query, TIMEOUT) == "second"
    assert worker.given == [TIMEOUT, TIMEOUT - TIMEOUT / 3]
    assert worker.open == 0


@pytest.mark.parametrize("answers", [(LookupError("no such run"),), (None, LookupError("no such run"))])
async def test_a_refusal_is_raised_as_it_is(answers: tuple[Exception | None, ...]) -> None:
    worker = Worker(*answers)
    with pytest.raises(LookupError, match="no such run"):
        await first_answer(worker.query, TIMEOUT)
    assert worker.open == 0


async def test_without_a_worker_the_time_is_that_of_one_query() -> None:
    worker = Worker(None, None)
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError, match="no worker"):
        await first_answer(worker.query, TIMEOUT)
    assert sum(worker.given[1:], TIMEOUT / 3) == TIMEOUT, "both end at the same moment"
    assert asyncio.get_running_loop().time() - began >= TIMEOUT.total_seconds() * 0.9
    assert worker.open == 0


async def test_a_caller_that_stops_leaves_no_query_behind() -> None:
    worker = Worker(None, None)
    caller = asyncio.create_task(first_answer(worker.query, timedelta(hours=1)))
    await worker.reached.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert worker.open == 0
