"""Which metrics share one Datadog request, and how its answer comes apart again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from activities.metrics.datadog.access import DatadogCall
from activities.metrics.datadog.request import DatadogQuery, Window, scalar_request
from activities.metrics.datadog.response import check_status, read_first, read_formula, read_series, read_table
from activities.metrics.provider import Failed, Outcome, ResponseError
from activities.transport.http import HttpResponse, TransportError
from tidegate.manifests.providers.datadog import SecretRef

# Answers that condemn a whole request for what a single query of it may have done.
_PERHAPS_ONE_CULPRIT = (200, 400, 422)

Send = Callable[[DatadogCall], Awaitable[HttpResponse]]


@dataclass(frozen=True)
class PendingQuery:
    """A metric ready to be measured; `index` is its place among the metrics of the measurement."""

    index: int
    question: DatadogQuery
    window: Window
    secret_ref: SecretRef | None


def batches(due: Iterable[PendingQuery]) -> list[list[PendingQuery]]:
    """Metrics that one request can carry, together: they agree on credentials, window, time limit and grouping.

    A v1 query has a request of its own, as has a formula whose queries cannot be told from its other words.
    """
    found: dict[tuple[object, ...], list[PendingQuery]] = {}
    for metric in due:
        question = metric.question
        alone = question.api_version == "v1" or (question.formula and question.parsed_formula() is None)
        shared = (metric.secret_ref, metric.window, question.timeout, question.grouping)
        found.setdefault((metric.index if alone else None, *shared), []).append(metric)
    return list(found.values())


async def measure_batch(batch: Sequence[PendingQuery], send: Send) -> list[Outcome]:
    """One outcome for each metric of `batch`, by one request; `send` supplies the client and sees to refused keys.

    When Datadog refuses a request of several metrics for what it says, each is asked for alone, so that only the one
    at fault fails.
    """
    try:
        if batch[0].question.api_version == "v1":
            return [await _measure_v1(batch[0], send)]
        return await _measure_v2(batch, send)
    except (ResponseError, TransportError) as error:
        return [Failed(str(error))] * len(batch)


async def _measure_v1(due: PendingQuery, send: Send) -> Outcome:
    query = next(iter(due.question.queries.values()))
    answer = await send(lambda client: client.query(query, due.window))
    check_status(answer)
    return read_series(answer.body, due.window.end)


async def _measure_v2(batch: Sequence[PendingQuery], send: Send) -> list[Outcome]:
    questions = [due.question for due in batch]
    request = scalar_request(questions, batch[0].window)
    answer = await send(lambda client: client.scalar(request.body))
    try:
        check_status(answer)
        table = read_table(answer.body)
        numbers = table.located(request.labels)
        if numbers is None and len(batch) > 1:
            raise ResponseError(f"{len(table.numbers)} columns came for {len(request.labels)} formulas")
    except ResponseError:
        if len(batch) == 1 or answer.status not in _PERHAPS_ONE_CULPRIT:
            raise
        alone = await asyncio.gather(*(measure_batch([due], send) for due in batch))
        return [outcome for outcomes in alone for outcome in outcomes]
    outcomes: list[Outcome] = []
    for question, columns in zip(questions, request.columns, strict=True):
        try:
            if numbers is None:
                outcomes.append(read_first(table))
            else:
                outcomes.append(read_formula(table, numbers, columns, question.parsed_formula()))
        except ResponseError as error:
            outcomes.append(Failed(str(error)))
    return outcomes
