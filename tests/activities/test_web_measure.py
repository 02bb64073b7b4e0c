"""The web provider on the wire: JSON and paths into it, what is sent, and whatever else a server does."""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from temporalio.exceptions import ApplicationError

from activities.metrics.web.provider import WebProvider
from activities.secrets.store import NamedSecrets
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity, self_signed
from tests.unit.analysis.conditions.outcome import outcome
from tidegate.analysis.reading import Reading
from tidegate.contract import ErrorType, MeasureRequest

NOW = 1_700_000_003.25
DOCUMENT = {"data": {"ok": True, "ratio": 0.034, "hits": 12, "last": None, "pods": [{"n": 1}, {"n": 2}], "none": []}}


def metric(server: Script, name: str = "m", **settings: Any) -> dict[str, Any]:
    return {"name": name, "provider": {"web": {"url": f"{server.url}/check?app=checkout", **settings}}}


async def measure(*metrics: dict[str, Any], **request: Any) -> list[Reading]:
    async with http_client() as http:
        store = MemorySecrets({"secret/namespaces/payments/team": {"token": "tenant-4711"}})
        provider = WebProvider(NamedSecrets(store), http, clock=lambda: NOW)
        asked = MeasureRequest(namespace="payments", run="checkout-1", metrics=metrics, **request)
        readings: list[Reading] = await run_activity(provider.measure, asked)
    return readings


@pytest.mark.parametrize(
    ("path", "result", "value"),
    [
        ("{$.data.ratio}", 0.034, "0.034"),
        ("{.data.hits}", 12.0, "12"),
        ("{$.data.ok}", True, "true"),
        ("{$.data.pods[1].n}", 2.0, "2"),
        ("{$.data.pods[*].n}", 1.0, "1"),
        ("{$.data.pods}", [{"n": 1.0}, {"n": 2.0}], '[{"n":1},{"n":2}]'),
        ("{$.data.none}", [], "[]"),
    ],
)
async def test_a_path_leads_to_the_value(path: str, result: Any, value: str) -> None:
    async with Script().then(200, DOCUMENT) as server:
        [reading] = await measure(metric(server, jsonPath=path))
    assert (reading.result, reading.value, reading.no_data, reading.error) == (result, value, False, "")
    assert type(reading.result) is type(result)


async def test_without_a_path_the_whole_document_is_the_value() -> None:
    async with Script().then(200, {"b": 1, "a": [0.00001, "<x>"]}) as server:
        [reading] = await measure(metric(server))
    assert reading.result == {"b": 1.0, "a": [0.00001, "<x>"]}
    assert reading.value == r'{"a":[0.00001,"\u003cx\u003e"],"b":1}'


async def test_null_is_no_data() -> None:
    async with Script().then(200, DOCUMENT) as server:
        [reading] = await measure(metric(server, jsonPath="{$.data.last}"))
    assert (reading.result, reading.value, reading.no_data, reading.error) == (None, "null", True, "")


async def test_a_number_is_a_float_on_the_other_side_of_the_wire_too() -> None:
    async with Script().then(200, b"3") as server:
        [reading] = await measure(metric(server))
    assert type(Reading.model_validate_json(reading.model_dump_json()).result) is float


@pytest.mark.parametrize(
    ("path", "condition", "holds"),
    [
        ("{$.data.hits}", "result == 12 && asInt(result) in 10..20 && asFloat(result) > 11.5", True),
        ("{$.data.hits}", "result % 2 == 0", None),  # a float has no remainder
        ("{$.data}", "result.ok && result.ratio < 0.05 && result.pods[1].n == 2", True),
        ("{$.data.pods}", "all(result, #.n >= 1) && len(result) == 2", True),
        ("{$.data.last}", "result == nil && default(result, 7) == 7", True),
        ("{$.data.ok}", "!result", False),
    ],
)
async def test_conditions_look_at_the_value_as_in_go(path: str, condition: str, holds: bool | None) -> None:
    async with Script().then(200, DOCUMENT) as server:
        [reading] = await measure(metric(server, jsonPath=path))
    assert outcome(condition, Reading.model_validate_json(reading.model_dump_json()).result) is holds


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("{$.data.nothing}", "Could not find JSONPath in body: nothing is not found"),
        ("{$.data.pods[7]}", "Could not find JSONPath in body: array index out of bounds: index 7, length 2"),
        ("{$.data.none[*]}", "result of web metric produced no value"),
        ("$.data.ok", "jsonPath: unexpected at column 1"),
    ],
)
async def test_a_path_that_leads_nowhere_is_an_error(path: str, error: str) -> None:
    async with Script().then(200, DOCUMENT) as server:
        [reading] = await measure(metric(server, jsonPath=path))
    assert reading.error.startswith(error)


# -------------------------------------------------------------------------------------------------------------- request


