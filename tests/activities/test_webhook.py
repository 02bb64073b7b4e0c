"""Notices by webhook: signed JSON to an address of the settings, whatever it answers."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.notifications.dispatch import Notifications
from activities.notifications.webhook import Webhook, WebhookSettings
from tests.activities.notification import notification
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tidegate.contract import ErrorType, Notification, NotificationSent

PATH = "secret/tidegate/webhooks/on-call"
KEY = "signing-key-of-a-test"
NOW = 1_700_000_000.5
CLOSED = "http://127.0.0.1:1"
TOLD = notification(service="on-call", recipient="")


def signed(key: str = KEY, **more: str) -> MemorySecrets:
    return MemorySecrets({PATH: {"signing_key": key, **more}})


async def send(
    url: str, secrets: MemorySecrets | None = None, told: Notification = TOLD, attempt: int = 1
) -> NotificationSent:
    async with http_client() as http:
        settings = WebhookSettings(url=url, secret_path=PATH, timeout_seconds=0.5)
        backend = Webhook("on-call", secrets or signed(), http, settings, clock=lambda: NOW)
        sent: NotificationSent = await run_activity(
            Notifications({"on_call": backend}).send_notification, told, attempt=attempt
        )
    return sent


async def error_of(url: str, secrets: MemorySecrets | None = None) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await send(url, secrets)
    assert KEY not in str(caught.value)
    return caught.value


async def test_the_facts_arrive_signed_and_with_their_key() -> None:
    async with Script().then(202) as server:
        sent = await send(server.url)
        await send(server.url, attempt=2)
    first, second = server.seen
    expected = hmac.new(KEY.encode(), b"1700000000." + first.body, hashlib.sha256).hexdigest()
    assert first.headers["X-Tidegate-Signature"] == f"sha256={expected}"
    assert first.headers["X-Tidegate-Timestamp"] == "1700000000"
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == TOLD.id
    assert Notification.model_validate(first.json) == TOLD
    assert first.json["text"].startswith("payments/checkout: Rollout aborted")
    assert sent == NotificationSent(service="on-call", recipient="")


async def test_an_address_may_be_a_secret() -> None:
    async with Script().then(200) as server:
        await send("", signed(url=f"{server.url}/hidden"))
    assert [seen.path for seen in server.seen] == ["/hidden"]
    error = await error_of("", signed(url=f"{CLOSED}/hidden"))
    assert error.type == ErrorType.UNAVAILABLE
    assert "hidden" not in str(error)


async def test_a_recipient_is_no_address() -> None:
    async with Script().then(200) as elsewhere, Script().then(200) as server:
        await send(server.url, told=TOLD.model_copy(update={"recipient": elsewhere.url}))
        assert (len(server.seen), elsewhere.seen) == (1, [])


async def test_a_redirect_is_not_followed() -> None:
    async with Script().then(200) as elsewhere:
        async with Script().then(307, b"", Location=f"{elsewhere.url}/x") as server:
            error = await error_of("", signed(url=server.url))
        assert (error.type, elsewhere.seen) == (ErrorType.REJECTED, [])
        assert elsewhere.url not in str(error)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_signature_is_made_with_the_newest_key(status: int) -> None:
    secrets = signed("old")
    secrets.after = {PATH: {"signing_key": KEY}}
    async with Script().then(status).then(200) as server:
        assert (await send(server.url, secrets)).created
    expected = hmac.new(KEY.encode(), b"1700000000." + server.seen[1].body, hashlib.sha256).hexdigest()
    assert server.seen[1].headers["X-Tidegate-Signature"] == f"sha256={expected}"
    assert secrets.refreshed == [PATH]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b"", ErrorType.UNAUTHORIZED),
        (403, KEY.encode(), ErrorType.UNAUTHORIZED),
        (404, b"", ErrorType.NOT_FOUND),
        (422, b"nonsense \xff", ErrorType.REJECTED),
        (429, b"", ErrorType.RATE_LIMITED),
        (500, KEY.encode(), ErrorType.UNAVAILABLE),
        (503, b"<html>", ErrorType.UNAVAILABLE),
        (200, b" " * 100_000, ErrorType.UNAVAILABLE),
    ],
)
async def test_answers(status: int, body: bytes, expected: str) -> None:
    async with Script().then(status, body, Retry_After="7") as server:
        error = await error_of(server.url)
    assert error.type == expected
    if expected == ErrorType.RATE_LIMITED:
        assert error.next_retry_delay == timedelta(seconds=7)


async def test_the_receiver_is_slow_or_away() -> None:
    async with Script().then_drip() as server:
        assert (await error_of(server.url)).type == ErrorType.UNAVAILABLE
    assert (await error_of(CLOSED)).type == ErrorType.UNAVAILABLE


@pytest.mark.parametrize(
    ("url", "content", "missing"),
    [(CLOSED, {}, "signing_key"), ("", {"signing_key": KEY}, "address"), ("", {"signing_key": KEY, "url": "x"}, "url")],
)
async def test_what_is_missing_is_named(url: str, content: dict[str, Any], missing: str) -> None:
    error = await error_of(url, MemorySecrets({PATH: content}))
    assert error.type == ErrorType.REJECTED
    assert missing in str(error)
