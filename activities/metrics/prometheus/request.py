"""Request to Prometheus for one metric: address, form, headers, and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import httpx

from activities.metrics.authentication import Access, read_access, sent_headers
from activities.metrics.provider import ConfigError
from tidegate.analysis.expressions.rendering import render_float
from tidegate.analysis.instants import ConditionError, evaluate_instant
from tidegate.manifests.durations import parse_duration
from tidegate.manifests.providers.prometheus import Prometheus as Provider
from tidegate.manifests.providers.prometheus import RangeQuery

ADDRESS_VARIABLE = "ARGO_ROLLOUTS_PROMETHEUS_ADDRESS"
_INSTANT = "/api/v1/query"
_RANGE = "/api/v1/query_range"


@dataclass(frozen=True)
class PrometheusQuery:
    """One query."""

    url: httpx.URL  # without credentials
    form: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    access: Access
    timeout: int  # of the whole measurement, in seconds
    insecure: bool
    authorities: str  # certificates in PEM

    @property
    def text(self) -> str:
        """The query as text for operators."""
        bounds = (f"{name}: {self.form[name]}" for name in ("start", "end", "step") if name in self.form)
        return "\n".join([self.form["query"].strip(), *bounds])

    @property
    def request(self) -> str:
        """Prefix of an error without a response, as in Go."""
        return f'Post "{self.url.copy_with(query=None)}"'


def read_query(provider: Provider, address: str, at: datetime) -> PrometheusQuery:
    """The query of a metric at `at`, and at `address` unless the manifest has one.

    Raises ConfigError; its texts are Argo's, where Argo rejects the same.
    """
    url = _url(provider.address or address)
    if provider.timeout is not None and provider.timeout < 0:
        raise ConfigError("prometheus timeout should not be negative")
    if provider.limit == 0:
        raise ConfigError("prometheus timeout 0 leaves no time for an answer: leave it out for 30 seconds")
    if not provider.query.strip():
        raise ConfigError(
            "prometheus query is empty: write what to measure, such as sum(rate(http_requests_total[5m]))"
        )
    range_query = provider.range_query
    path, form = _instant(provider.query, at) if range_query is None else _range(provider.query, range_query, at)
    return PrometheusQuery(
        url=url.copy_with(path=url.path.rstrip("/") + path, username="", password=""),
        form=form,
        headers={"Accept": "application/json"} | sent_headers(provider.headers),
        access=read_access(provider.authentication, url),
        timeout=provider.limit,
        insecure=provider.insecure,
        authorities=provider.ca_cert,
    )


def over_range(question: PrometheusQuery, start: float, end: float, step: float) -> PrometheusQuery:
    """The same query at each `step` seconds from `start` to `end`, both included, in unix seconds."""
    form = {"query": question.form["query"], "start": _seconds(start), "end": _seconds(end), "step": _seconds(step)}
    url = question.url.copy_with(path=question.url.path.removesuffix(_INSTANT) + _RANGE)
    return replace(question, url=url, form=form)


def _url(address: str) -> httpx.URL:
    if not address:
        raise ConfigError("prometheus address is not configured")
    try:
        url = httpx.URL(address.strip())
    except httpx.InvalidURL:
        raise ConfigError("prometheus address is not is url format") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError("prometheus address is not is url format")
    return url


def _instant(query: str, at: datetime) -> tuple[str, dict[str, str]]:
    return _INSTANT, {"query": query, "time": _seconds(at.timestamp())}


def _range(query: str, range_query: RangeQuery, at: datetime) -> tuple[str, dict[str, str]]:
    form = {"query": query}
    for name, expression in (("start", range_query.start), ("end", range_query.end)):
        try:
            form[name] = _seconds(evaluate_instant(expression, at).timestamp())
        except ConditionError as error:
            raise ConfigError(f"failed to parse rangeQuery.{name} as time: {error.message}") from error
    try:
        form["step"] = _seconds(parse_duration(range_query.step).total_seconds())
    except ValueError as error:
        raise ConfigError(f"failed to parse rangeQuery.step as duration: {error}") from error
    return _RANGE, form


def _seconds(number: float) -> str:
    """Seconds without an exponent, as Prometheus' own client writes them."""
    return render_float(number, lowest=-9, widest=16)
