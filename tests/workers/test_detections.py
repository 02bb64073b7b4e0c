"""A detection of Falcon on the wire: whether it is believed, and what is made of one that cannot be."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from activities.secrets.fallbacks import FolderSecrets
from tidegate.client import UnreachableError
from tidegate.client.http_server import serve_http
from workers.outside_settings import DetectionsSettings
from workers.watch.detections import SIGNATURE, TIMESTAMP, Detection
from workers.watch.detections_webhook import MAX_BODY_BYTES, DetectionsWebhook

KEY = "k" * 40
SECRET = "secret/tidegate/falcon"
DETECTION = {
    "id": "ldt:1",
    "namespace": "payments",
    "pod": "checkout-7d9c-x1",
    "description": "Reverse shell\nfrom java",
    "severity": "Critical",
}


def signed(body: bytes, key: str = KEY, at: datetime | None = None) -> dict[str, str]:
    stamp = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hmac.new(key.encode(), body + stamp.encode(), hashlib.sha256).digest()
    return {TIMESTAMP: stamp, SIGNATURE: base64.b64encode(digest).decode()}


class Falcon:
    """Sends to a door whose acts are noted."""

    def __init__(self) -> None:
        self.acted: list[Detection] = []
        self.failure: Exception | None = None
        self.url = ""

    async def act(self, detection: Detection) -> str:
        if self.failure is not None:
            raise self.failure
        self.acted.append(detection)
        return "release aborted"

    async def send(self, body: Any, headers: dict[str, Any] | None = None) -> tuple[int, str]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with httpx.AsyncClient() as http:
            answer = await http.post(self.url, content=content, headers=signed(content) if headers is None else headers)
        return answer.status_code, answer.text


@pytest.fixture
async def falcon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Falcon]:
    folder = tmp_path_factory.mktemp("secrets")
    file = folder / SECRET / "signing_key"
    file.parent.mkdir(parents=True)
    file.write_text(KEY)
    found = Falcon()
    door = DetectionsWebhook(DetectionsSettings(secret_path=SECRET), FolderSecrets(folder), found.act)
    async with serve_http(door.app(), "127.0.0.1", 0) as port:
        found.url = f"http://127.0.0.1:{port}/detections"
        yield found


async def test_a_signed_detection_is_acted_on(falcon: Falcon) -> None:
    assert await falcon.send({**DETECTION, "more": 1}) == (200, '{"message": "release aborted"}')
    [acted] = falcon.acted
    assert acted.reason == "Critical detection ldt:1 on canary pod checkout-7d9c-x1: Reverse shell from java"


async def test_who_does_not_have_the_key_is_turned_away(falcon: Falcon) -> None:
    body = json.dumps(DETECTION).encode()
    now = datetime.now(UTC)
    forged = [
        {},
        signed(body, key="another"),
        signed(b"{}"),
        signed(body, at=now - timedelta(minutes=6)),
        signed(body, at=now + timedelta(minutes=6)),
        {**signed(body), TIMESTAMP: now.strftime("%Y-%m-%dT%H:%M:%S")},
        {**signed(body), TIMESTAMP: "yesterday"},
        {**signed(body), SIGNATURE: "é"},
    ]
    for headers in forged:
        encoded = {name: value.encode() for name, value in headers.items()}
        assert (await falcon.send(body, encoded))[0] == 401, headers
    assert falcon.acted == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"nonsense", "the body: Invalid JSON"),
        ({**DETECTION, "pod": "../../secrets"}, "pod: String should match"),
        ({**DETECTION, "id": ""}, "id: String should have at least 1 character"),
        ({"id": "ldt:1", "namespace": "payments"}, "pod: Field required"),
        ({**DETECTION, "description": "x" * 2001}, "description: String should have at most 2000"),
    ],
)
async def test_what_cannot_be_read_is_named(falcon: Falcon, body: Any, complaint: str) -> None:
    status, text = await falcon.send(body)
    assert status == 400
    assert complaint in text
    assert falcon.acted == []


async def test_what_is_too_large_or_elsewhere_is_refused(falcon: Falcon) -> None:
    assert (await falcon.send(b"x" * (MAX_BODY_BYTES + 1)))[0] == 413
    falcon.url = falcon.url.replace("detections", "")
    assert (await falcon.send(DETECTION))[0] == 404


async def test_while_temporal_is_away_falcon_is_asked_to_try_again(falcon: Falcon) -> None:
    falcon.failure = UnreachableError("temporal.internal does not answer", "look at it")
    status, text = await falcon.send(DETECTION)
    assert status == 503
    assert "temporal.internal" not in text