async def test_what_is_asked_is_sent_and_shown() -> None:
    body = {"app": "checkout", "window": 5}
    async with Script().then(200, b"1") as server:
        url = server.url
        [plain, posted, put] = await measure(
            metric(server, "plain", headers=[{"key": "x-team", "value": "payments"}]),
            metric(server, "posted", method="POST", jsonBody=body, jsonPath="{$}"),
            metric(server, "put", method="PUT", body="a=b"),
        )
    seen = {each.method: each for each in server.seen}
    assert (seen["GET"].path, seen["GET"].query["app"], seen["GET"].headers["X-Team"]) == (
        "/check",
        "checkout",
        "payments",
    )
    assert (seen["POST"].json, seen["POST"].headers["Content-Type"]) == (body, "application/json")
    assert seen["PUT"].body == b"a=b"
    assert plain.query == f"GET {url}/check?app=checkout"
    assert posted.query.splitlines()[1:] == ['{"app":"checkout","window":5}', "jsonPath: {$}"]
    assert put.query.splitlines()[1:] == ["a=b"]


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"url": ""}, "url is required"),
        ({"url": "ftp://x/"}, "url does not begin with http:// or https:// and a host"),
        ({"url": "http://checks:port/"}, "url is no URL"),
        ({"method": "DELETE"}, "'DELETE' is none of GET, POST, PUT"),
        ({"body": "a"}, "Body/JSONBody can only be used with POST or PUT WebMetric Method types"),
        (
            {"method": "PUT", "body": "a", "jsonBody": {}},
            "use either Body or JSONBody; both cannot exists for WebMetric payload",
        ),
        ({"timeoutSeconds": "5"}, "provider.web.timeoutSeconds: "),
        ({"authentication": {"sigv4": {"region": "x"}}}, "not supported by Tidegate: authentication.sigv4"),
    ],
)
async def test_what_cannot_be_asked_is_not_sent(settings: dict[str, Any], error: str) -> None:
    async with Script().then(200, b"1") as server:
        [reading, fine] = await measure(metric(server, **settings), metric(server, "fine"))
    assert reading.error.startswith(error)
    assert fine.result == 1.0
    assert len(server.seen) == 1


ACCOUNT = {"basicAuth": {"username": "ana", "password": "pw4711"}}


@pytest.mark.parametrize(
    ("user", "settings", "sent"),
    [
        ("ana:pw4711@", {}, "Basic YW5hOnB3NDcxMQ=="),
        ("", {"authentication": ACCOUNT}, "Basic YW5hOnB3NDcxMQ=="),
        ("", {"authentication": ACCOUNT, "headers": [{"key": "authorization", "value": "Own"}]}, "Own"),
        ("", {}, None),
    ],
)
async def test_a_user_is_sent_and_not_shown(user: str, settings: dict[str, Any], sent: str | None) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response([request.headers.get("Authorization", "nobody")])

    async with Script().then_do(echo) as server:
        [reading] = await measure(metric(server, url=server.url.replace("http://", f"http://{user}"), **settings))
    assert server.seen[0].headers.get("Authorization") == sent
    assert "pw4711" not in reading.model_dump_json()
    if sent and sent.startswith("Basic"):
        assert reading.result == ["Basic *****"]


async def test_a_token_is_fetched_and_sent() -> None:
    oauth2 = {"clientId": "i", "clientSecret": "s", "tokenUrl": ""}
    async with Script().then(200, {"access_token": "t0k3n"}) as issuer, Script().then(200, ["t0k3n"]) as server:
        oauth2["tokenUrl"] = f"{issuer.url}/token"
        [reading] = await measure(metric(server, authentication={"oauth2": oauth2}))
    assert server.seen[0].headers["Authorization"] == "Bearer t0k3n"
    assert "t0k3n" not in reading.model_dump_json()


async def test_no_token_and_a_limit_of_its_server() -> None:
    oauth2 = {"clientId": "i", "clientSecret": "s"}
    async with Script().then(401, {"error": "invalid_client"}) as issuer, Script() as server:
        asked = metric(server, authentication={"oauth2": {**oauth2, "tokenUrl": f"{issuer.url}/token"}})
        [reading] = await measure(asked)
        issuer.answers.clear()
        issuer.then(429, b"", Retry_After="9")
        with pytest.raises(ApplicationError) as caught:
            await measure(asked)
    assert reading.error.endswith('/check": oauth2: cannot fetch token: 401 invalid_client')
    assert caught.value.next_retry_delay == timedelta(seconds=9)
    assert server.seen == []


