"""Queries to Datadog: a metric checked as Argo Rollouts checks it, its window, and requests for many at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import JsonValue

from activities.metrics.datadog.formula import Formula, FormulaError
from activities.metrics.provider import ConfigError
from tidegate.manifests.durations import parse_duration
from tidegate.manifests.providers.datadog import Datadog as Provider

DEFAULT_AGGREGATOR = "last"
DEFAULT_INTERVAL = "5m"
DEFAULT_TIMEOUT = "10s"
LONE_QUERY = "query"

_GROUPING = re.compile(r"\bby\s*\{([^}]*)\}")
_ROLLUP = re.compile(r"\.rollup\(\s*(?:\w+\s*,\s*)?([0-9]{1,7})\s*\)")


@dataclass(frozen=True)
class Window:
    """Time looked at, in whole unix seconds: `start` inclusive, `end` exclusive."""

    start: int
    end: int


@dataclass(frozen=True)
class DatadogQuery:
    """One metric as Datadog is asked for it: queries by name, a formula over them or "" for the lone query."""

    queries: Mapping[str, str]
    formula: str
    aggregator: str
    api_version: str
    interval: timedelta
    timeout: timedelta

    @property
    def grouping(self) -> frozenset[str]:
        """Tags that the queries are grouped by."""
        tags = (
            tag.strip()
            for query in self.queries.values()
            for group in _GROUPING.findall(query)
            for tag in group.split(",")
        )
        return frozenset(tags)

    @property
    def text(self) -> str:
        """The queries below the formula if there is one, for people."""
        if not self.formula:
            return next(iter(self.queries.values())).strip()
        return "\n".join([self.formula, *(f"{name}: {query.strip()}" for name, query in self.queries.items())])

    def parsed_formula(self) -> Formula | None:
        """The formula when there is one and it can be read; Datadog knows more syntax than `Formula` does."""
        try:
            return Formula(self.formula) if self.formula else None
        except FormulaError:
            return None

    def window(self, now: float) -> Window:
        """The window that ends at `now` (unix seconds), of the length of the interval cut to whole seconds.

        A query with an explicit `.rollup(..., seconds)` gets buckets of that length counted from 1970; the aggregator
        `last` would then judge a newest bucket that is still filling, so the window ends where that one begins.
        """
        end = int(now)
        rollups = [int(seconds) for query in self.queries.values() for seconds in _ROLLUP.findall(query)]
        if rollups and self.aggregator == DEFAULT_AGGREGATOR:
            end -= end % max(*rollups, 1)
        return Window(end - int(self.interval.total_seconds()), end)


@dataclass(frozen=True)
class Columns:
    """Which formula of a request answers a metric, and which ones its single queries: positions in `labels`."""

    value: int
    queries: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ScalarRequest:
    """Body for `POST /api/v2/query/scalar`; `labels` are its formulas in order, `columns` belong to its questions."""

    body: dict[str, JsonValue]
    labels: tuple[str, ...]
    columns: tuple[Columns, ...]


def read_query(provider: Provider) -> DatadogQuery:
    """Query of a metric. Raises ConfigError for a combination of fields that cannot be measured."""
    for contradiction in provider.contradictions():
        raise ConfigError(contradiction.text)
    try:
        timeout = parse_duration(provider.request_timeout or DEFAULT_TIMEOUT)
    except ValueError as error:
        text = f"Could not parse the request timeout: {error}. Please review the Analysis Template."
        raise ConfigError(text) from error
    if timeout <= timedelta(0):
        raise ConfigError(
            "Request timeout must be a positive duration (e.g. 30s). Please review the Analysis Template."
        )
    try:
        interval = parse_duration(provider.interval or DEFAULT_INTERVAL)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return DatadogQuery(
        queries=provider.queries or {LONE_QUERY: provider.query},
        formula=provider.formula,
        aggregator=provider.aggregator or DEFAULT_AGGREGATOR,
        api_version=provider.version,
        interval=interval,
        timeout=timeout,
    )


def scalar_request(questions: Sequence[DatadogQuery], window: Window) -> ScalarRequest:
    """One request for all of `questions`, which must agree on window and grouping.

    A single question keeps the names of its queries, as Argo sends them; several get names of their own. Beside each
    formula stand its queries by themselves, so that "no errors" can be told from "no data".
    """
    queries: list[JsonValue] = []
    labels: list[str] = []
    columns: list[Columns] = []
    for index, question in enumerate(questions):
        names = {name: name if len(questions) == 1 else f"m{index}_{name}" for name in question.queries}
        queries.extend(_query(names[name], text, question.aggregator) for name, text in question.queries.items())
        columns.append(_append(labels, question, names))
    # Without any formula the queries themselves are the columns, which is how Argo asks for a lone query.
    lone = len(questions) == 1 and not questions[0].formula
    attributes: dict[str, JsonValue] = {
        "from": window.start * 1000,
        "to": window.end * 1000,
        "queries": queries,
        "formulas": [] if lone else [{"formula": label} for label in labels],
    }
    body: dict[str, JsonValue] = {"data": {"type": "scalar_request", "attributes": attributes}}
    return ScalarRequest(body, tuple(labels), tuple(columns))


def _query(name: str, text: str, aggregator: str) -> JsonValue:
    return {"aggregator": aggregator, "data_source": "metrics", "name": name, "query": text}


def _append(labels: list[str], question: DatadogQuery, names: Mapping[str, str]) -> Columns:
    formula = question.parsed_formula()
    value = len(labels)
    if not question.formula:
        labels.extend(names.values())
        return Columns(value)
    labels.append(formula.rename(names) if formula else question.formula)
    positions = {name: value + 1 + offset for offset, name in enumerate(names)}
    labels.extend(names.values())
    return Columns(value, positions)
