"""Settings of the provider `datadog`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from tidegate.manifests.model import Model

KEY: Final = "datadog"
DEFAULT_API_VERSION: Final = "v1"
_API_VERSIONS: Final = ("v1", "v2")
_AGGREGATORS: Final = ("avg", "min", "max", "sum", "last", "percentile", "mean", "l2norm", "area")
_REVIEW: Final = " Please review the Analysis Template."


class Contradiction(NamedTuple):
    """A field that does not fit the others: Argo's text, which a measurement keeps, and what helps a person."""

    field: str
    text: str
    remedy: str


class SecretRef(Model):
    """Secret with the credentials of a provider, in the run's namespace if `namespaced`, else in the controller's."""

    name: str = ""
    namespaced: bool = False


class Datadog(Model):
    """Datadog query or queries; `interval` is the window looked at and `request_timeout` a limit, both Go durations."""

    interval: str = ""
    query: str = ""
    queries: Mapping[str, str] = {}
    formula: str = ""
    api_version: str = ""
    aggregator: str = ""
    secret_ref: SecretRef | None = None
    request_timeout: str = ""

    @property
    def version(self) -> str:
        """The API that is asked; an apiVersion that is left out is v1, as the CRD has it."""
        return self.api_version or DEFAULT_API_VERSION

    def contradictions(self) -> Iterator[Contradiction]:
        """What cannot be measured with, in the order in which Argo looks; the texts are Argo's where it does."""
        version = self.version
        if not self.query and not self.queries:
            yield Contradiction("query", f"Must have either a query or queries.{_REVIEW}", "write one of them")
        if self.query and self.queries:
            yield Contradiction("queries", f"Cannot have both a query and queries.{_REVIEW}", "leave one of them out")
        if version == "v1" and self.queries and not self.query:
            text = "Query is empty. API Version v1 only supports using the query parameter in your Analysis Template."
            yield Contradiction("queries", text, "write apiVersion: v2; without it v1 is asked")
        if version not in _API_VERSIONS:
            text = f"apiVersion {version!r} is not known: use v1 or v2.{_REVIEW}"
            yield Contradiction("apiVersion", text, "v1 or v2")
        if self.formula and not self.queries:
            text = f"Formula are only valid when queries are set.{_REVIEW}"
            yield Contradiction("formula", text, "write the queries that it refers to")
        if len(self.queries) > 1 and not self.formula:
            text = "When multiple queries are provided you must include a formula."
            yield Contradiction("queries", text, "such as formula: errors / hits")
        if version == "v1" and self.aggregator:
            text = f"Aggregator is not supported in v1.{_REVIEW}"
            yield Contradiction("aggregator", text, "write apiVersion: v2")
        elif self.aggregator and self.aggregator not in _AGGREGATORS:
            text = f"aggregator {self.aggregator!r} is not known.{_REVIEW}"
            yield Contradiction("aggregator", text, f"one of {', '.join(_AGGREGATORS)}")

    def texts(self) -> dict[str, str]:
        """All queries by their name; the lone one is called `query`."""
        return {**({"query": self.query} if self.query else {}), **self.queries}
