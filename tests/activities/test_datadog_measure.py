"""The Datadog provider on the wire: batching, no data, refused keys, rate limits and whatever else a server does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.metrics.datadog.provider import DatadogProvider
from activities.secrets.store import NamedSecrets
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tidegate.analysis.reading import Reading
from tidegate.contract import ErrorType, MeasureRequest

NOW = 1_700_000_003.7
PATH = "secret/argo-rollouts/datadog"
KEYS = {"apiKey": "a" * 32, "appKey": "b" * 40}


def metric(name: str, **datadog: Any) -> dict[str, Any]:
    return {"name": name, "provider": {"datadog": {"apiVersion": "v2", **datadog}}}


RATE = metric("error-rate", formula="errors / hits", queries={"errors": "sum:e{*}", "hits": "sum:h{*}"})
P99 = metric("p99", query="p99:t{*}")


def columns(*values: Any, groups: list[Any] | None = None, names: list[str] | None = None) -> dict[str, Any]:
    numbers = [
        {"name": names[index] if names else f"q{index}", "type": "number", "values": value}
        for index, value in enumerate(values)
    ]
    group = [{"name": "pod", "type": "group", "values": groups}] if groups else []
    return {"data": {"attributes": {"columns": [*group, *numbers]}}}


def series(*points: Any, **more: Any) -> dict[str, Any]:
    return {"series": [{"pointlist": list(points), **more}]}


async def measure(server: Script, *metrics: dict[str, Any], secrets: MemorySecrets | None = None) -> list[Reading]:
    store = secrets or MemorySecrets({PATH: {**KEYS, "address": server.url}})
    async with http_client() as http:
        provider = DatadogProvider(NamedSecrets(store), http, environment={}, clock=lambda: NOW)
        request = MeasureRequest(namespace="payments", run="checkout-1", metrics=metrics)
        readings: list[Reading] = await run_activity(provider.measure, request)
    return readings


async def test_the_seed_is_one_request_with_its_queries_verbatim() -> None:
    file = Path(__file__).parents[2] / "examples" / "checkout" / "analysis-template.yaml"
    if not file.is_file():
        pytest.skip(f"the seed's template is not at {file}")
    text = file.read_text().replace("{{args.service-name}}", "checkout").replace("{{args.canary-hash}}", "5d8f7c")
    metrics = yaml.safe_load(text)["spec"]["metrics"]
    async with Script().then(200, columns([0.02], [2], [100], [0.25])) as server:
        rate, p99 = await measure(server, *metrics)
    [seen] = server.seen
    attributes = seen.json["data"]["attributes"]
    assert [each["query"] for each in attributes["queries"]] == [
        *metrics[0]["provider"]["datadog"]["queries"].values(),
        metrics[1]["provider"]["datadog"]["query"],
    ]
    assert [each["formula"] for each in attributes["formulas"]] == [
        "m0_errors / m0_hits",
        "m0_errors",
        "m0_hits",
        "m1_query",
    ]
    assert (rate.result, rate.value, p99.result) == (0.02, "0.02", 0.25)
    assert "errors / hits\nerrors: sum:trace" in rate.query


async def test_columns_are_found_by_name_when_datadog_names_them() -> None:
    names = ["m1_query", "m0_hits", "m0_errors", "m0_errors / m0_hits"]
    async with Script().then(200, columns([0.25], [100], [2], [0.02], names=names)) as server:
        rate, p99 = await measure(server, RATE, P99)
    assert (rate.result, p99.result) == (0.02, 0.25)


async def test_different_windows_and_groupings_are_different_requests() -> None:
    grouped = metric("by-pod", query="sum:h{*} by {pod}")
    async with Script().then(200, columns([1])) as server:
        await measure(server, P99, metric("long", query="q", interval="1h"), grouped)
    assert len(server.seen) == 3


@pytest.mark.parametrize("none", [[None], []])
async def test_no_errors_is_not_no_data(none: list[None]) -> None:
    async with Script().then(200, columns(none, none, [120])) as server:
        [reading] = await measure(server, RATE)
    assert (reading.result, reading.value, reading.no_data) == (0, "0", False)
    assert reading.notes == ("errors has no series while hits has data: taken as 0",)


@pytest.mark.parametrize("errors", [None, 3])
async def test_a_denominator_without_data_is_no_data(errors: int | None) -> None:
    async with Script().then(200, columns([None], [errors], [None])) as server:
        [reading] = await measure(server, RATE)
    assert (reading.result, reading.value, reading.no_data, reading.notes) == (None, "[]", True, ())


async def test_no_errors_in_one_group_is_not_no_data_there() -> None:
    answer = columns([0.5, None, None], [1, None, None], [2, 4, None], groups=[["a"], ["b"], ["c"]])
    grouped = metric("rate", formula="errors / hits", queries={"errors": "e by {pod}", "hits": "h by {pod}"})
    async with Script().then(200, answer) as server:
        [reading] = await measure(server, grouped)
    assert reading.result == [0.5, 0.0]
    assert reading.metadata["groups"] == '[{"name":"a","value":0.5},{"name":"b","value":0}]'


async def test_a_formula_that_only_datadog_computes_is_asked_alone_and_left_to_datadog() -> None:
    strange = metric("s", formula="top(a, 5 by x) / a", queries={"a": "qa"})
    async with Script().then(200, columns([None], [1])) as server:
        [reading, _] = await measure(server, strange, P99)
    assert reading.no_data
    formulas = [seen.json["data"]["attributes"]["formulas"] for seen in server.seen]
    assert [{"formula": "top(a, 5 by x) / a"}, {"formula": "a"}] in formulas


async def test_one_bad_query_does_not_spoil_its_neighbours() -> None:
    refused = {"errors": ["Rule 'metric' didn't match"]}

    async def judge(request: web.Request) -> web.Response:
        queries = (await request.json())["data"]["attributes"]["queries"]
        bad = any("!!" in query["query"] for query in queries)
        return web.json_response(refused if bad else columns([7]), status=400 if bad else 200)

    async with Script().then_do(judge) as server:
        good, bad = await measure(server, P99, metric("bad", query="!!"))
    assert (good.result, good.error) == (7, "")
    assert bad.error.startswith("received non 2xx response code: 400")
    assert len(server.seen) == 3


async def test_errors_inside_a_good_status_find_their_culprit_too() -> None:
    async with (
        Script()
        .then(200, {"data": {"errors": "boom"}})
        .then(200, columns([1]))
        .then(200, {"data": {"errors": "boom"}}) as server
    ):
        readings = await measure(server, P99, metric("other", query="q"))
    assert sorted((reading.error, reading.result or 0) for reading in readings) == [
        ("", 1),
        ("There were errors in your query: boom", 0),
    ]


async def test_v1_takes_the_last_value_and_passes_over_nulls() -> None:
    async with Script().then(200, series([1, 5], [2, 6], [3, None])) as server:
        [reading] = await measure(server, metric("v1", apiVersion="v1", query="q"))
    assert (reading.result, reading.notes) == (6, ("the newest point is null: the last one with a value was taken",))


async def test_v1_of_nulls_only_is_no_data() -> None:
    async with Script().then(200, series([1, None])) as server:
        [reading] = await measure(server, metric("v1", apiVersion="v1", query="q"))
    assert (reading.result, reading.no_data, reading.error) == (None, True, "")


async def test_v1_leaves_out_a_bucket_that_is_still_filling() -> None:
    full, filling = (int(NOW) - 75) * 1000, (int(NOW) - 15) * 1000
    async with Script().then(200, series([full, 60], [filling, 14], interval=60)) as server:
        [reading] = await measure(server, metric("v1", apiVersion="v1", query="q.rollup(sum, 60)"))
    assert reading.result == 60
    assert "still filling" in reading.notes[0]


async def test_v2_ends_the_window_where_an_explicit_rollup_begins_its_unfinished_bucket() -> None:
    async with Script().then(200, columns([1])) as server:
        await measure(server, metric("r", query="sum:h{*}.as_count().rollup(sum, 60)", interval="5m"))
        await measure(server, metric("r", query="sum:h{*}.rollup(sum, 60)", aggregator="sum"))
    last, whole = (seen.json["data"]["attributes"] for seen in server.seen)
    assert last["to"] == 1_699_999_980_000
    assert last["to"] - last["from"] == 300_000
    assert whole["to"] == 1_700_000_003_000


@pytest.mark.parametrize("keys", [("api-key", "app-key"), ("apiKey", "appKey")])
async def test_keys_are_read_in_both_spellings(keys: tuple[str, str]) -> None:
    async with Script().then(200, columns([1])) as server:
        secrets = MemorySecrets({PATH: {**dict(zip(keys, ("k1", "k2"), strict=True)), "address": server.url}})
        await measure(server, P99, secrets=secrets)
    sent = server.seen[0].headers
    assert (sent["DD-API-KEY"], sent["DD-APPLICATION-KEY"]) == ("k1", "k2")


async def test_a_rotated_key_is_read_again_once() -> None:
    async def guard(request: web.Request) -> web.Response:
        if request.headers["DD-API-KEY"] != "new":
            return web.json_response({"errors": ["Forbidden"]}, status=403)
        return web.json_response(columns([1]))

    async with Script().then_do(guard) as server:
        secrets = MemorySecrets(
            {PATH: {"api-key": "old", "app-key": "k", "address": server.url}},
            after={PATH: {"api-key": "new", "app-key": "k", "address": server.url}},
        )
        [first] = await measure(server, P99, secrets=secrets)
        [second] = await measure(server, P99, secrets=secrets)
    assert (first.result, second.result) == (1, 1)
    assert secrets.refreshed == [PATH]
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [401, 403])
async def test_keys_that_stay_wrong_are_an_error_that_does_not_show_them(status: int) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(status=status, text=f"no access with {request.headers['DD-API-KEY']}")

    async with Script().then_do(echo) as server:
        [reading] = await measure(server, P99)
    assert reading.error == f"received authentication error response code: {status} no access with *****"
    assert len(server.seen) == 1


async def test_a_key_that_no_header_can_hold_is_not_shown_either() -> None:
    async with Script().then(200, columns([1])) as server:
        secrets = MemorySecrets({PATH: {"apiKey": "sec\nret", "appKey": "x", "address": server.url}})
        [reading] = await measure(server, P99, secrets=secrets)
    assert "cannot be sent" in reading.error
    assert "sec" not in reading.error


async def test_a_rate_limit_is_waited_out_and_is_no_reading() -> None:
    beats: list[Any] = []
    async with Script().then(429, {"errors": ["Rate limit"]}, X_RateLimit_Reset="17") as server, http_client() as http:
        secrets = MemorySecrets({PATH: {**KEYS, "address": server.url}})
        provider = DatadogProvider(NamedSecrets(secrets), http, environment={}, clock=lambda: NOW)
        request = MeasureRequest(namespace="n", run="r", metrics=(P99, RATE))
        with pytest.raises(ApplicationError) as caught:
            await run_activity(provider.measure, request, heartbeats=beats)
    error = caught.value
    assert (error.type, error.next_retry_delay) == (ErrorType.RATE_LIMITED, timedelta(seconds=17))
    assert error.category is ApplicationErrorCategory.BENIGN
    assert not error.non_retryable
    assert beats == [(datetime.fromtimestamp(NOW, UTC).isoformat(),)]


async def test_the_next_attempt_says_how_long_the_limit_held_it_up() -> None:
    async with Script().then(200, columns([1])) as server, http_client() as http:
        secrets = MemorySecrets({PATH: {**KEYS, "address": server.url}})
        provider = DatadogProvider(NamedSecrets(secrets), http, environment={}, clock=lambda: NOW)
        environment = ActivityEnvironment()
        since = datetime.fromtimestamp(NOW - 20, UTC).isoformat()
        environment.info = replace(environment.info, heartbeat_details=[since])
        [reading] = await environment.run(provider.measure, MeasureRequest(namespace="n", run="r", metrics=(P99,)))
    assert reading.rate_limited_seconds == pytest.approx(20)


async def test_server_failures_are_errors_of_every_metric() -> None:
    async with Script().then(503, b"maintenance") as server:
        readings = await measure(server, RATE, P99)
    assert {reading.error for reading in readings} == {"received non 2xx response code: 503 maintenance"}
    assert len(server.seen) == 1


async def test_a_slow_answer_is_an_error() -> None:
    async with Script().then_drip() as server:
        [reading] = await measure(server, metric("slow", query="q", requestTimeout="50ms"))
    assert reading.error == "no complete answer within 0.05 s"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", "Could not parse JSON body"),
        (b"[1, 2", "Could not parse JSON body"),
        (b'{"data":{"attributes":{"columns":' + b"[" * 500_000, "Could not parse JSON body"),
        (b'{"data": {"errors": ["a list"]}}', "Could not parse JSON body: data.errors"),
        (columns(["1"]), r'could not parse numeric value "\"1\"" in column "q0"'),
        (
            columns([True]),
            'could not parse numeric value "true" in column "q0": json: cannot unmarshal bool into Go value',
        ),
        (b'{"data":{"attributes":{"columns":[{"values":[1e999]}]}}}', "could not parse numeric value"),
        (b'{"data":{"attributes":{"columns":[{"values":[NaN]}]}}}', "could not parse numeric value"),
        (b" " * (1024 * 1024 + 1), "the answer is larger than 1048576 bytes"),
    ],
    ids=["html", "cut", "deep", "error-list", "text", "boolean", "infinite", "nan", "huge"],
)
async def test_garbage_is_an_error(body: Any, error: str) -> None:
    async with Script().then(200, body) as server:
        [reading] = await measure(server, P99)
    assert reading.error.startswith(error)
    assert (reading.result, reading.no_data) == (None, False)


async def test_redirects_are_refused_so_that_keys_stay_where_they_belong() -> None:
    async with Script().then(200, columns([1])) as other, Script().then(307, b"", Location=other.url) as server:
        [reading] = await measure(server, P99)
    assert reading.error == "received non 2xx response code: 307 "
    assert other.seen == []


async def test_nobody_at_the_address_is_an_error() -> None:
    async with Script().then(200, b"") as gone:
        secrets = MemorySecrets({PATH: {**KEYS, "address": gone.url}})
    [reading] = await measure(gone, P99, secrets=secrets)
    assert "ConnectError" in reading.error


async def test_metrics_that_cannot_be_measured_do_not_stop_the_others() -> None:
    async with Script().then(200, columns([1])) as server:
        readings = await measure(
            server,
            metric("typo", query="q", intervall="5m"),
            metric("x", query="q", interval="5x"),
            {"name": "other", "provider": {"web": {}}},
            P99,
        )
    assert [reading.metric for reading in readings] == ["typo", "x", "other", "p99"]
    assert "provider.datadog.intervall" in readings[0].error
    assert readings[1].error == 'time: unknown unit "x" in duration "5x"'
    assert "provider.datadog is missing" in readings[2].error
    assert readings[3].result == 1


# ------------------------------------------------------------------------------------------- arguments from Secrets


TENANT = {"tenant": {"name": "team", "key": "id"}}
SCOPED = metric("scoped", query="sum:h{tenant:{{args.tenant}}}")


async def measure_scoped(
    server: Script, secret: dict[str, str], references: Any = None, scoped: dict[str, Any] = SCOPED
) -> Reading:
    store = MemorySecrets({PATH: {**KEYS, "address": server.url}, "secret/namespaces/payments/team": secret})
    async with http_client() as http:
        request = MeasureRequest(
            namespace="payments", run="r", metrics=(scoped,), secret_args=TENANT if references is None else references
        )
        provider = DatadogProvider(NamedSecrets(store), http, environment={}, clock=lambda: NOW)
        [reading] = await run_activity(provider.measure, request)
    return reading


async def test_an_argument_from_a_secret_is_sent_and_not_kept() -> None:
    async with Script().then(400, b"tenant tenant-4711 is unknown") as server:
        reading = await measure_scoped(server, {"id": "tenant-4711"})
    sent = server.seen[0].json["data"]["attributes"]["queries"][0]["query"]
    assert sent == "sum:h{tenant:tenant-4711}"
    assert reading.query == "sum:h{tenant:*****}"
    assert reading.error == "received non 2xx response code: 400 tenant ***** is unknown"


@pytest.mark.parametrize(
    ("secret", "references", "error"),
    [
        ({"other": "x"}, None, "key 'id' does not exist in secret 'team'"),
        ({}, {"tenant": {"name": "absent", "key": "id"}}, "secret/namespaces/payments/absent is not there"),
        ({}, {"tenant": {"name": "../argo-rollouts/datadog", "key": "apiKey"}}, "is no name"),
        ({"id": "x"}, {"another": {"name": "team", "key": "id"}}, "failed to resolve {{args.tenant}}"),
    ],
)
async def test_an_argument_without_a_value_is_an_error_that_no_retry_helps(
    secret: dict[str, str], references: Any, error: str
) -> None:
    async with Script().then(200, columns([1])) as server:
        reading = await measure_scoped(server, secret, references)
    assert reading.error.startswith("Unable to resolve metric arguments: ")
    assert error in reading.error
    assert reading.unresolved
    assert server.seen == []


async def test_a_store_that_is_away_is_an_error_that_may_pass() -> None:
    class Away(MemorySecrets):
        async def read(self, path: str) -> Mapping[str, str]:
            raise ApplicationError("Vault: sealed", type=ErrorType.UNAVAILABLE)

    async with http_client() as http:
        request = MeasureRequest(namespace="payments", run="r", metrics=(SCOPED,), secret_args=TENANT)
        [reading] = await run_activity(DatadogProvider(NamedSecrets(Away()), http, environment={}).measure, request)
    assert (reading.error, reading.unresolved) == ("Unable to resolve metric arguments: Vault: sealed", False)


async def test_without_secrets_what_looks_like_a_placeholder_is_text() -> None:
    async with Script().then(200, columns([1])) as server:
        [reading] = await measure(server, SCOPED)
    assert reading.query == "sum:h{tenant:{{args.tenant}}}"


LIMIT = {"limit": {"name": "team", "key": "limit"}}


@pytest.mark.parametrize(
    ("condition", "phase", "reason"),
    [
        ({"successCondition": "result < {{args.limit}}"}, "Successful", "7 meets success `result < {{args.limit}}`"),
        ({"failureCondition": "result < {{args.limit}}"}, "Failed", "7 meets failure `result < {{args.limit}}`"),
        (
            {"successCondition": "result <> {{args.limit}}"},
            "Error",
            'could not evaluate successCondition "result <> {{args.limit}}"',
        ),
    ],
)
async def test_a_condition_with_a_secret_is_judged_here(condition: dict[str, str], phase: str, reason: str) -> None:
    secret = "4711471147114711"
    async with Script().then(200, columns([7])) as server:
        judged = await measure_scoped(server, {"limit": secret}, LIMIT, {**metric("m", query="q"), **condition})
    assert judged.verdict is not None
    assert judged.verdict.phase == phase
    assert judged.verdict.reason.startswith(reason)
    assert secret not in judged.model_dump_json()


async def test_a_condition_without_a_secret_is_left_to_the_run() -> None:
    async with Script().then(200, columns([7])) as server:
        reading = await measure_scoped(server, {"id": "x"}, None, {**SCOPED, "successCondition": "result < 9"})
    assert (reading.result, reading.verdict) == (7, None)


async def test_a_secret_ref_leads_to_no_other_secret() -> None:
    async with Script().then(200, columns([1])) as server:
        [reading] = await measure(server, metric("m", query="q", secretRef={"name": "../tidegate/servicenow"}))
    assert "is no name" in reading.error
    assert server.seen == []
