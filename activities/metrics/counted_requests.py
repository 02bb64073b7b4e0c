"""Counts requests to metric providers, and notes what is left of Datadog's budget, for Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Final

from temporalio import activity
from temporalio.common import MetricMeter

from activities.transport.http import HttpResponse, TransportError
from tidegate.contract.metrics import NO_RESPONSE, PROVIDER_LIMIT, PROVIDER_REMAINING, PROVIDER_REQUESTS

_LONGEST_NUMBER: Final = 12


async def counted(provider: str, exchange: Awaitable[HttpResponse]) -> HttpResponse:
    """The response of one request to a provider, counted by its status. Raises TransportError."""
    try:
        response = await exchange
    except TransportError:
        PROVIDER_REQUESTS.add(_meter(), provider=provider, code=NO_RESPONSE)
        raise
    PROVIDER_REQUESTS.add(_meter(), provider=provider, code=str(response.status))
    return response


def note_budget(provider: str, headers: Mapping[str, str]) -> None:
    """Note the limit of requests and the rest of it, where a response names both.

    Source: Datadog's documentation of rate limits. Other providers have no such headers that mean the same.
    """
    limit, left = (headers.get(f"X-RateLimit-{name}", "") for name in ("Limit", "Remaining"))
    if _is_number(limit) and _is_number(left):
        PROVIDER_LIMIT.set(_meter(), int(limit), provider=provider)
        PROVIDER_REMAINING.set(_meter(), int(left), provider=provider)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER


def _meter() -> MetricMeter:
    return activity.metric_meter() if activity.in_activity() else MetricMeter.noop
