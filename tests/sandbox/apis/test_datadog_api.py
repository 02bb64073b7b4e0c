"""The embedded Datadog API on the wire: what it counts, what it refuses, and the provider that works against it."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.metrics.datadog.provider import DatadogProvider, DatadogSettings
from activities.secrets.store import NamedSecrets
from sandbox.datadog.query import Query, QueryError, parse_query
from sandbox.datadog.series import HASH_TAG, aggregate, frame
from sandbox.datadog.server import DatadogApi
from sandbox.telemetry import Window
from tidegate.analysis.reading import Reading
from tidegate.contract import MeasureRequest

NOW = 1_700_000_000.0
KEYS = {"DD-API-KEY": "api-key-of-a-test", "DD-APPLICATION-KEY": "app-key-of-a-test"}


@dataclass(frozen=True)
class Counted(Window):
    """A window of a service that has answered steadily."""

    p99_ms: float = 0.0

    def percentile(self, p: float) -> float | None:
        return self.p99_ms * p / 99 if self.requests else None

    def mean(self) -> float | None:
        return self.p99_ms / 2 if self.requests else None


@dataclass
class Steady:
    """Telemetry of constant rates from a moment on: (requests, errors) for each second, and a p99."""

    rates: dict[str, tuple[float, float]] = field(default_factory=dict)
    p99_ms: float = 250.0
    since: float = 0.0

    def window(self, service: str, pod_hash: str | None, start: float, end: float) -> Counted:
        seconds = max(0.0, end - max(start, self.since))
        rates = [rate for each, rate in self.rates.items() if pod_hash in (None, each)] if service == "checkout" else []
        hits, errors = (sum(rate[place] for rate in rates) * seconds for place in (0, 1))
        return Counted(round(hits), round(errors), p99_ms=self.p99_ms)

    def hashes(self, service: str) -> list[str]:
        return sorted(self.rates) if service == "checkout" else []

    def labels(self, pod_hash: str) -> dict[str, str]:
        return {}


@pytest.fixture
def telemetry() -> Steady:
    return Steady({"stable": (270.0, 0.0), "canary": (30.0, 6.0)})


@pytest_asyncio.fixture
async def api(telemetry: Steady) -> AsyncIterator[DatadogApi]:
    api = DatadogApi(
        telemetry,
        api_key=KEYS["DD-API-KEY"],
        app_key=KEYS["DD-APPLICATION-KEY"],
        clock=lambda: NOW,
    )
    await api.start()
    yield api
    await api.stop()


def client(api: DatadogApi, keys: dict[str, str] | None = None) -> httpx.AsyncClient:
    """A client without the time that loading the system's certificates takes."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.AsyncClient(base_url=api.url, headers=KEYS if keys is None else keys, verify=trust)


async def get(api: DatadogApi, path: str, keys: dict[str, str] = KEYS, **params: Any) -> httpx.Response:
    async with client(api, keys) as http:
        return await http.get(path, params=params)


async def query(api: DatadogApi, text: str, seconds: int = 60) -> httpx.Response:
    return await get(api, "/api/v1/query", query=text, **{"from": int(NOW) - seconds, "to": int(NOW)})


async def post(
    api: DatadogApi, kind: str, queries: dict[str, str], formulas: list[str], aggregator: str = "last", **more: Any
) -> httpx.Response:
    asked = [
        {"data_source": "metrics", "name": name, "query": text, "aggregator": aggregator}
        for name, text in queries.items()
    ]
    attributes = {
        "from": int(NOW - 60) * 1000,
        "to": int(NOW) * 1000,
        "queries": asked,
        "formulas": [{"formula": formula} for formula in formulas],
        **more,
    }
    body = {"data": {"type": f"{kind}_request", "attributes": attributes}}
    async with client(api) as http:
        return await http.post(f"/api/v2/query/{kind}", json=body)


def columns(response: httpx.Response) -> dict[str, list[Any]]:
    assert response.status_code == 200, response.text
    return {each["name"]: each["values"] for each in response.json()["data"]["attributes"]["columns"]}


def canary(metric: str, aggregator: str = "sum") -> str:
    return f"{aggregator}:{metric}{{service:checkout,\n  {HASH_TAG}:canary}}"


