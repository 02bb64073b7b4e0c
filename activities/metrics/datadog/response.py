"""Answers of Datadog: the value of a metric out of a v1 or v2 body, by the rules of Argo Rollouts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from activities.metrics.datadog.formula import Formula, NotComputableError
from activities.metrics.datadog.request import Columns
from activities.metrics.provider import MetricValue, ResponseError
from activities.transport.http import HttpResponse
from tidegate.manifests.placeholders import go_quoted

T = TypeVar("T", bound=BaseModel)

GROUPS_KEPT = 100
_LONGEST_SHOWN = 100  # characters
# What Go calls the JSON that is no number.
_JSON_KINDS = {str: "string", bool: "bool", dict: "object", list: "array"}


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class _Series(_Body):
    pointlist: list[list[float | None]] | None = None
    interval: float | None = None

    def stored(self) -> JsonValue:
        """The part of it that is stored when there is no value."""
        if self.pointlist is None:
            return {"pointlist": None}
        return {
            "pointlist": [[None if part is None else _shortest(part) for part in point] for point in self.pointlist]
        }


class _SeriesBody(_Body):
    series: list[_Series] | None = None


class _Column(_Body):
    name: str | None = None
    type: str | None = None
    values: list[Any] | None = None


class _Attributes(_Body):
    columns: list[_Column] | None = None


class _Data(_Body):
    attributes: _Attributes | None = None
    errors: str | None = None


class _ScalarBody(_Body):
    data: _Data | None = None


@dataclass(frozen=True)
class NumberColumn:
    """One column of numbers; `name` is the formula or query it belongs to, as far as Datadog says so."""

    name: str
    values: Sequence[Any]


@dataclass(frozen=True)
class Table:
    """A scalar answer: rows of numbers, and of labels when the queries are grouped."""

    groups: tuple[Sequence[Any], ...]
    numbers: tuple[NumberColumn, ...]

    @property
    def rows(self) -> int:
        """How many rows the longest column has."""
        return max((len(column.values) for column in self.numbers), default=0)

    def located(self, labels: Sequence[str]) -> tuple[NumberColumn, ...] | None:
        """The columns that belong to the formulas `labels`, in their order; None when that cannot be told.

        By name where Datadog names them so, else by position if there are as many as were asked for.
        """
        by_name = {column.name: column for column in self.numbers}
        if len(by_name) == len(self.numbers) and all(label in by_name for label in labels):
            return tuple(by_name[label] for label in labels)
        return self.numbers if len(self.numbers) == len(labels) else None


def check_status(answer: HttpResponse) -> None:
    """Raise ResponseError unless the status is exactly 200, the only one that carries a value."""
    if answer.status in (401, 403):
        raise ResponseError(f"received authentication error response code: {answer.status} {answer.quoted}")
    if answer.status != 200:
        raise ResponseError(f"received non 2xx response code: {answer.status} {answer.quoted}")


def read_series(body: bytes, end: int) -> MetricValue:
    """Value of a v1 body: the last point of the first series. `end` is the end of the window in unix seconds.

    Raises ResponseError. Two rules are Tidegate's own. A null is no value (Argo reads it as 0, which would let
    missing data pass for a good reading). A newest bucket that reaches beyond the window is still filling and is left
    out when the series says how long its buckets are and a finished one is there.
    """
    series = _decode(_SeriesBody, body).series
    points = series[0].pointlist or [] if series else []
    if any(len(point) != 2 for point in points[-1:]):
        raise ResponseError("Datapoint does not have 2 values")
    pairs = [(point[0] or 0.0, point[1]) for point in points if len(point) == 2]
    present = [(at, value) for at, value in pairs if value is not None]
    if not series or not present:
        return MetricValue(None, _compact(None if series is None else [each.stored() for each in series]))
    notes = [] if pairs[-1][1] is not None else ["the newest point is null: the last one with a value was taken"]
    length = series[0].interval or 0
    if length and len(present) > 1 and present[-1][0] + length * 1000 > end * 1000:
        present.pop()
        notes.append(f"the newest bucket of {length:g} s was still filling: the one before it was taken")
    value = present[-1][1]
    return MetricValue(value, plain_decimal(value), notes=tuple(notes))


def read_table(body: bytes) -> Table:
    """Columns of a v2 scalar body. Raises ResponseError for an undecodable one and for errors that it reports."""
    data = _decode(_ScalarBody, body).data
    if data is None:
        return Table((), ())
    if data.errors:
        raise ResponseError(f"There were errors in your query: {data.errors}")
    columns = (data.attributes.columns if data.attributes else None) or []
    return Table(
        groups=tuple(column.values or [] for column in columns if column.type == "group"),
        numbers=tuple(
            NumberColumn(column.name or "", column.values or [])
            for column in columns
            if (column.type or "number") == "number"
        ),
    )


def read_first(table: Table) -> MetricValue:
    """Value of a metric that was asked for alone: the first column of numbers."""
    return _value(table.groups, table.numbers[0] if table.numbers else NumberColumn("", []))


def read_formula(
    table: Table, numbers: Sequence[NumberColumn], columns: Columns, formula: Formula | None
) -> MetricValue:
    """Value of one metric of a request; `numbers` are the columns of its formulas in order.

    Where a formula has no value, it is computed here from its queries, so that a counter that never fired, and so
    has no series, counts as 0 in a ratio whose denominator has data.
    """
    chosen = numbers[columns.value]
    if formula is None or not columns.queries:
        return _value(table.groups, chosen)
    values = list(chosen.values)
    notes: list[str] = []
    values += [None] * (max(table.rows, 1) - len(values))
    for row, value in enumerate(values):
        operands = {name: _number(numbers[position], row) for name, position in columns.queries.items()}
        if value is None:
            values[row] = _computed(formula, operands, notes)
    return _value(table.groups, NumberColumn(chosen.name, values), tuple(dict.fromkeys(notes)))


def plain_decimal(number: float) -> str:
    """Shortest decimal that reads back as `number`, without an exponent: `0.000000001`, `1`, `-0`."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _computed(formula: Formula, operands: Mapping[str, float | None], notes: list[str]) -> float | None:
    try:
        outcome = formula.evaluate_ratio(operands)
    except NotComputableError:
        return None
    if not outcome.assumed_zero:
        return None
    present = sorted(name for name in formula.queries if operands.get(name) is not None)
    missing = sorted(outcome.assumed_zero)
    notes.append(f"{_has(missing)} no series while {_has(present)} data: taken as 0")
    return outcome.value


