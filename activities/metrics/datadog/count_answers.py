"""Answers of Datadog to counts: the points of each query by version and bucket.

A point of errors or slow requests that is missing where there are requests is 0, a missing point of requests is
unknown: a counter that never fired has no series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from activities.metrics.comparison import Counted, CountQuery, others_note
from activities.metrics.datadog.count_queries import HITS, CountQueries, EventQueries, normal_tag
from activities.metrics.datadog.response import Table
from activities.metrics.provider import ResponseError
from tidegate.analysis.compare.models import CountRow, Counts, HourRow, VersionCounts

Points = Mapping[str, Mapping[str, Mapping[int, float]]]
"""Values by query, by the value of the tag that is grouped by, and by the start of the bucket in unix seconds."""


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class _Series(_Body):
    group_tags: list[str] | None = None
    query_index: int = 0


class _Attributes(_Body):
    series: list[_Series] | None = None
    times: list[int] | None = None
    values: list[list[float | None] | None] | None = None


class _Data(_Body):
    attributes: _Attributes | None = None
    errors: str | list[Any] | None = None


class _Timeseries(_Body):
    data: _Data | None = None
    errors: str | None = None


def read_points(body: bytes, names: Sequence[str], bucket: int) -> dict[str, dict[str, dict[int, float]]]:
    """Points of a v2 timeseries body, `names` being the queries in the order in which they were asked.

    Raises ResponseError for a body that cannot be decoded, that reports errors, or whose buckets are others.
    """
    try:
        answer = _Timeseries.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ResponseError(f"Could not parse JSON body: {where}: {first['msg']}") from error
    if answer.errors or (answer.data is not None and answer.data.errors):
        raise ResponseError(f"There were errors in your query: {answer.errors or (answer.data and answer.data.errors)}")
    attributes = (answer.data.attributes if answer.data else None) or _Attributes()
    starts = _starts(attributes.times or [], bucket)
    series, values = attributes.series or [], attributes.values or []
    if len(series) != len(values):
        raise ResponseError(f"{len(values)} lists of values came for {len(series)} series")
    points: dict[str, dict[str, dict[int, float]]] = {name: {} for name in names}
    for each, numbers in zip(series, values, strict=True):
        if not 0 <= each.query_index < len(names):
            raise ResponseError(f"a series belongs to query {each.query_index} of {len(names)}")
        if len(numbers or []) != len(starts):
            raise ResponseError(f"{len(numbers or [])} values came for {len(starts)} times")
        found = points[names[each.query_index]].setdefault(_group(each.group_tags or []), {})
        found |= {start: value for start, value in zip(starts, numbers or [], strict=True) if value is not None}
    return points


def read_rows(query: CountQuery, queries: CountQueries, points: Points) -> Counted:
    """Rows of both versions, in the order of time; a bucket without any point has none."""
    canary, stable = map(normal_tag, query.versions)
    rows = [
        CountRow(
            start=start,
            counts=tuple(
                Counts(*_version(points, each, canary, start), *_version(points, each, stable, start))
                for each in queries.events
            ),
        )
        for start in _all_starts(points, queries, (canary, stable))
    ]
    totals = {tag: sum(values.values()) for tag, values in _requests(points, queries).items()}
    others = {tag: total for tag, total in totals.items() if tag not in (canary, stable) and total > 0}
    tag = query.settings.datadog.version_tag if query.settings.datadog else ""
    return Counted(rows, others_note(sum(totals.values()), others, tag))


def read_hour(queries: CountQueries, points: Points, group: str) -> list[HourRow]:
    """Rows of one version, or of one group of its pods."""
    rows = []
    for start in _all_starts(points, queries, (group,)):
        found = [_version(points, each, group, start) for each in queries.events]
        counts = [None if requests is None else VersionCounts(requests, bad or 0.0) for requests, bad in found]
        rows.append(HourRow(start=start, counts=tuple(counts)))
    return rows


def groups_of(points: Points) -> list[str]:
    """Values of the tag that is grouped by, in order."""
    return sorted({group for found in points.values() for group in found})


def read_percentiles(table: Table, names: Sequence[str]) -> dict[str, float]:
    """Seconds by the name of the percentile; one without a value is missing. Raises ResponseError."""
    columns = table.located(names)
    if columns is None:
        raise ResponseError(f"{len(table.numbers)} columns came for {len(names)} percentiles")
    found = {name: next(iter(column.values), None) for name, column in zip(names, columns, strict=True)}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float) and value > 0}


def _starts(times: Sequence[int], bucket: int) -> list[int]:
    """Starts of buckets in seconds. Datadog may answer in longer ones than it is asked for."""
    steps = [later - earlier for earlier, later in pairwise(times)]
    if any(time % (bucket * 1000) for time in times):
        raise ResponseError(f"Datadog answered in buckets that do not begin at multiples of {bucket} s")
    if steps and min(steps) != bucket * 1000:
        raise ResponseError(f"Datadog answered in steps of {min(steps) / 1000:g} s instead of {bucket} s")
    return [time // 1000 for time in times]


def _group(tags: Sequence[str]) -> str:
    """Value of the one tag that is grouped by; empty for what has none, which Datadog calls N/A."""
    return normal_tag(tags[0].partition(":")[2]) if tags and ":" in tags[0] else ""


def _version(points: Points, event: EventQueries, tag: str, start: int) -> tuple[float | None, float | None]:
    """Requests and bad ones, None for what has no point."""
    requests = points.get(event.of, {}).get(tag, {}).get(start)
    return requests, points.get(event.bad, {}).get(tag, {}).get(start)


def _all_starts(points: Points, queries: CountQueries, tags: Sequence[str]) -> list[int]:
    names = {name for event in queries.events for name in event}
    return sorted({start for name in names for tag in tags for start in points.get(name, {}).get(tag, {})})


def _requests(points: Points, queries: CountQueries) -> Mapping[str, Mapping[int, float]]:
    """Points of the requests that stand for the traffic."""
    return points.get(HITS) or points.get(queries.events[0].of, {})