RATE = {"errors": canary("trace.http.request.errors") + ".as_count()\n", "hits": canary("trace.http.request.hits")}


async def measure(api: DatadogApi, *metrics: dict[str, Any]) -> list[Reading]:
    environment = {"DD_API_KEY": KEYS["DD-API-KEY"], "DD_APP_KEY": KEYS["DD-APPLICATION-KEY"], "DD_ADDRESS": api.url}
    async with client(api, {}) as http:
        provider = DatadogProvider(
            NamedSecrets(NoSecrets()), http, DatadogSettings(), environment=environment, clock=lambda: NOW
        )
        request = MeasureRequest(namespace="payments", run="run", metrics=metrics)
        readings: list[Reading] = await ActivityEnvironment().run(provider.measure, request)
    return readings


class NoSecrets:
    """An empty store."""

    async def read(self, path: str) -> dict[str, str]:
        raise AssertionError(f"nobody should read {path}: the keys are in the environment")

    refresh = read


def metric(name: str, **datadog: Any) -> dict[str, Any]:
    return {"name": name, "provider": {"datadog": {"apiVersion": "v2", **datadog}}}


# --------------------------------------------------------------------------------------------------- with the provider


async def test_the_provider_reads_error_rate_and_seconds_in_one_request(api: DatadogApi) -> None:
    rate, p99, absent = await measure(
        api,
        metric("rate", formula="errors / hits", queries=RATE),
        metric("p99", query=canary("trace.http.request", "p99")),
        metric("typo", query="sum:trace.http.request.hitz{service:checkout}"),
    )
    assert (rate.result, p99.result) == (0.2, 0.25)
    assert absent.no_data
    assert api.requests == {"/api/v2/query/scalar": 1}


async def test_a_perfect_canary_has_no_series_of_errors_and_still_an_error_rate(
    api: DatadogApi, telemetry: Steady
) -> None:
    telemetry.rates["canary"] = (30.0, 0.0)
    [reading] = await measure(api, metric("rate", formula="errors / hits", queries=RATE))
    assert reading.result == 0
    assert reading.notes == ("errors has no series while hits has data: taken as 0",)


async def test_a_canary_that_nobody_calls_has_no_data(api: DatadogApi, telemetry: Steady) -> None:
    telemetry.rates["canary"] = (0.0, 0.0)
    rate, p99 = await measure(
        api,
        metric("rate", formula="errors / hits", queries=RATE),
        metric("p99", query=canary("trace.http.request", "p99")),
    )
    assert (rate.no_data, p99.no_data) == (True, True)


async def test_the_rate_limit_is_real(api: DatadogApi) -> None:
    api.rate_limit.limit, api.rate_limit.period = 1, 60
    await measure(api, metric("p99", query=canary("trace.http.request", "p99")))
    with pytest.raises(ApplicationError) as caught:
        await measure(api, metric("p99", query=canary("trace.http.request", "p99")))
    assert caught.value.next_retry_delay is not None
    assert caught.value.next_retry_delay.total_seconds() == 60 - NOW % 60
    response = await query(api, "avg:a.b{*}")
    assert (response.status_code, response.headers["X-RateLimit-Remaining"]) == (429, "0")


# --------------------------------------------------------------------------------------------------------------- keys


async def test_keys_are_checked(api: DatadogApi) -> None:
    wrong = await get(api, "/api/v1/query", KEYS | {"DD-APPLICATION-KEY": "wrong"})
    assert (wrong.status_code, wrong.json()) == (403, {"errors": ["Forbidden"]})
    assert (await get(api, "/api/v1/query", {})).status_code == 401
    assert (await get(api, "/api/v1/validate", {"DD-API-KEY": KEYS["DD-API-KEY"]})).json() == {"valid": True}
    assert (await get(api, "/api/v1/validate", {"DD-API-KEY": "wrong"})).status_code == 403


async def test_every_answer_says_what_is_left(api: DatadogApi) -> None:
    first, second = await get(api, "/api/v1/validate"), await get(api, "/api/v1/nowhere")
    names = ("Limit", "Period", "Remaining", "Reset", "Name")
    assert [first.headers[f"X-RateLimit-{name}"] for name in names] == ["6000", "60", "5999", "40", "metric_queries"]
    assert (second.status_code, second.headers["X-RateLimit-Remaining"]) == (404, "5998")


