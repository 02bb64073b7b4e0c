"""Base of the client's parts: a connection, and queries with a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Self, TypeVar

import structlog
from pydantic import ValidationError
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from tidegate.client.connection import connect_temporal
from tidegate.client.errors import NoWorkerError, TidegateError, UnusableAnswerError
from tidegate.client.translation import translated
from tidegate.contract import Query

log = structlog.get_logger(__name__)

ANSWER_TIMEOUT = timedelta(seconds=3)  # a query, which a worker answers in milliseconds
POLL_SECONDS = 1.0

Result = TypeVar("Result")
Summary = TypeVar("Summary")
Status = TypeVar("Status")


async def first_answer(
    query: Callable[[timedelta], Coroutine[None, None, Result]], timeout: timedelta = ANSWER_TIMEOUT
) -> Result:
    """Answer to a query, which is sent again after a third of `timeout` without one; the sooner answer counts.

    `query` takes the time that it has, and changes nothing. A worker that evicts a run loses the queries for it: the
    SDK says "leftover buffered tasks when evicting run". Raises what the first query that fails raises.
    """
    third = timeout / 3
    queries = [asyncio.create_task(query(timeout))]
    try:
        answered, _ = await asyncio.wait(queries, timeout=third.total_seconds())
        if not answered:
            queries.append(asyncio.create_task(query(timeout - third)))
            answered, _ = await asyncio.wait(queries, return_when=asyncio.FIRST_COMPLETED)
        return answered.pop().result()
    finally:
        for each in queries:
            each.cancel()
        await asyncio.gather(*queries, return_exceptions=True)


async def with_status(
    summaries: Sequence[Summary], query: Callable[[Summary], Awaitable[Status]], at_once: int
) -> list[tuple[Summary, Status | None]]:
    """Each summary with its own status, so many queries at once.

    The status is None where there is no answer, and for all that follow once no worker answers: what Temporal itself
    knows is left.
    """
    turns, unanswered = asyncio.Semaphore(at_once), False

    async def row(summary: Summary) -> tuple[Summary, Status | None]:
        nonlocal unanswered
        async with turns:
            try:
                return summary, None if unanswered else await query(summary)
            except TidegateError as error:
                unanswered = unanswered or isinstance(error, NoWorkerError)
                return summary, None

    return await asyncio.gather(*map(row, summaries))


class Queries:
    """Queries to the workflows of a Temporal namespace."""

    def __init__(self, temporal: Client, *, answer_timeout: timedelta = ANSWER_TIMEOUT) -> None:
        """`answer_timeout` is the time until a query without an answer counts as having no worker."""
        self._temporal = temporal
        self._answer_timeout = answer_timeout

    @classmethod
    async def connect(cls, profile: str | None = None, *, identity: str | None = None) -> Self:
        """Connect as the `temporal` CLI would; see `connect_temporal`."""
        return cls(await connect_temporal(profile, identity=identity))

    def use(self, temporal: Client) -> None:
        """Use another connection from now on, to the same namespace; calls under way end on the one before."""
        self._temporal = temporal

    async def _query(self, workflow_id: str, run_id: str | None, kind: type[Result]) -> Result:
        handle = self._temporal.get_workflow_handle(workflow_id, run_id=run_id)

        async def status(timeout: timedelta) -> Result:
            answer: Result = await handle.query(Query.STATUS, result_type=kind, rpc_timeout=timeout)
            return answer

        try:
            with translated(workflow_id):
                return await first_answer(status, self._answer_timeout)
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError, ValidationError) as error:
            raise UnusableAnswerError(
                f"{workflow_id}: its answer cannot be used: {error}",
                "client and workers may differ in version: see `tidegate version`",
            ) from error

    async def _result(self, workflow_id: str, run_id: str | None, kind: type[Result]) -> Result:
        """Result of a workflow, awaited over outages of Temporal. Raises WorkflowFailureError when it failed."""
        handle = self._temporal.get_workflow_handle(workflow_id, run_id=run_id, result_type=kind)
        while True:
            try:
                answer: Result = await handle.result()
            except RPCError as error:
                if error.status != RPCStatusCode.UNAVAILABLE:
                    with translated(workflow_id):
                        raise
                log.warning("Temporal is away, still waiting", workflow=workflow_id)
                await asyncio.sleep(POLL_SECONDS)
            else:
                return answer