def _value(groups: Sequence[Sequence[Any]], column: NumberColumn, notes: tuple[str, ...] = ()) -> MetricValue:
    rows = [(index, _checked(value, column)) for index, value in enumerate(column.values) if value is not None]
    if not rows:
        return MetricValue(None, "[]", notes=notes)
    if not groups:
        return MetricValue(rows[0][1], plain_decimal(rows[0][1]), notes=notes)
    labelled = [(_label(groups, index), number) for index, number in rows]
    numbers = [number for _, number in labelled]
    return MetricValue(numbers, f"[{','.join(map(plain_decimal, numbers))}]", _metadata(labelled), notes)


def _metadata(labelled: Sequence[tuple[str, float]]) -> dict[str, str]:
    kept, metadata = labelled, {}
    if len(labelled) > GROUPS_KEPT:
        ordered = sorted(labelled, key=lambda pair: pair[1])
        kept = [*ordered[: GROUPS_KEPT // 2], *ordered[-GROUPS_KEPT // 2 :]]
        metadata["groups_truncated"] = "true"
    return {"groups": _compact([{"name": name, "value": _shortest(number)} for name, number in kept]), **metadata}


def _label(groups: Sequence[Sequence[Any]], index: int) -> str:
    parts: list[str] = []
    for column in groups:
        label = column[index] if index < len(column) else None
        if not isinstance(label, list) or not label or not all(isinstance(part, str) and part for part in label):
            raise ResponseError(f"could not parse group label at index {index}")
        parts.extend(label)
    return ",".join(parts)


def _number(column: NumberColumn, row: int) -> float | None:
    values = column.values
    return _checked(values[row], column) if row < len(values) and values[row] is not None else None


def _checked(value: Any, column: NumberColumn) -> float:
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        shown = json.dumps(value, ensure_ascii=False, separators=(",", ":"))[:_LONGEST_SHOWN]
        kind = _JSON_KINDS.get(type(value), f"number {shown}")
        raise ResponseError(
            f"could not parse numeric value {go_quoted(shown)} in column {go_quoted(column.name[:_LONGEST_SHOWN])}: "
            f"json: cannot unmarshal {kind} into Go value of type float64"
        )
    return number


def _has(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'has' if len(names) == 1 else 'have'}"


def _shortest(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def _compact(value: JsonValue) -> str:
    return json.dumps(value, separators=(",", ":"))


def _decode(model: type[T], body: bytes) -> T:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ResponseError(f"Could not parse JSON body: {where + ': ' if where else ''}{first['msg']}") from error
