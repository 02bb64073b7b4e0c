"""Which counts of both versions Datadog is asked for: the queries by name, and the bodies that carry them.

The forms are documented one by one: `count:` of a distribution and `count(v: v>T)` (threshold queries), `by {tag}`,
and `.as_count().rollup(sum, N)`, which sums and does not interpolate. `from` is inclusive and `to` is exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.metrics.comparison import CountQuery
from activities.metrics.datadog.response import plain_decimal
from activities.metrics.provider import ConfigError
from tidegate.manifests.providers.compare import ERRORS, LATENCY_EVENTS, CompareDatadog, CompareEvent

HITS: Final = "hits"
FAILED: Final = "errors"
MEASURED: Final = "lat"
HOST_TAG: Final = "host"
PERCENTILES: Final = (90, 99)
_ROLLUP: Final = re.compile(r"\.rollup\s*\(")
_LONGEST_VALUE: Final = 200
_NOT_IN_TAGS: Final = re.compile(r"[^a-z0-9_\-:./]")


class EventQueries(NamedTuple):
    """Names of the queries of one event: its bad requests, and the requests that they are of."""

    bad: str
    of: str


@dataclass(frozen=True)
class CountQueries:
    """All queries of a reading by their name, and those of each event in its order."""

    texts: Mapping[str, str]
    events: tuple[EventQueries, ...]


def normal_tag(value: str) -> str:
    """A tag's value as Datadog keeps it: lower case, `_` for what no tag may hold (Datadog, defining tags)."""
    return _NOT_IN_TAGS.sub("_", value.lower())[:_LONGEST_VALUE]


def count_queries(query: CountQuery, by: str, *scope: str) -> CountQueries:
    """Queries for all events of a comparison, grouped by a tag, `scope` being more tags.

    Raises ConfigError for a latency event without a threshold.
    """
    source = _source(query)
    tags = ",".join((_scope(source), *scope))
    ends = f"{{{tags}}} by {{{by}}}.as_count().rollup(sum, {query.wanted.bucket})"
    metric = f"trace.{source.operation}"
    described = {event.name: event for event in query.settings.wanted_events()}
    texts: dict[str, str] = {}
    events = []
    for index, event in enumerate(query.wanted.events):
        if event.name == ERRORS:
            found = {HITS: f"sum:{metric}.hits{ends}", FAILED: f"sum:{metric}.errors{ends}"}
            events.append(EventQueries(FAILED, HITS))
        elif event.name in LATENCY_EVENTS:
            if event.slower_than is None:
                raise ConfigError(f"{event.name} has no threshold: the hour before was not read")
            slower = f"count(v: v>{plain_decimal(event.slower_than)}):{metric}{ends}"
            found = {MEASURED: f"count:{metric}{ends}", event.name: slower}
            events.append(EventQueries(event.name, MEASURED))
        else:
            found = _own(described[event.name], f"own{index}", query.wanted.bucket)
            events.append(EventQueries(f"own{index}_bad", f"own{index}_of"))
        texts |= found
    return CountQueries(texts, tuple(events))


def hits_query(query: CountQuery, by: str, bucket: int) -> str:
    """Query of all requests, grouped by a tag, in buckets of `bucket` seconds."""
    source = _source(query)
    return f"sum:trace.{source.operation}.hits{{{_scope(source)}}} by {{{by}}}.as_count().rollup(sum, {bucket})"


def percentile_queries(query: CountQuery) -> dict[str, str]:
    """Queries of stable's latency percentiles, by their name."""
    source = _source(query)
    scope = f"{_scope(source)},{source.version_tag}:{normal_tag(query.versions[1])}"
    return {f"p{percent}": f"p{percent}:trace.{source.operation}{{{scope}}}" for percent in PERCENTILES}


def timeseries_body(texts: Mapping[str, str], start: int, end: int, bucket: int) -> dict[str, JsonValue]:
    """Body for `POST /api/v2/query/timeseries`; times in unix seconds, all queries in buckets of `bucket` seconds."""
    queries: list[JsonValue] = [{"data_source": "metrics", "name": name, "query": text} for name, text in texts.items()]
    return _body("timeseries_request", texts, queries, start, end, interval=bucket * 1000)


def percentile_body(texts: Mapping[str, str], start: int, end: int) -> dict[str, JsonValue]:
    """Body for `POST /api/v2/query/scalar`: each percentile over the whole window."""
    queries: list[JsonValue] = [
        {"aggregator": "percentile", "data_source": "metrics", "name": name, "query": text}
        for name, text in texts.items()
    ]
    return _body("scalar_request", texts, queries, start, end)


def _body(
    kind: str, texts: Mapping[str, str], queries: Sequence[JsonValue], start: int, end: int, **more: JsonValue
) -> dict[str, JsonValue]:
    attributes: dict[str, JsonValue] = {
        "from": start * 1000,
        "to": end * 1000,
        **more,
        "queries": list(queries),
        "formulas": [{"formula": name} for name in texts],
    }
    return {"data": {"type": kind, "attributes": attributes}}


def _source(query: CountQuery) -> CompareDatadog:
    source = query.settings.datadog
    if source is None:
        raise ConfigError("datadog is missing: this metric is counted elsewhere")
    return source


def _scope(source: CompareDatadog) -> str:
    tags = [f"service:{source.service.strip()}", *([f"env:{source.env.strip()}"] if source.env.strip() else [])]
    return ",".join([*tags, *([source.filter.strip()] if source.filter.strip() else [])])


def _own(event: CompareEvent, name: str, bucket: int) -> dict[str, str]:
    """The owner's own queries, each with the buckets of the comparison unless it has a rollup of its own."""
    return {
        f"{name}_{part}": text if _ROLLUP.search(text) else f"{text}.rollup(sum, {bucket})"
        for part, text in (("bad", event.bad.strip()), ("of", event.of.strip()))
    }
