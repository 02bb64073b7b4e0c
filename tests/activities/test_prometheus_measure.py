"""The Prometheus provider on the wire: values, no data, what the API reports, and whatever else a server does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from temporalio.exceptions import ApplicationError

from activities.metrics.prometheus.provider import PrometheusProvider, PrometheusSettings
from activities.secrets.store import NamedSecrets
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tests.activities.prometheus_api import NOW, data, form, measure, metric, vector
from tidegate.analysis.reading import Reading
from tidegate.contract import ErrorType, MeasureRequest

# --------------------------------------------------------------------------------------------------------------- values


MATRIX = data("matrix", [{"metric": {}, "values": [[1, "11"], [2, "12"]]}, None, {"values": [[1, "13"], [2, "14"]]}])


@pytest.mark.parametrize(
    ("answer", "result", "value"),
    [
        (data("scalar", [NOW, "10"]), 10.0, "10"),
        (data("scalar", [NOW, "1e-07"]), 1e-7, "0.0000001"),
        (data("scalar", [NOW, "1.5e+06"]), 1.5e6, "1500000"),
        (data("scalar", [NOW, "+Inf"]), float("inf"), "+Inf"),
        (data("scalar", [NOW, "-Inf"]), float("-inf"), "-Inf"),
        (vector("0.1", "0.2"), [0.1, 0.2], "[0.1,0.2]"),
        (vector("7"), [7.0], "[7]"),
        (MATRIX, [11.0, 12.0, 13.0, 14.0], "[11,12,13,14]"),
    ],
)
async def test_a_value_is_a_number_or_a_list_of_numbers(answer: Any, result: Any, value: str) -> None:
    async with Script().then(200, answer) as server:
        [reading] = await measure(server, metric("m"))
    assert (reading.result, reading.value, reading.no_data, reading.error) == (result, value, False, "")


@pytest.mark.parametrize(("answer", "value"), [(data("scalar", [NOW, "NaN"]), "NaN"), (vector("NaN"), "[NaN]")])
async def test_what_is_not_a_number_is_a_value(answer: Any, value: str) -> None:
    async with Script().then(200, answer) as server:
        [reading] = await measure(server, metric("m"))
    assert (reading.value, reading.no_data, reading.error) == (value, False, "")
    # It is still there on the other side of the wire.
    [number] = Reading.model_validate_json(reading.model_dump_json()).result if value == "[NaN]" else [reading.result]
    assert number != number


@pytest.mark.parametrize(
    "answer", [data("vector", []), data("vector", None), data("matrix", []), data("matrix", [{"metric": {}}])]
)
async def test_no_series_is_no_data_that_a_condition_may_look_at(answer: Any) -> None:
    async with Script().then(200, answer) as server:
        [reading] = await measure(server, metric("m"))
    assert (reading.result, reading.value, reading.no_data, reading.error) == ([], "[]", True, "")


async def test_warnings_are_kept_as_argo_keeps_them() -> None:
    answer = data("scalar", [NOW, "10"], warnings=["one store is away", "partial"], infos=["by the way"])
    async with Script().then(200, answer) as server:
        [reading] = await measure(server, metric("m"))
    assert reading.metadata == {"warnings": '"one store is away", "partial"'}
    assert reading.notes == ('Prometheus warned: "one store is away", "partial"',)
    assert reading.result == 10


@pytest.mark.parametrize(
    "answer",
    [
        data("vector", [{"metric": {}, "histogram": [NOW, {"count": "3", "sum": "2"}]}]),
        data("matrix", [{"metric": {}, "histograms": [[NOW, {"count": "3", "sum": "2"}]]}]),
    ],
)
async def test_a_native_histogram_is_not_read_as_zero(answer: Any) -> None:
    async with Script().then(200, answer) as server:
        [reading] = await measure(server, metric("m"))
    assert reading.error.startswith("a native histogram has no value: ask for one, such as histogram_quantile")


async def test_there_is_a_limit_to_what_is_kept() -> None:
    async with Script().then(200, vector(*["1"] * 5001)).then(200, vector(*["1"] * 5000)) as server:
        [reading] = await measure(server, metric("m"))
        [fits] = await measure(server, metric("m"))
    assert reading.error.startswith("5001 samples are more than 5000: let the query aggregate")
    assert fits.error == ""


# -------------------------------------------------------------------------------------------------------------- request


async def test_an_instant_is_asked_for_at_the_moment_of_the_measurement() -> None:
    async with Script().then(200, vector("1")) as server:
        [reading] = await measure(server, metric("m", "sum(rate(errors[5m]))\n", headers=[{"key": "a", "value": "b"}]))
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/api/v1/query")
    assert form(seen) == {"query": "sum(rate(errors[5m]))\n", "time": "1700000003.25"}
    assert seen.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert seen.headers["A"] == "b"
    assert "Authorization" not in seen.headers
    assert reading.query == "sum(rate(errors[5m]))"


async def test_a_range_is_asked_for_as_its_expressions_say() -> None:
    asked = {"start": 'now() - duration("5m")', "end": "now()", "step": "1m30s"}
    day = {
        "start": 'date("2023-08-14", "2006-01-02", "UTC") - duration("1h")',
        "end": 'date("2023-08-14")',
        "step": "1m",
    }
    async with Script().then(200, MATRIX) as server:
        [reading, _] = await measure(server, metric("m", rangeQuery=asked), metric("day", rangeQuery=day))
    assert {seen.path for seen in server.seen} == {"/api/v1/query_range"}
    forms = sorted(map(form, server.seen), key=lambda each: each["step"])
    assert forms == [
        {"query": "q", "start": "1691967600", "end": "1691971200", "step": "60"},
        {"query": "q", "start": "1699999703.25", "end": "1700000003.25", "step": "90"},
    ]
    assert reading.query == "q\nstart: 1699999703.25\nend: 1700000003.25\nstep: 90"
    assert reading.value == "[11,12,13,14]"


@pytest.mark.parametrize("status", [403, 405, 501])
async def test_a_server_that_takes_no_form_is_asked_in_the_address(status: int) -> None:
    async with Script().then(status, b"GET only").then(200, vector("1")) as server:
        [reading] = await measure(server, metric("m", 'a{b="c d"}', address=f"{server.url}/prom/?dedup=true"))
    first, second = server.seen
    assert (first.method, first.path, first.query) == ("POST", "/prom/api/v1/query", {"dedup": "true"})
    assert (second.method, second.path, second.body) == ("GET", "/prom/api/v1/query", b"")
    assert second.query == {"dedup": "true", "query": 'a{b="c d"}', "time": "1700000003.25"}
    assert "Content-Type" not in second.headers
    assert reading.result == [1]


async def test_the_address_of_the_metric_comes_before_the_environment_and_that_before_the_settings() -> None:
    async with Script().then(200, vector("1")) as server, http_client() as http:
        for manifest, environment, setting in (
            (server.url, "http://127.0.0.1:1", "http://127.0.0.1:2"),
            ("", server.url + "/", "http://127.0.0.1:2"),
            ("", "", server.url),
        ):
            provider = PrometheusProvider(
                NamedSecrets(MemorySecrets()),
                http,
                PrometheusSettings(address=setting),
                environment={"ARGO_ROLLOUTS_PROMETHEUS_ADDRESS": environment},
            )
            asked = MeasureRequest(namespace="n", run="r", metrics=(metric("m", address=manifest),))
            [reading] = await run_activity(provider.measure, asked)
            assert reading.result == [1]
        provider = PrometheusProvider(NamedSecrets(MemorySecrets()), http, environment={})
        [reading] = await run_activity(provider.measure, MeasureRequest(namespace="n", run="r", metrics=(metric("m"),)))
    assert reading.error == "prometheus address is not configured"
    assert len(server.seen) == 3


async def test_all_that_is_due_is_asked_for_at_once_and_fails_alone() -> None:
    arrived, everyone = [0], asyncio.Event()

    async def together(request: web.Request) -> web.Response:
        query = parse_qs((await request.read()).decode())["query"][0]
        arrived[0] += 1
        if arrived[0] == 3:
            everyone.set()
        # Nobody is answered before all have asked.
        await everyone.wait()
        return web.json_response(vector(query)) if query != "2" else web.Response(status=500, text="boom")

    async with Script().then_do(together) as server:
        readings = await measure(
            server,
            metric("one", "1"),
            metric("typo", "1", qurey="x"),
            metric("two", "2"),
            {"name": "other", "provider": {"web": {}}},
            metric("three", "3"),
        )
    assert [(reading.metric, reading.result) for reading in readings] == [
        ("one", [1]),
        ("typo", None),
        ("two", None),
        ("other", None),
        ("three", [3]),
    ]
    assert "provider.prometheus.qurey" in readings[1].error
    assert readings[2].error == "server_error: server error: 500: boom"
    assert "provider.prometheus is missing" in readings[3].error


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"address": ":invalid::url"}, "prometheus address is not is url format"),
        ({"address": "prometheus:9090"}, "prometheus address is not is url format"),
        ({"timeout": -20}, "prometheus timeout should not be negative"),
        ({"timeout": 0}, "prometheus timeout 0 leaves no time for an answer"),
        ({"timeout": "30"}, "provider.prometheus.timeout: Input should be a valid integer"),
        ({"query": " "}, "prometheus query is empty"),
        ({"caCert": "no certificate"}, "failed to parse prometheus caCert"),
        ({"caCert": "kein Zertifikat für Prometheus"}, "failed to parse prometheus caCert"),
        ({"authentication": {"sigv4": {"region": "r"}}}, "not supported by Tidegate: authentication.sigv4"),
        ({"authentication": {"google": {}}}, "not supported by Tidegate: authentication.google"),
        (
            {"authentication": {"oauth2": {"tokenUrl": "http://x", "clientId": "i"}}},
            "missing mandatory parameter in metric for OAuth2 setup",
        ),
        (
            {"authentication": {"basicAuth": {"username": "u"}}},
            "missing mandatory parameter in metric for basic auth setup: password",
        ),
        (
            {"rangeQuery": {"start": 'now() - duration("??")', "end": "now()", "step": "1m"}},
            'failed to parse rangeQuery.start as time: time: invalid duration "??"',
        ),
        (
            {"rangeQuery": {"start": "now()", "end": "1 + 1", "step": "1m"}},
            "failed to parse rangeQuery.end as time: expected time.Time, but got int",
        ),
        (
            {"rangeQuery": {"start": "now()", "end": "now()", "step": "??"}},
            'failed to parse rangeQuery.step as duration: time: invalid duration "??"',
        ),
    ],
)
async def test_settings_that_cannot_be_measured_with_ask_nobody(settings: dict[str, Any], error: str) -> None:
    async with Script().then(200, vector("1")) as server:
        [reading] = await measure(server, {"name": "m", "provider": {"prometheus": {"query": "q", **settings}}})
    assert reading.error.startswith(error)
    assert server.seen == []


# ------------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"status": "error", "errorType": "bad_data", "error": "1:5: parse error"}, "bad_data: 1:5: parse error"),
        (422, {"status": "error", "errorType": "execution", "error": "too many"}, "execution: too many"),
        (400, {"status": "error"}, "client_error: client error: 400"),
        (400, {"status": "success"}, "bad_response: inconsistent body for response code"),
        (400, b"<html>", "client_error: client error: 400: <html>"),
        (401, b"who\n are you", "client_error: client error: 401: who are you"),
        (404, b"", "client_error: client error: 404"),
        (500, {"status": "error", "errorType": "internal", "error": "x"}, "server_error: server error: 500: {"),
        (503, b"x" * 5000, f"server_error: server error: 503: {'x' * 200}"),
        (200, {"status": "error", "errorType": "timeout", "error": "query timed out"}, "timeout: query timed out"),
        (200, {"status": "success"}, "Prometheus metric type not supported"),
        (200, {"status": "success", "data": None}, "Prometheus metric type not supported"),
        (200, data("string", [NOW, "a"]), 'bad_response: unexpected value type "string"'),
    ],
)
async def test_what_the_api_reports_is_an_error(status: int, body: Any, error: str) -> None:
    async with Script().then(status, body) as server:
        [reading] = await measure(server, metric("m"))
    assert reading.error.startswith(error)
    assert len(reading.error) <= len(error) + 80
    assert (reading.result, reading.no_data, reading.query) == (None, False, "q")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "bad_response: "),
        (b"<html>", "bad_response: "),
        (b'{"status": "success", "data": {"resultType": "vec', "bad_response: "),
        (b'{"data":' + b"[" * 500_000, "bad_response: "),
        (b"[]", "bad_response: "),
        (data("vector", [{"value": [NOW, 1.5]}]), "bad_response: data.vector.result.0.value.1"),
        (data("vector", [{"value": [NOW]}]), "bad_response: data.vector.result.0.value"),
        (data("vector", [{"value": [NOW, "1_0x"]}]), 'bad_response: parsing "1_0x": invalid syntax'),
        (data("vector", [{"value": [NOW, "9" * 65]}]), "bad_response: data.vector.result.0.value.1"),
        (data("vector", [{"metric": {}}]), "bad_response: a sample has no value"),
        (data("vector", {"value": [NOW, "1"]}), "bad_response: data.vector.result"),
        (data("scalar", None), "bad_response: data.scalar.result"),
        (data("x" * 5000, None), 'bad_response: unexpected value type "xxx'),
        (b" " * (1024 * 1024 + 1), "the answer is larger than 1048576 bytes"),
    ],
    ids=str,
)
async def test_garbage_is_an_error(body: Any, error: str) -> None:
    async with Script().then(200, body) as server:
        [reading] = await measure(server, metric("m"))
    assert error in reading.error
    assert (reading.result, reading.no_data) == (None, False)
    assert len(reading.error) < 300


async def test_a_slow_answer_is_an_error() -> None:
    async with Script().then_drip() as server:
        [reading] = await measure(server, metric("slow", timeout=1))
        assert reading.error == f'Post "{server.url}/api/v1/query": no complete answer within 1 s'


async def test_nobody_at_the_address_is_an_error() -> None:
    async with Script() as gone, Script() as server:
        address = gone.url
        await gone.__aexit__()
        [reading] = await measure(server, metric("m", address=address))
    assert reading.error.startswith(f'Post "{address}/api/v1/query": ConnectError')


async def test_an_address_that_leads_nowhere_spoils_its_own_metric_only() -> None:
    async with Script().then(200, vector("1")) as server:
        nowhere, good = await measure(server, metric("m", address="http://127.0.0.1:65536"), metric("good"))
    assert nowhere.error.endswith("there is no port 65536")
    assert good.result == [1]


async def test_redirects_are_refused_so_that_credentials_stay_where_they_belong() -> None:
    location = "https://user:pass@elsewhere.example/prom?token=t#f"
    async with Script().then(307, b"", Location=location) as server:
        [reading] = await measure(server, metric("m", headers=[{"key": "Authorization", "value": "Bearer s"}]))
    assert reading.error == (
        "bad_response: bad response code 307: redirects are not followed, as credentials would go with them: "
        "let address be where it leads, https://elsewhere.example/prom"
    )
    assert len(server.seen) == 1


@pytest.mark.parametrize("location", ["http://[", "\x00"])
async def test_a_redirect_to_nowhere_is_refused_too(location: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location} if location.isprintable() else {})

    async with Script().then_do(answer) as server:
        [reading] = await measure(server, metric("m"))
    assert reading.error.startswith("bad_response: bad response code 302: redirects are not followed")


async def test_the_longest_of_several_rate_limits_is_waited_out() -> None:
    async def limited(request: web.Request) -> web.Response:
        query = parse_qs((await request.read()).decode())["query"][0]
        return web.json_response({}, status=429, headers={"Retry-After": query}) if query != "0" else web.Response()

    async with Script().then_do(limited) as server:
        with pytest.raises(ApplicationError) as caught:
            await measure(server, metric("a", "17"), metric("b", "40"), metric("c", "0"))
    assert (caught.value.type, caught.value.next_retry_delay) == (ErrorType.RATE_LIMITED, timedelta(seconds=40))