async def test_a_certificate_is_checked_unless_the_metric_says_otherwise(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    async with Script(tls).then(200, b"1") as server:
        checked, unchecked = await measure(metric(server, "checked"), metric(server, "unchecked", insecure=True))
    assert "CERTIFICATE_VERIFY_FAILED" in checked.error
    assert unchecked.result == 1.0


async def test_a_secret_is_sent_in_a_header_and_masked_where_the_server_echoes_it() -> None:
    headers = [{"key": "Authorization", "value": "Bearer {{args.token}}"}]
    echo = {"seen": "Bearer tenant-4711", "tenant-4711": 1}
    async with Script().then(200, echo).then(500, b"no tenant-4711 here") as server:
        secrets = {"token": {"name": "team", "key": "token"}}
        [reading] = await measure(metric(server, headers=headers), secret_args=secrets)
        [failed] = await measure(metric(server, headers=headers), secret_args=secrets)
    assert server.seen[0].headers["Authorization"] == "Bearer tenant-4711"
    assert reading.result == {"seen": "Bearer *****", "*****": 1.0}
    assert failed.error == "received non 2xx response code: 500 no ***** here"
    assert "tenant" not in reading.model_dump_json() + failed.model_dump_json()


# --------------------------------------------------------------------------------------------- whatever a server may do


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b"no such check", "received non 2xx response code: 404 no such check"),
        (401, b"", "received non 2xx response code: 401"),
        (500, b"oops", "received non 2xx response code: 500 oops"),
        (204, b"", "Could not parse JSON body: "),
        (200, b"", "Could not parse JSON body: "),
        (200, b"<html>", "Could not parse JSON body: "),
        (200, b'{"a": NaN}', "Could not parse JSON body: "),
        (200, b"\xff\xfe\x00", "Could not parse JSON body: "),
        (200, b"[" * 5000 + b"]" * 5000, "Could not parse JSON body: "),
        (200, b"1" + b"0" * 400, "Could not parse JSON body: a number does not fit into a float64"),
        (200, b'{"a": 1e999}', "Could not parse JSON body: a number does not fit into a float64"),
        (200, b'"' + b"x" * 40_000 + b'"', "the value has 40002 characters of JSON"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_an_error(status: int, body: bytes, error: str) -> None:
    async with Script().then(status, body) as server:
        [reading] = await measure(metric(server))
    assert reading.error.startswith(error)
    assert reading.query.startswith("GET http")


async def test_an_answer_that_is_too_large_is_an_error() -> None:
    async with Script().then(200, b"[" + b"1," * 600_000 + b"1]") as server:
        [reading] = await measure(metric(server))
        assert reading.error == f'Get "{server.url}/check": the answer is larger than 1048576 bytes'


async def test_a_redirect_is_not_followed() -> None:
    async with Script().then(200, b"1") as other, Script() as server:
        server.then(302, b"", Location=f"{other.url}/elsewhere?token=x")
        [reading] = await measure(metric(server, headers=[{"key": "Authorization", "value": "secret"}]))
        leads = f"let url be where it leads, {other.url}/elsewhere"
    refused = "redirects are not followed, as credentials would go with them"
    assert reading.error == f"received non 2xx response code: 302: {refused}: {leads}"
    assert other.seen == []


async def test_a_rate_limit_is_no_reading() -> None:
    async with Script().then(429, b"", X_RateLimit_Reset="17") as server, Script().then(200, b"1") as other:
        with pytest.raises(ApplicationError) as caught:
            await measure(metric(other, "fine"), metric(server))
    assert caught.value.type == ErrorType.RATE_LIMITED
    assert caught.value.next_retry_delay == timedelta(seconds=17)


async def test_all_that_is_due_is_asked_for_at_once_and_fails_alone() -> None:
    arrived: list[str] = []
    everyone = asyncio.Event()

    async def together(request: web.Request) -> web.Response:
        arrived.append(request.path)
        if len(arrived) == 3:
            everyone.set()
        # Nobody is answered before all have asked.
        await everyone.wait()
        return web.Response(status=500 if request.path == "/bad" else 200, text=request.path.strip("/"))

    async with Script().then_do(together) as server:
        asked = [metric(server, name, url=f"{server.url}/{name}") for name in ("1", "bad", "3")]
        readings = await measure(*asked, metric(server, "typo", jsonpath="{$}"))
    assert [(reading.metric, reading.result) for reading in readings] == [
        ("1", 1.0),
        ("bad", None),
        ("3", 3.0),
        ("typo", None),
    ]
    assert readings[1].error == "received non 2xx response code: 500 bad"
    assert readings[3].error.startswith("provider.web.jsonpath: ")


async def test_a_server_that_is_slow_or_away_fails_alone() -> None:
    released = asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with Script().then_do(slow) as server, Script().then(200, b"7") as other:
        away = {"name": "away", "provider": {"web": {"url": "http://127.0.0.1:1/"}}}
        late, missing, fine = await measure(metric(server, timeoutSeconds=1), away, metric(other, "fine"))
        released.set()
        assert late.error == f'Get "{server.url}/check": no complete answer within 1 s'
    assert missing.error.startswith('Get "http://127.0.0.1:1/": ConnectError')
    assert fine.result == 7.0
