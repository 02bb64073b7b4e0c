"""OAuth 2.0 client credentials on the wire: how they are sent, how long a token is kept, and who waits for whom."""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from activities.transport.http import HttpResponse, TransportError, exchange
from activities.transport.oauth2 import ClientCredentials, TokenError, Tokens
from sandbox.machine import patience
from tests.activities.outside import Script, http_client

SECRET = "s3cr:et/ü"


def credentials(server: Script, **more: Any) -> ClientCredentials:
    return ClientCredentials(f"{server.url}/token", "my client", SECRET, **more)


def token(value: str = "abc", **more: Any) -> dict[str, Any]:
    return {"access_token": value, "token_type": "Bearer", "expires_in": 3600, **more}


async def test_credentials_are_sent_as_basic_with_the_scopes() -> None:
    async with Script().then(200, token()) as server, http_client() as http:
        scopes = ("read", "write")
        assert await Tokens(lambda: 0.0).token(http, credentials(server, scopes=scopes), timeout=5) == "abc"
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/token")
    sent = base64.b64decode(seen.headers["Authorization"].removeprefix("Basic ")).decode()
    assert sent == "my+client:s3cr%3Aet%2F%C3%BC"
    assert parse_qs(seen.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["read write"]}


async def test_a_server_that_wants_them_in_the_form_gets_them_there() -> None:
    async with Script().then(401, {"error": "invalid_client"}).then(200, token()) as server, http_client() as http:
        assert await Tokens(lambda: 0.0).token(http, credentials(server), timeout=5) == "abc"
    form = parse_qs(server.seen[1].body.decode())
    assert (form["client_id"], form["client_secret"]) == (["my client"], [SECRET])
    assert "Authorization" not in server.seen[1].headers


async def test_a_server_that_is_known_to_want_the_form_is_asked_once() -> None:
    async with Script().then(401, {"error": "invalid_client"}) as server, http_client() as http:
        with pytest.raises(TokenError, match="401 invalid_client"):
            await Tokens(lambda: 0.0).token(http, credentials(server, in_form=True), timeout=5)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("answer", "fresh", "ended"),
    [
        (token(), 3539, 3540),
        (token(expires_in="3600"), 3539, 3540),
        (token(expires_in=10), 4.9, 5),
        ({"access_token": "abc"}, 239, 240),
        (token(expires_in=1e9), 86339, 86340),
        (token(expires_in=0), None, 0),
    ],
)
async def test_a_token_is_kept_until_shortly_before_its_end(
    answer: dict[str, Any], fresh: float | None, ended: float
) -> None:
    now = [0.0]
    async with Script().then(200, answer) as server, http_client() as http:
        tokens = Tokens(lambda: now[0])
        await tokens.token(http, credentials(server), timeout=5)
        for moment, fetches in ((fresh, 1), (ended, 2)):
            if moment is not None:
                now[0] = moment
                await tokens.token(http, credentials(server), timeout=5)
                assert len(server.seen) == fetches


async def test_other_credentials_get_another_token() -> None:
    async with Script().then(200, token("a")).then(200, token("b")) as server, http_client() as http:
        tokens = Tokens(lambda: 0.0)
        asked = [credentials(server), credentials(server, scopes=("x",)), credentials(server)]
        assert [await tokens.token(http, each, timeout=5) for each in asked] == ["a", "b", "a"]


async def test_one_fetch_serves_all_who_ask_at_one_moment() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def slowly(_: web.Request) -> web.Response:
        asked.set()
        await release.wait()
        return web.json_response(token())

    async with Script().then_do(slowly) as server, http_client() as http:
        tokens = Tokens(lambda: 0.0)
        askers = [asyncio.create_task(tokens.token(http, credentials(server), timeout=5)) for _ in range(5)]
        async with asyncio.timeout(patience(5)):
            await asked.wait()
        # One of them goes away: the others must not notice.
        askers.pop(0).cancel()
        release.set()
        assert await asyncio.gather(*askers) == ["abc"] * 4
        assert await tokens.token(http, credentials(server), timeout=5) == "abc"
    assert len(server.seen) == 1


async def test_a_client_that_is_closed_takes_its_own_fetch_with_it_only() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def slowly(_: web.Request) -> web.Response:
        asked.set()
        await release.wait()
        return web.json_response(token())

    async with Script().then_do(slowly) as server, http_client() as http:
        tokens = Tokens(lambda: 0.0)
        async with http_client() as closed, asyncio.timeout(patience(5)):
            first = asyncio.create_task(tokens.token(closed, credentials(server), timeout=5))
            await asked.wait()
            second = asyncio.create_task(tokens.token(http, credentials(server), timeout=5))
            await asyncio.sleep(0)
            first.cancel()
        release.set()
        assert await second == "abc"


async def test_a_failure_serves_them_all_too_and_is_not_kept() -> None:
    async with Script().then(500, b"").then(200, token()) as server, http_client() as http:
        tokens = Tokens(lambda: 0.0)
        asked = [tokens.token(http, credentials(server), timeout=5) for _ in range(3)]
        failures = await asyncio.gather(*asked, return_exceptions=True)
        assert [str(each) for each in failures] == ["oauth2: cannot fetch token: 500 no token"] * 3
        assert await tokens.token(http, credentials(server), timeout=5) == "abc"


async def test_a_refused_token_is_replaced_once_and_never_shown() -> None:
    async with (
        Script().then(200, token("first")).then(200, token("second")) as server,
        Script().then(401, b"no: first").then(401, b"no: second") as api,
        http_client() as http,
    ):
        tokens = Tokens(lambda: 0.0)

        async def send(value: str) -> HttpResponse:
            return await exchange(http, "GET", api.url, timeout=5, headers={"Authorization": f"Bearer {value}"})

        answer = await tokens.exchange(http, credentials(server), send, timeout=5)
        # Another one whose first token was refused at the same time takes the second.
        assert await tokens.token(http, credentials(server), timeout=5, refused="first") == "second"
    assert [seen.headers["Authorization"] for seen in api.seen] == ["Bearer first", "Bearer second"]
    assert (answer.status, answer.body) == (401, b"no: *****")
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (400, {"error": "invalid_scope", "error_description": SECRET}, "400 invalid_scope"),
        (403, {"error": f"oops {SECRET}"}, "403 no token"),
        (500, b"<html>", "500 no token"),
        (302, b"", "302 no token"),
        (200, b"<html>", "200 the answer holds no token"),
        (200, {"access_token": ""}, "200 the answer holds no token"),
        (200, {"access_token": "a", "expires_in": -1}, "200 the answer holds no token"),
        (200, [SECRET], "200 the answer holds no token"),
    ],
)
async def test_no_token_says_why_and_shows_no_secret(status: int, body: Any, text: str) -> None:
    async with Script().then(status, body, Location="/elsewhere") as server, http_client() as http:
        with pytest.raises(TokenError) as caught:
            await Tokens(lambda: 0.0).token(http, credentials(server), timeout=5)
    assert str(caught.value) == f"oauth2: cannot fetch token: {text}"
    assert caught.value.status == status
    assert {seen.path for seen in server.seen} == {"/token"}


async def test_a_server_that_is_away_is_a_transport_error() -> None:
    async with Script().then(200, b"") as gone:
        asked = credentials(gone)
    async with http_client() as http:
        with pytest.raises(TransportError, match="oauth2: cannot fetch token: ConnectError"):
            await Tokens(lambda: 0.0).token(http, asked, timeout=5)


def test_a_secret_is_not_in_what_is_printed() -> None:
    assert SECRET not in repr(ClientCredentials("https://idp", "id", SECRET))
