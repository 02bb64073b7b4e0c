"""Past changes of version, found in the requests of whole hours by version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tidegate.analysis.compare.models import CompareModel

HOUR: Final = 3600
"""Seconds."""
FEWEST: Final = 100
"""Requests that a canary had at least, or there is nothing to judge: a late request is no release."""
ALMOST_ALL: Final = 0.99
"""Share of the requests from which on an hour belongs to one version."""

Hours = Mapping[int, Mapping[str, float]]
"""Requests by the start of the hour (unix seconds, a multiple of 3600) and by version."""


class VersionChange(CompareModel):
    """A version that came while another one was there: from the hour `since` up to `until` both had requests."""

    canary: str
    stable: str
    since: int
    until: int


class StableHour(CompareModel):
    """An hour from `start` that, with the one before it, belongs to one version."""

    version: str
    start: int


def version_changes(hours: Hours) -> tuple[VersionChange, ...]:
    """All changes in order of time. A version that comes again after an hour without requests is another change.

    Stable is the version with the most requests in the hour before. Nothing is known of the first hour.
    """
    found = []
    for start in sorted(hours)[1:]:
        before = hours.get(start - HOUR, {})
        for canary in sorted(hours[start]):
            if hours[start][canary] <= 0 or before.get(canary, 0) > 0:
                continue
            stable = _most(before)
            if stable and (change := _change(hours, canary, stable, start)) is not None:
                found.append(change)
    return tuple(found)


def _most(requests: Mapping[str, float]) -> str:
    """Version with the most requests, empty without any."""
    return max(sorted(requests), key=lambda version: requests[version]) if any(requests.values()) else ""


def _change(hours: Hours, canary: str, stable: str, since: int) -> VersionChange | None:
    until, requests = since, 0.0
    while hours.get(until, {}).get(canary, 0) > 0 and hours[until].get(stable, 0) > 0:
        requests += hours[until][canary]
        until += HOUR
    if requests < FEWEST:
        return None
    return VersionChange(canary=canary, stable=stable, since=since, until=until)


def stable_hours(hours: Hours, most: int) -> tuple[StableHour, ...]:
    """At most so many hours of one version alone, spread evenly over all that there are."""
    found = [
        StableHour(version=version, start=start)
        for start in sorted(hours)
        if (version := _alone(hours.get(start, {}))) and version == _alone(hours.get(start - HOUR, {}))
    ]
    if len(found) <= most:
        return tuple(found)
    return tuple(found[(2 * at + 1) * len(found) // (2 * most)] for at in range(most))


def _alone(requests: Mapping[str, float]) -> str:
    """The version that has almost all of an hour's requests, empty where there is none."""
    version = _most(requests)
    return version if version and requests[version] >= ALMOST_ALL * sum(requests.values()) else ""
