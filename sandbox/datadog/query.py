"""The part of Datadog's query language that the embedded API answers: `agg:metric{tag:v} by {tag}.as_count()`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput, VisitError

SPACE_AGGREGATORS = ("sum", "avg", "min", "max", "count")

_GRAMMAR = r"""
    start: aggregator ":" METRIC "{" filter ("," filter)* "}" [by] modifier*
    aggregator: WORD
        | "count" "(" "v" ":" "v" COMPARES DECIMAL ")" -> threshold
    filter: "*" -> everything
        | NAME ":" VALUE -> tag
    by: "by" "{" NAME ("," NAME)* "}"
    modifier: "." WORD "(" [argument ("," argument)*] ")"
    argument: WORD | NUMBER
    METRIC: /[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+/
    NAME: /[A-Za-z][A-Za-z0-9_.\/-]*/
    VALUE: /[A-Za-z0-9_][A-Za-z0-9_.:\/-]*/
    WORD: /[a-z][a-z0-9_.]*/
    NUMBER: /[0-9]{1,7}/
    COMPARES: /[<>]=?/
    DECIMAL: /[0-9]+(\.[0-9]+)?/
    %ignore /\s+/
"""


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="earley", lexer="dynamic")


class QueryError(ValueError):
    """A query that cannot be answered; the text says why."""


@dataclass(frozen=True)
class Query:
    """One metric, the tags that its points must carry, the tags to group by, and what to make of each bucket.

    `rollup` is the length of a bucket in seconds where the query sets it. `threshold` is the comparison of a query for
    a count of values: an operator and a number.
    """

    aggregator: str
    metric: str
    tags: tuple[tuple[str, str], ...] = ()
    by: tuple[str, ...] = ()
    as_rate: bool = False
    rollup: int | None = None
    threshold: tuple[str, float] | None = None

    @property
    def percentile(self) -> float | None:
        """Percent of a percentile aggregator: 99.0 for `p99`."""
        digits = self.aggregator.removeprefix("p")
        return float(digits) if digits != self.aggregator and digits.replace(".", "", 1).isdigit() else None


def parse_query(text: str) -> Query:
    """Read a query; spaces and line ends are allowed between its words. Raises QueryError."""
    try:
        query = _Reader().transform(_parser().parse(text))
    except UnexpectedInput as error:
        place = text[error.pos_in_stream or 0 :][:30].strip() if error.pos_in_stream is not None else "its end"
        raise QueryError(f"Error parsing query: unable to parse {text.strip()[:200]!r} at {place!r}") from error
    except VisitError as error:
        raise QueryError(f"Error parsing query: {error.orig_exc}") from error
    if not isinstance(query, Query):
        raise QueryError("Error parsing query: it is empty")
    if query.aggregator not in SPACE_AGGREGATORS and not 0 < (query.percentile or 0) < 100:
        raise QueryError(f"Error parsing query: aggregator {query.aggregator!r} is not known")
    return query


@v_args(inline=True)
class _Reader(Transformer[Token, Any]):
    """Makes a Query of the parse tree."""

    def start(self, aggregator: str | tuple[str, float], metric: Token, *parts: Any) -> Query:
        tags = tuple(part for part in parts if isinstance(part, tuple) and part)
        fields: dict[str, Any] = {}
        if isinstance(aggregator, tuple):
            aggregator, fields["threshold"] = "count", aggregator
        for part in parts:
            if isinstance(part, dict):
                fields |= part
        return Query(aggregator, str(metric), tags, **fields)

    def aggregator(self, word: Token) -> str:
        return str(word)

    def threshold(self, compares: Token, number: Token) -> tuple[str, float]:
        return str(compares), float(number)

    def everything(self) -> tuple[()]:
        return ()

    def tag(self, name: Token, value: Token) -> tuple[str, str]:
        return str(name), str(value)

    def by(self, *names: Token) -> dict[str, Any]:
        return {"by": tuple(map(str, names))}

    def argument(self, value: Token) -> str:
        return str(value)

    def modifier(self, name: Token, *arguments: str | None) -> dict[str, Any]:
        given = [argument for argument in arguments if argument]
        match str(name), given:
            case "as_count", []:
                return {"as_rate": False}
            case "as_rate", []:
                return {"as_rate": True}
            case "rollup", [*_, seconds] if seconds.isdigit() and int(seconds):
                return {"rollup": int(seconds)}
        raise ValueError(f".{name}({', '.join(given)}) is not emulated")
