"""The Prometheus provider's credentials on the wire: who is shown to whom, and what is never kept."""

from __future__ import annotations

import ssl
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from temporalio.exceptions import ApplicationError

from tests.activities.outside import Script, self_signed
from tests.activities.prometheus_api import NOW, data, measure, metric, vector


async def test_a_secret_in_a_header_is_masked_wherever_it_comes_back() -> None:
    async def echo(request: web.Request) -> web.Response:
        told = request.headers["X-Scope-OrgID"]
        if request.query.get("fail"):
            return web.Response(status=400, text=f"no tenant {told}")
        return web.json_response(data("scalar", [NOW, "1"], warnings=[f"tenant {told} is slow"]))

    headers = [{"key": "X-Scope-OrgID", "value": "{{args.tenant}}"}]
    async with Script().then_do(echo) as server:
        told = await measure(
            server,
            metric("good", 'a{t="{{args.tenant}}"}', headers=headers),
            metric("bad", headers=headers, address=f"{server.url}?fail=1"),
            metric("gone", headers=headers, address="http://127.0.0.1:1/{{args.tenant}}"),
            secret_args={"tenant": {"name": "team", "key": "token"}},
        )
    assert {seen.headers["X-Scope-OrgID"] for seen in server.seen} == {"tenant-4711"}
    assert "tenant-4711" not in "".join(reading.model_dump_json() for reading in told)
    good, bad, gone = told
    assert (good.query, good.metadata) == ('a{t="*****"}', {"warnings": '"tenant ***** is slow"'})
    assert bad.error == "client_error: client error: 400: no tenant *****"
    assert gone.error.startswith('Post "http://127.0.0.1:1/*****/api/v1/query": ')


HEADER = [{"key": "authorization", "value": "Bearer mine"}]
ACCOUNT = {"basicAuth": {"username": "u", "password": "p"}}


@pytest.mark.parametrize(
    ("user", "settings", "sent"),
    [
        ("", {"authentication": ACCOUNT}, "Basic dTpw"),
        ("a:b%40c@", {}, "Basic YTpiQGM="),
        ("a:b@", {"authentication": ACCOUNT}, "Basic YTpi"),
        ("a:b@", {"authentication": ACCOUNT, "headers": HEADER}, "Bearer mine"),
        ("", {"authentication": {"sigv4": {}}}, None),
    ],
)
async def test_a_user_and_where_it_stands(user: str, settings: dict[str, Any], sent: str | None) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(status=401, text=f"not {request.headers.get('Authorization', 'anybody')}")

    async with Script().then_do(echo) as server:
        address = server.url.replace("http://", f"http://{user}")
        [reading] = await measure(server, metric("m", address=address, **settings))
    assert server.seen[0].headers.get("Authorization") == sent
    if sent and sent.startswith("Basic"):
        assert reading.error == "client_error: client error: 401: not Basic *****"


async def test_headers_that_belong_to_the_connection_are_left_to_it() -> None:
    given = ["Host", "content-length", "Transfer-Encoding", "Trailer"]
    headers = [{"key": key, "value": "7"} for key in given]
    async with Script().then(200, vector("1")) as server:
        twice = [{"key": "X-A", "value": "1"}, {"key": "x-a", "value": "2"}]
        [reading] = await measure(server, metric("m", headers=[*headers, *twice]))
        host = server.url.removeprefix("http://")
    assert reading.result == [1]
    [seen] = server.seen
    assert seen.headers["Host"] == host
    assert seen.headers["X-A"] == "2"


def oauth2(server: Script, **more: Any) -> dict[str, Any]:
    given = {"tokenUrl": f"{server.url}/token", "clientId": "id", "clientSecret": "{{args.secret}}", "scopes": ["a"]}
    return {"authentication": {"oauth2": {**given, **more}}}


SECRET = {"secret": {"name": "team", "key": "token"}}


async def test_metrics_share_a_token_and_replace_it_when_it_is_refused() -> None:
    async def api(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != "Bearer second":
            return web.Response(status=401, text=f"unknown: {request.headers['Authorization']}")
        return web.json_response(vector("1"))

    tokens = Script().then(200, {"access_token": "first"}).then(200, {"access_token": "second"})
    async with tokens as server, Script().then_do(api) as prometheus:
        tenant = [{"key": "X-Scope-OrgID", "value": "t"}]
        asked = {**oauth2(server), "headers": tenant}
        readings = await measure(prometheus, metric("a", **asked), metric("b", **asked), secret_args=SECRET)
    assert [reading.result for reading in readings] == [[1], [1]]
    assert len(server.seen) == 2
    assert [seen.headers.get("X-Scope-OrgID") for seen in server.seen] == [None, None]


async def test_a_token_that_stays_refused_is_not_shown() -> None:
    async def api(request: web.Request) -> web.Response:
        return web.Response(status=401, text=f"unknown: {request.headers['Authorization']}")

    async with Script().then(200, {"access_token": "t0ken"}) as server, Script().then_do(api) as prometheus:
        [reading] = await measure(prometheus, metric("m", **oauth2(server)), secret_args=SECRET)
    assert reading.error == "client_error: client error: 401: unknown: Bearer *****"
    assert len(prometheus.seen) == 2


async def test_no_token_is_an_error_that_says_so() -> None:
    async with Script().then(401, {"error": "invalid_client"}) as server, Script() as prometheus:
        asked = metric("m", **oauth2(server))
        [refused] = await measure(prometheus, asked, secret_args=SECRET)
        await server.__aexit__()
        [away] = await measure(prometheus, asked, secret_args=SECRET)
    assert refused.error.endswith('/api/v1/query": oauth2: cannot fetch token: 401 invalid_client')
    assert "oauth2: cannot fetch token: ConnectError" in away.error
    assert prometheus.seen == []


async def test_a_rate_limit_of_the_token_server_is_waited_out_too() -> None:
    async with Script().then(429, b"", Retry_After="9") as server, Script().then(200, vector("1")) as prometheus:
        with pytest.raises(ApplicationError) as caught:
            await measure(prometheus, metric("m", **oauth2(server)), secret_args=SECRET)
    assert caught.value.next_retry_delay == timedelta(seconds=9)


# --------------------------------------------------------------------------------------------------------- certificates


async def test_whose_certificates_are_trusted(tmp_path_factory: pytest.TempPathFactory) -> None:
    certificate, key = self_signed(tmp_path_factory.mktemp("own"))
    other, _ = self_signed(tmp_path_factory.mktemp("other"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    settings: list[dict[str, Any]] = [
        {},
        {"caCert": other.read_text()},
        {"caCert": certificate.read_text()},
        {"caCert": other.read_text() + certificate.read_text()},
        {"insecure": True},
        {"insecure": True, "caCert": "is not looked at"},
    ]
    async with Script(tls).then(200, vector("1")) as server:
        metrics = [metric(str(index), address=server.url, **each) for index, each in enumerate(settings)]
        readings = await measure(server, *metrics)
    assert ["CERTIFICATE_VERIFY_FAILED" in reading.error for reading in readings] == [True] * 2 + [False] * 4
    assert [reading.result for reading in readings[2:]] == [[1]] * 4
