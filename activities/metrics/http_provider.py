"""What the providers that speak HTTP to one server for each metric have in common: a question becomes an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from activities.metrics.provider import ConfigError, Failed, MetricValue, Outcome, ResponseError
from activities.transport.http import TransportError
from activities.transport.oauth2 import TokenError


class HttpQuery(Protocol):
    """What is asked: `request` begins an error without an answer, `text` is for people, `timeout` is in seconds."""

    @property
    def request(self) -> str:
        """Method and address."""
        ...

    @property
    def text(self) -> str:
        """The question as people read it."""
        ...

    @property
    def timeout(self) -> int:
        """The limit of everything that answering it takes."""
        ...


Q = TypeVar("Q", bound=HttpQuery)


async def outcome(read: Callable[[], Q], measure: Callable[[Q], Awaitable[MetricValue]]) -> Outcome:
    """What comes of the question that `read` makes of a metric; `measure` asks it. Raises RateLimitedError."""
    try:
        question = read()
    except ConfigError as error:
        return Failed(str(error))
    try:
        async with asyncio.timeout(question.timeout):
            value = await measure(question)
    except (TokenError, TransportError) as error:
        failure = f"{question.request}: {error}"
    except TimeoutError:
        failure = f"{question.request}: no complete answer within {question.timeout} s"
    except ResponseError as error:
        failure = str(error)
    else:
        return replace(value, query=question.text)
    return Failed(failure, query=question.text)
