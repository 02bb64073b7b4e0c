"""What the embedded Datadog API answers to a query: documents in the shape of v1 and v2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from activities.metrics.datadog.formula import Formula
from sandbox.datadog.query import Query, QueryError, parse_query
from sandbox.datadog.series import Evaluator, Frame, Ingestion, Series, Telemetry, aggregate, frame, window

Group = tuple[str, ...]
Document = dict[str, Any]
_Milliseconds = Annotated[int, Field(ge=0, le=10**14)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _AskedQuery(_Model):
    data_source: str
    query: str
    name: str = ""
    aggregator: str = "avg"


class _AskedFormula(_Model):
    formula: str


class _Attributes(_Model):
    start: _Milliseconds = Field(alias="from")
    end: _Milliseconds = Field(alias="to")
    queries: list[_AskedQuery] = Field(min_length=1)
    formulas: list[_AskedFormula] = []
    interval: int | None = Field(default=None, ge=1000)


class _Data(_Model):
    type: str
    attributes: _Attributes


class _Asked(_Model):
    data: _Data


@dataclass(frozen=True)
class _Named:
    """A query of a request with the series that answer it."""

    name: str
    aggregator: str
    query: Query
    shown: Frame
    series: Mapping[Group, Series]

    def scalars(self, evaluator: Evaluator) -> dict[Group, float | None]:
        """One number for each group."""
        if self.aggregator == "percentile" and self.query.percentile is not None:
            return {group: evaluator.percentile(self.query, group, self.shown) for group in self.series}
        return {
            group: aggregate(self.aggregator, series.values, self.shown.length) for group, series in self.series.items()
        }

    def at(self, group: Group, point: int) -> float | None:
        """The value of one group in one bucket."""
        series = self.series.get(group)
        return series.values[point] if series else None


class Answers:
    """Answers at one moment: from points older than `seen_until`, in buckets of at least `resolution` seconds."""

    def __init__(self, telemetry: Telemetry, seen_until: float, resolution: float, ingestion: Ingestion) -> None:
        self._evaluator = Evaluator(telemetry, seen_until, ingestion)
        self._seen_until = seen_until
        self._resolution = resolution

    def query(self, text: str, start: int, end: int) -> Document:
        """Answer of `GET /api/v1/query`; times in unix seconds. Raises QueryError."""
        query = parse_query(text)
        shown = self._frame(start, end, query.rollup)
        return {
            "status": "ok",
            "res_type": "time_series",
            "resp_version": 1,
            "query": text,
            "from_date": start * 1000,
            "to_date": end * 1000,
            "group_by": list(query.by),
            "message": "",
            "series": [_v1_series(query, text, shown, each) for each in self._evaluator.series(query, shown)],
        }

    def scalar(self, body: bytes) -> Document:
        """Answer of `POST /api/v2/query/scalar`: a column for each tag that is grouped by, then one for each formula.

        Raises ValidationError for a body of the wrong shape, QueryError, FormulaError and NotComputableError.
        """
        asked = _read(body, "scalar_request")
        named = self._named(asked)
        labels, formulas = _formulas(asked, named)
        groups = _groups(named)
        scalars = {each.name: each.scalars(self._evaluator) for each in named}
        columns: list[Document] = [
            {"name": tag, "type": "group", "values": [[group[place]] for group in groups]}
            for place, tag in enumerate(named[0].query.by)
        ]
        for label, formula in zip(labels, formulas, strict=True):
            values = [formula.evaluate({name: found.get(group) for name, found in scalars.items()}) for group in groups]
            columns.append({"name": label, "type": "number", "values": values, "meta": {"unit": [None, None]}})
        return _document("scalar_response", {"columns": columns})

    def timeseries(self, body: bytes) -> Document:
        """Answer of `POST /api/v2/query/timeseries`: all queries in the same buckets. Raises what `scalar` raises."""
        asked = _read(body, "timeseries_request")
        rollups = [parse_query(each.query).rollup or 0 for each in asked.queries]
        named = self._named(asked, (asked.interval or 0) // 1000 or max(rollups) or None)
        _, formulas = _formulas(asked, named)
        groups, shown = _groups(named), named[0].shown
        series, values = [], []
        for index, formula in enumerate(formulas):
            for group in groups:
                series.append({"group_tags": _tags(named[0].query, group), "query_index": index, "unit": [None, None]})
                points = range(len(shown.buckets))
                values.append(
                    [formula.evaluate({each.name: each.at(group, point) for each in named}) for point in points]
                )
        times = [round(bucket.start * 1000) for bucket in shown.buckets]
        return _document("timeseries_response", {"series": series, "times": times, "values": values})

    def _named(self, asked: _Attributes, rollup: int | None = None) -> list[_Named]:
        """The series of every query, in buckets of `rollup` seconds if given."""
        named = []
        for index, each in enumerate(asked.queries):
            if each.data_source != "metrics":
                raise QueryError(f"data source {each.data_source!r} is not emulated: use metrics")
            query = parse_query(each.query)
            start, end = asked.start / 1000, asked.end / 1000
            whole = each.aggregator == "percentile" and rollup is None and query.percentile is not None
            shown = window(start, end, self._seen_until) if whole else self._frame(start, end, rollup or query.rollup)
            found = {series.group: series for series in self._evaluator.series(query, shown)}
            named.append(_Named(each.name or f"query{index}", each.aggregator, query, shown, found))
        if len({each.query.by for each in named}) > 1:
            raise QueryError("queries with different groupings in one request are not emulated")
        return named

    def _frame(self, start: float, end: float, rollup: int | None) -> Frame:
        return frame(start, end, self._seen_until, self._resolution, rollup)


def _read(body: bytes, kind: str) -> _Attributes:
    asked = _Asked.model_validate_json(body)
    if asked.data.type != kind:
        raise QueryError(f"data.type {asked.data.type!r}: use {kind}")
    return asked.data.attributes


def _formulas(asked: _Attributes, named: Sequence[_Named]) -> tuple[list[str], list[Formula]]:
    """The formulas that were asked for, or the queries themselves when none was."""
    labels = [each.formula for each in asked.formulas] or [each.name for each in named]
    formulas = [Formula(label) for label in labels]
    known = {each.name for each in named}
    for formula in formulas:
        if unknown := formula.queries - known:
            raise QueryError(f"formula {formula.text!r} refers to unknown queries: {', '.join(sorted(unknown))}")
    return labels, formulas


def _groups(named: Sequence[_Named]) -> list[Group]:
    return sorted({group for each in named for group in each.series})


def _tags(query: Query, group: Group) -> list[str]:
    return [f"{tag}:{value}" for tag, value in zip(query.by, group, strict=True)]


def _v1_series(query: Query, text: str, shown: Frame, series: Series) -> Document:
    points = [
        [bucket.start * 1000, value]
        for bucket, value in zip(shown.buckets, series.values, strict=True)
        if value is not None
    ]
    return {
        "metric": query.metric,
        "display_name": query.metric,
        "aggr": query.aggregator,
        "expression": text.strip(),
        "scope": ",".join(f"{tag}:{value}" for tag, value in query.tags) or "*",
        "tag_set": _tags(query, series.group),
        "interval": round(shown.length),
        "length": len(points),
        "start": points[0][0],
        "end": points[-1][0],
        "unit": None,
        "pointlist": points,
    }


def _document(kind: str, attributes: Document) -> Document:
    return {"data": {"id": "0", "type": kind, "attributes": attributes}}
