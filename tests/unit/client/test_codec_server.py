"""The codec server over real sockets: who may ask, and what is answered to what cannot be used."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads

from tidegate.client import FixedKeys, Keyring
from tidegate.client.codec import PayloadEncryption
from tidegate.client.codec_server import MAX_BODY_BYTES, CodecServer, is_loopback, serve_codec

KEYS = FixedKeys(Keyring("k1", {"k1": bytes(range(32))}))
UI = "https://temporal.internal"
TOKEN = "token-of-a-test"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"checkout"')


@asynccontextmanager
async def asking(token: str = TOKEN) -> AsyncIterator[httpx.AsyncClient]:
    """A client that knows the token, of a server that may be asked by the pages of one UI."""
    server = CodecServer(KEYS, origins=[UI], token=token)
    async with (
        serve_codec(server, "127.0.0.1", 0) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}", "X-Namespace": "default"}
        ) as http,
    ):
        yield http


def body(*payloads: Payload) -> object:
    return MessageToDict(Payloads(payloads=payloads))


async def test_what_was_encoded_is_decoded() -> None:
    async with asking() as http:
        encoded = await http.post("/encode", json=body(PLAIN, PLAIN))
        assert encoded.status_code == 200
        assert base64.b64encode(b'"checkout"').decode() not in encoded.text
        decoded = await http.post("/decode", json=encoded.json())
        assert decoded.json() == body(PLAIN, PLAIN)
        assert decoded.headers["Cache-Control"] == "no-store"


async def test_what_the_workers_encrypted_is_decoded_and_what_is_plain_passes() -> None:
    [encrypted] = await PayloadEncryption(KEYS).encode([PLAIN])
    async with asking() as http:
        answer = await http.post("/decode", json=body(encrypted, PLAIN))
    assert ParseDict(answer.json(), Payloads()).payloads == [PLAIN, PLAIN]


@pytest.mark.parametrize("sent", [{}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}])
@pytest.mark.parametrize("path", ["/encode", "/decode", "/"])
async def test_without_the_token_nothing_is_told(path: str, sent: dict[str, str]) -> None:
    async with asking() as http:
        del http.headers["Authorization"]
        answer = await http.post(path, json=body(PLAIN), headers=sent)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in answer.text


@pytest.mark.parametrize("token", ["token-of-a-tesT", TOKEN + "x", TOKEN[:-1], "ü"])
async def test_another_token_is_none(token: str) -> None:
    async with asking() as http:
        sent = {b"Authorization": f"Bearer {token}".encode()}
        assert (await http.post("/decode", json=body(PLAIN), headers=sent)).status_code == 401


async def test_a_server_without_a_token_asks_for_none() -> None:
    async with asking(token="") as http:
        del http.headers["Authorization"]
        assert (await http.post("/decode", json=body(PLAIN))).json() == body(PLAIN)


async def test_a_page_of_the_ui_may_ask() -> None:
    preflight = {
        "Origin": UI,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-namespace",
    }
    async with asking() as http:
        del http.headers["Authorization"]  # a browser sends none with a preflight
        allowed = await http.options("/decode", headers=preflight)
        refused = await http.post("/decode", json=body(PLAIN), headers={"Origin": UI})
    assert allowed.status_code == 204
    assert allowed.headers["Access-Control-Allow-Origin"] == UI
    assert allowed.headers["Access-Control-Allow-Methods"] == "POST"
    assert allowed.headers["Access-Control-Allow-Headers"] == "authorization, content-type, x-namespace"
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == UI  # or the page could not tell why
    assert refused.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://temporal.internal", f"{UI}.evil.example", "null", f"{UI}:8443", "*"]
)
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
async def test_a_page_of_anybody_else_may_not(method: str, origin: str) -> None:
    async with asking() as http:
        answer = await http.request(method, "/decode", json=body(PLAIN), headers={"Origin": origin})
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "content",
    [b"", b"[5]", b"null", b"checkout", b"\xff", b'{"payloads": 5}', b'{"payloads": [{"data": 5}]}', b"[" * 9999],
)
async def test_what_is_not_payloads_is_refused_and_not_repeated(content: bytes) -> None:
    async with asking() as http:
        answer = await http.post("/decode", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json() == {"error": "the body is not Temporal's Payloads as JSON"}


async def test_no_payloads_are_no_payloads() -> None:
    async with asking() as http:
        assert (await http.post("/decode", json={})).json() == {}


async def test_a_key_that_is_not_known_is_named() -> None:
    [encrypted] = await PayloadEncryption(FixedKeys(Keyring("k7", {"k7": bytes(32)}))).encode([PLAIN])
    async with asking() as http:
        answer = await http.post("/decode", json=body(PLAIN, encrypted))
    assert answer.status_code == 400
    assert answer.json() == {"error": "a payload is encrypted with key 'k7': this key is not known"}


async def test_other_requests_are_refused_clearly() -> None:
    async with asking() as http:
        assert (await http.get("/decode")).status_code == 405
        assert (await http.post("/", json={})).status_code == 404
        assert (await http.post("/decode", content=b"{}", headers={"Content-Type": "text/plain"})).status_code == 415
        large = await http.post("/decode", json={"payloads": [{"data": "A" * MAX_BODY_BYTES}]})
        assert large.status_code == 413


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True)]
    + [(host, False) for host in ("::", "10.0.0.1", "temporal.internal", "")],
)
def test_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
