"""Common to the providers that send one HTTP request for each metric: a query becomes an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from activities.metrics.provider import ConfigError, Failed, MetricValue, Outcome, ResponseError
from activities.transport.http import TransportError
from activities.transport.oauth2 import TokenError


class HttpQuery(Protocol):
    """One request."""

    @property
    def request(self) -> str:
        """Method and address: the prefix of an error without a response."""
        ...

    @property
    def text(self) -> str:
        """The query as text for operators."""
        ...

    @property
    def timeout(self) -> int:
        """Limit of the whole measurement, in seconds."""
        ...


Q = TypeVar("Q", bound=HttpQuery)


async def outcome(read: Callable[[], Q], measure: Callable[[Q], Awaitable[MetricValue]]) -> Outcome:
    """Outcome of the query that `read` makes of a metric; `measure` sends it. Raises RateLimitedError."""
    try:
        query = read()
    except ConfigError as error:
        return Failed(str(error))
    try:
        async with asyncio.timeout(query.timeout):
            value = await measure(query)
    except (TokenError, TransportError) as error:
        failure = f"{query.request}: {error}"
    except TimeoutError:
        failure = f"{query.request}: no complete answer within {query.timeout} s"
    except ResponseError as error:
        failure = str(error)
    else:
        return replace(value, query=query.text)
    return Failed(failure, query=query.text)