# ------------------------------------------------------------------------------------------------------------ answers


async def test_v1_shows_whole_buckets_of_what_is_already_reported(api: DatadogApi) -> None:
    [series] = (await query(api, canary("trace.http.request.hits") + ".as_count()")).json()["series"]
    assert series["interval"] == 4
    assert series["pointlist"][-1] == [(NOW - 8) * 1000, 120]
    rate = (await query(api, canary("trace.http.request.hits") + ".as_rate()")).json()["series"][0]
    assert rate["pointlist"][-1][1] == 30


async def test_an_explicit_rollup_shows_the_bucket_that_is_filling(api: DatadogApi) -> None:
    [series] = (await query(api, canary("trace.http.request.hits") + ".rollup(sum, 30)", 300)).json()["series"]
    start = (NOW - 1) // 30 * 30
    assert series["pointlist"][-1] == [start * 1000, round(30 * (NOW - 1 - start))]
    assert series["pointlist"][-2][1] == 900


async def test_v2_groups_by_hash(api: DatadogApi) -> None:
    by = f" by {{{HASH_TAG}}}"
    queries = {
        "e": "sum:trace.http.request.errors{service:checkout}" + by,
        "h": "sum:trace.http.request.hits{service:checkout}" + by,
    }
    found = columns(await post(api, "scalar", queries, ["e / h", "h"], "sum"))
    assert found[HASH_TAG] == [["canary"], ["stable"]]
    assert found["e / h"] == [0.2, None]
    assert found["h"] == [1680, 15120]


@pytest.mark.parametrize(
    ("aggregator", "value"), [("last", 120), ("sum", 1680), ("avg", 120), ("min", 120), ("max", 120), ("area", 6720)]
)
async def test_scalar_aggregators(api: DatadogApi, aggregator: str, value: float) -> None:
    found = columns(await post(api, "scalar", {"h": canary("trace.http.request.hits")}, [], aggregator))
    assert found == {"h": [value]}


async def test_a_percentile_of_a_window_is_that_of_all_of_it(api: DatadogApi, telemetry: Steady) -> None:
    telemetry.since = NOW - 20  # far less than a point of an hour's series
    window = {"from": int(NOW - 3600) * 1000}
    asked = {"q": canary("trace.http.request", "p99")}
    found = columns(await post(api, "scalar", asked, ["q"], "percentile", **window))
    assert found == {"q": [0.25]}
    assert columns(await post(api, "scalar", asked, ["q"], "last", **window)) == {"q": []}


@pytest.mark.parametrize(
    ("aggregator", "seconds"), [("p50", 0.25 * 50 / 99), ("p99", 0.25), ("avg", 0.125), ("max", 0.25 * 100 / 99)]
)
async def test_latencies_are_in_seconds(api: DatadogApi, aggregator: str, seconds: float) -> None:
    found = columns(await post(api, "scalar", {"q": canary("trace.http.request", aggregator)}, ["q * 1000", "q"]))
    assert found["q"] == [pytest.approx(seconds)]
    assert found["q * 1000"] == [pytest.approx(seconds * 1000)]


async def test_timeseries_puts_all_queries_into_the_same_buckets(api: DatadogApi, telemetry: Steady) -> None:
    telemetry.since = NOW - 31
    response = await post(api, "timeseries", RATE, ["errors / hits", "default_zero(errors)"], interval=10_000)
    attributes = response.json()["data"]["attributes"]
    assert [each["query_index"] for each in attributes["series"]] == [0, 1]
    assert {each % 10_000 for each in attributes["times"]} == {0}
    ratio, errors = attributes["values"]
    assert ratio[:2] == [None, None]
    assert ratio[-2:] == [pytest.approx(0.2)] * 2
    assert errors[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "sum:trace.http.request.hits{service:other}",
        "sum:trace.http.request.hits{service:checkout,env:prod}",
        "sum:trace.http.request.hits{*}",
        "sum:trace.http.request.unknown{service:checkout}",
        "sum:trace.http.request.hits{service:checkout} by {version}",
        "sum:trace.http.request.errors{service:checkout,kube_pod_label_rollouts_pod_template_hash:stable}",
        "p99:trace.http.request{service:checkout,kube_pod_label_rollouts_pod_template_hash:gone}",
    ],
)
async def test_what_nobody_reports_has_no_series(api: DatadogApi, text: str) -> None:
    assert (await query(api, text)).json()["series"] == []


