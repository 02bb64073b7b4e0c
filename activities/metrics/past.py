"""The past of a service by its source of counts: hours of its versions, and how long each of them was cold."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from activities.metrics.provider import ConfigError, ResponseError
from tidegate.analysis.compare.history import HOUR, VersionChange, version_changes
from tidegate.analysis.compare.models import ERRORS, BadEvent, Margin
from tidegate.analysis.compare.warming import LEARNED_FROM, LOOKED_BACK, WATCHED, learned_warm_up, warm_after
from tidegate.manifests.providers.compare import SLOW90

if TYPE_CHECKING:
    from activities.metrics.comparison import CountQuery, CountSource

PAST_BUCKET: Final = HOUR
WINDOW: Final = 7 * 86_400
"""Seconds of whole hours that are asked for at once."""
ANY_MARGIN: Final = Margin(times=2, plus=0)


async def read_hours(
    query: CountQuery, source: CountSource, since: float, until: float
) -> dict[int, Mapping[str, float]]:
    """Requests by whole hour and version between two times in unix seconds. Raises as `CountSource.versions`."""
    start, end = math.ceil(since / HOUR) * HOUR, int(until // HOUR) * HOUR
    hours: dict[int, Mapping[str, float]] = {}
    for first in range(start, end, WINDOW):
        hours |= await source.versions(query, first, min(first + WINDOW, end))
    return hours


async def first_traffic(query: CountQuery, source: CountSource, since: int) -> int:
    """Start of the first bucket in which the canary has requests, in the hour from `since` on. Raises ConfigError."""
    counted = await source.counts(query.of_events((BadEvent(name=ERRORS, margin=ANY_MARGIN),)), since, since + HOUR)
    first = next((row.start for row in counted.rows if (row.counts[0].canary or 0) > 0), None)
    if first is None:
        raise ConfigError(f"the source has no counts of {query.wanted.bucket} s of that time any more")
    return first


async def learn_warm_up(query: CountQuery, source: CountSource, now: float) -> tuple[float, str]:
    """Seconds that earlier versions were cold for, by errors and slow requests, and a note on what says so.

    `query` has the thresholds of latencies. What the source cannot say is no history. Raises RateLimitedError,
    TransportError and TokenError.
    """
    query = query.of_events(tuple(event for event in query.wanted.events if event.name in (ERRORS, SLOW90)))
    try:
        changes = version_changes(await read_hours(query, source, now - LOOKED_BACK, now))[-LEARNED_FROM:]
    except (ConfigError, ResponseError) as error:
        return learned_warm_up(()), f"warmUp: auto is {learned_warm_up(()):g} s, as there is no history: {error}"
    found = await asyncio.gather(*(_age(query, source, change, now) for change in changes))
    ages = [age for age in found if age is not None]
    reason = f"learned from {_number(ages)}" if ages else "as no earlier version is known"
    return learned_warm_up(ages), f"warmUp: auto is {learned_warm_up(ages):g} s, {reason}"


def _number(ages: Sequence[float]) -> str:
    return f"{len(ages)} earlier version{'' if len(ages) == 1 else 's'}"


async def _age(query: CountQuery, source: CountSource, change: VersionChange, now: float) -> float | None:
    """Age at which one version was warm, None where the source has too little of it."""
    query = query.of_versions((change.canary, change.stable))
    try:
        first = await first_traffic(query, source, change.since)
        if first + WATCHED > now or not query.wanted.events:
            return None
        length = math.ceil(WATCHED / query.wanted.bucket) * query.wanted.bucket
        counted = await source.counts(query, first, first + length)
    except (ConfigError, ResponseError):  # short buckets are kept for less time than whole hours
        return None
    return warm_after(query.wanted, counted.rows, first)