@pytest.mark.parametrize(
    ("queries", "formulas", "aggregator", "complaint"),
    [
        ({"a": "nonsense"}, [], "last", "Error parsing query"),
        ({"a": "median:a.b{*}"}, [], "last", "aggregator 'median'"),
        ({"a": "sum:a.b{*}.fill(zero)"}, [], "last", ".fill(zero) is not emulated"),
        ({"a": "avg:trace.http.request.hits{service:checkout}"}, [], "last", "only sum is emulated"),
        ({"a": canary("trace.http.request.hits")}, ["a +"], "last", "cannot be read"),
        ({"a": canary("trace.http.request.hits")}, ["a / b"], "last", "unknown queries: b"),
        ({"a": canary("trace.http.request.hits")}, ["__import__('os')"], "last", "can be computed by Datadog only"),
        ({"a": canary("trace.http.request.hits")}, [], "percentile", "aggregator 'percentile' is not emulated"),
        ({"a": "sum:a.b{*}", "b": "sum:a.b{*} by {service}"}, [], "last", "different groupings"),
        ({}, [], "last", "data.attributes.queries"),
    ],
)
async def test_bad_questions_are_refused_with_a_reason(
    api: DatadogApi, queries: dict[str, str], formulas: list[str], aggregator: str, complaint: str
) -> None:
    response = await post(api, "scalar", queries, formulas, aggregator)
    assert response.status_code == 400
    assert complaint in response.json()["errors"][0]


async def test_windows_that_make_no_sense_are_refused(api: DatadogApi) -> None:
    backwards = await get(api, "/api/v1/query", query="sum:a.b{*}", **{"from": 10, "to": 5})
    endless = await query(api, "sum:trace.http.request.hits{service:checkout}.rollup(1)", 10_000)
    missing = await get(api, "/api/v1/query", query="sum:a.b{*}")
    assert [each.status_code for each in (backwards, endless, missing)] == [400, 400, 400]


# ------------------------------------------------------------------------------------------------------ pure functions


def test_a_query_may_be_spread_over_lines() -> None:
    text = "sum:trace.http.request.hits{service:checkout,\n   env : prod}\n by {a, b}.as_rate().rollup(sum, 60)\n"
    tags = (("service", "checkout"), ("env", "prod"))
    assert parse_query(text) == Query("sum", "trace.http.request.hits", tags, ("a", "b"), as_rate=True, rollup=60)


@given(st.text(alphabet="sumavgp9:{}.,*by() \n1_", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(QueryError):
        assert parse_query(text).metric


@given(
    start=st.integers(0, 10**10),
    length=st.integers(1, 10**6),
    age=st.floats(-10, 10**6),
    rollup=st.none() | st.integers(3600, 86_400),
)
def test_buckets_are_aligned_touch_the_window_and_never_show_the_future(
    start: int, length: int, age: float, rollup: int | None
) -> None:
    end, seen = start + length, start + length - age
    shown = frame(start, end, seen, 1.0, rollup)
    assert len(shown.buckets) <= max(17, length // 3600 + 2)
    for bucket in shown.buckets:
        assert bucket.start % shown.length == 0
        assert bucket.start < end
        assert bucket.end > start
        assert bucket.end <= min(end, seen)
        assert rollup or bucket.end - bucket.start == shown.length


@given(st.lists(st.none() | st.floats(-1e6, 1e6)), st.sampled_from(["last", "avg", "min", "max"]))
def test_a_scalar_lies_among_its_values(values: list[float | None], aggregator: str) -> None:
    present = [value for value in values if value is not None]
    result = aggregate(aggregator, values, 1.0)
    if not present:
        assert result is None
    else:
        assert result is not None
        assert min(present) - 1e-6 <= result <= max(present) + 1e-6
