"""Notices in Slack: one message for one event, and every answer of Slack means what its reference says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from temporalio.exceptions import ApplicationError

from activities.notifications.dispatch import Notifications
from activities.notifications.slack import MAX_TEXT, Slack, SlackSettings
from activities.notifications.templates import Templates
from sandbox.rate_limit import RateLimit
from sandbox.slack.server import WEBHOOK_CHANNEL, SlackApi
from tests.activities.notification import notification
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tidegate.analysis.status import Phase
from tidegate.contract import Chart, Curve, ErrorType, Notification, NotificationSent, Point

PATH = "secret/tidegate/slack"
TOKEN = "xoxb-token-of-a-test"
KEY = "T0/B0/key-of-a-test".replace("/", "-")
CLOSED = "http://127.0.0.1:1"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHART = Chart(
    title="payments/checkout",
    curves=(Curve(gate="g", metric="error-rate", points=(Point(at=AT, value=0.2, verdict=Phase.FAILED),)),),
)


@pytest_asyncio.fixture
async def api() -> AsyncIterator[SlackApi]:
    api = SlackApi(token=TOKEN, webhook_key=KEY, channels=("releases", "others"))
    await api.start()
    yield api
    await api.stop()


def bot(token: str = TOKEN) -> MemorySecrets:
    return MemorySecrets({PATH: {"token": token}})


async def send(
    url: str, secrets: MemorySecrets, told: Notification, *, attempt: int = 1, texts: dict[str, str] | None = None
) -> NotificationSent:
    async with http_client() as http:
        settings = SlackSettings(api_url=url, secret_path=PATH, timeout_seconds=0.5)
        backend = Slack(secrets, http, settings, Templates(texts or {}))
        sent: NotificationSent = await run_activity(
            Notifications({"slack": backend}).send_notification, told, attempt=attempt
        )
    return sent


async def error_of(
    url: str, secrets: MemorySecrets | None = None, told: Notification | None = None
) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await send(url, secrets or bot(), told or notification())
    assert TOKEN not in str(caught.value)
    assert KEY not in str(caught.value)
    return caught.value


async def test_a_message_tells_the_event(api: SlackApi) -> None:
    sent = await send(api.url, bot(), notification())
    [message] = api.channels["releases"].messages
    assert "payments/checkout: Rollout aborted update to revision 7: error-rate 0.2 &gt; 0.05" in message.text
    assert sent == NotificationSent(service="slack", recipient="releases", reference=message.ts)
    async with httpx.AsyncClient() as http:
        page = await http.get(api.page_url("releases"))
    assert "error-rate 0.2 &gt; 0.05" in page.text


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("recipient", ["releases", "#releases", "C00000001"])
async def test_a_repeated_attempt_finds_the_message(api: SlackApi, recipient: str, private: bool) -> None:
    api.channels["releases"].private = private
    told = notification(recipient=recipient)
    first = await send(api.url, bot(), told)
    again = await send(api.url, bot(), told, attempt=2)
    assert len(api.channels["releases"].messages) == 1
    assert again == first.model_copy(update={"created": False})


async def test_a_repeated_attempt_sends_what_never_arrived(api: SlackApi) -> None:
    for number in range(250):  # more than a page of them
        await send(api.url, bot(), notification(id=f"notice/{number}"))
        api.posting["releases"] = RateLimit(limit=60, period=60)
    sent = await send(api.url, bot(), notification(), attempt=2)
    assert sent.created
    again = await send(api.url, bot(), notification(id="notice/0"), attempt=2)
    assert not again.created
    assert len(api.channels["releases"].messages) == 251


async def test_an_answer_that_was_lost_does_not_send_twice(api: SlackApi) -> None:
    async def lose(request: web.Request) -> web.Response:
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
        async with httpx.AsyncClient() as http:
            url = f"{api.url}/{request.match_info['tail']}"
            await http.request(request.method, url, content=await request.read(), headers=headers)
        return web.Response(status=504)

    async with Script().then_do(lose) as proxy:
        error = await error_of(proxy.url)
    assert error.type == ErrorType.UNAVAILABLE
    assert len(api.channels["releases"].messages) == 1
    assert not (await send(api.url, bot(), notification(), attempt=2)).created
    assert len(api.channels["releases"].messages) == 1


async def test_another_event_is_another_message(api: SlackApi) -> None:
    await send(api.url, bot(), notification())
    await send(api.url, bot(), notification(id="notice/another"), attempt=2)
    assert len(api.channels["releases"].messages) == 2


async def test_nobody_is_called_together_by_a_value(api: SlackApi) -> None:
    texts = {"on-rollout-aborted": "<https://example.com|run> {{.notification.message}}"}
    await send(api.url, bot(), notification(message="<!channel> & {{.notification.name}}"), texts=texts)
    [message] = api.channels["releases"].messages
    assert message.text == "<https://example.com|run> &lt;!channel&gt; &amp; {{.notification.name}}"


async def test_a_long_text_is_cut_and_no_escape_in_two(api: SlackApi) -> None:
    for start in range(5):
        await send(api.url, bot(), notification(id=str(start), message="x" * start + "<" * 1900), texts={})
    for message in api.channels["releases"].messages:
        assert len(message.text) <= MAX_TEXT
        assert message.text.removesuffix("...").endswith("&lt;")


async def test_a_new_token_is_read_once_it_was_replaced(api: SlackApi) -> None:
    secrets = MemorySecrets({PATH: {"token": "old"}}, after={PATH: {"token": TOKEN}})
    assert (await send(api.url, secrets, notification())).created
    assert secrets.refreshed == [PATH]


async def test_a_token_that_stays_refused_may_be_tried_later(api: SlackApi) -> None:
    secrets = bot()
    api.replace_token("another")
    error = await error_of(api.url, secrets)
    assert (error.type, error.non_retryable, secrets.refreshed) == (ErrorType.UNAUTHORIZED, False, [PATH])


@pytest.mark.parametrize("recipient", ["nowhere", "U12345678", "two words", "https://example.com/A"])
async def test_a_channel_that_is_none_is_refused(api: SlackApi, recipient: str) -> None:
    error = await error_of(api.url, told=notification(recipient=recipient))
    assert (error.type, error.non_retryable) == (ErrorType.REJECTED, True)


async def test_a_channel_without_the_bot_is_refused(api: SlackApi) -> None:
    api.channels["releases"].invited = False
    error = await error_of(api.url)
    assert error.type == ErrorType.REJECTED
    assert "not_in_channel" in str(error)


async def test_the_rate_limit_says_when_to_try_again(api: SlackApi) -> None:
    api.posting["releases"] = RateLimit(limit=0, period=60)
    error = await error_of(api.url)
    assert error.type == ErrorType.RATE_LIMITED
    assert error.next_retry_delay is not None
    assert timedelta(seconds=1) <= error.next_retry_delay <= timedelta(seconds=60)


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (429, b"", {"Retry_After": "7"}, ErrorType.RATE_LIMITED),
        (200, {"ok": False, "error": "ratelimited"}, {"Retry_After": "7"}, ErrorType.RATE_LIMITED),
        (401, b"", {}, ErrorType.UNAUTHORIZED),
        (200, {"ok": False, "error": "token_revoked"}, {}, ErrorType.UNAUTHORIZED),
        (200, {"ok": False, "error": "missing_scope"}, {}, ErrorType.UNAUTHORIZED),
        (500, TOKEN.encode(), {}, ErrorType.UNAVAILABLE),
        (200, {"ok": False, "error": "internal_error"}, {}, ErrorType.UNAVAILABLE),
        (200, b"<html>maintenance</html>", {}, ErrorType.UNAVAILABLE),
        (200, b"[" * 100_000, {}, ErrorType.UNAVAILABLE),
        (200, [], {}, ErrorType.UNAVAILABLE),
        (200, {"ok": "yes"}, {}, ErrorType.UNAVAILABLE),
        (200, {"ok": False, "error": "is_archived"}, {}, ErrorType.REJECTED),
        (302, b"", {"Location": "https://example.com/"}, ErrorType.REJECTED),
        (200, b" " * 2_000_000, {}, ErrorType.UNAVAILABLE),
    ],
)
async def test_answers_of_the_web_api(status: int, body: Any, headers: dict[str, str], expected: str) -> None:
    async with Script().then(status, body, **headers) as server:
        error = await error_of(server.url)
    assert error.type == expected
    assert error.non_retryable == (expected == ErrorType.REJECTED)
    if expected == ErrorType.RATE_LIMITED:
        assert error.next_retry_delay == timedelta(seconds=7)


async def test_nonsense_in_the_history_is_no_message_of_ours() -> None:
    rows = ["x", {}, {"metadata": 5}, {"metadata": {"event_type": "tidegate_notice", "event_payload": None}}]
    async with Script().then(200, {"ok": True, "messages": rows}).then(200, {"ok": True}) as server:
        sent = await send(server.url, bot(), notification(recipient="C00000001"), attempt=2)
    assert sent.created


async def test_slack_is_slow_or_away() -> None:
    async with Script().then_drip() as server:
        assert (await error_of(server.url)).type == ErrorType.UNAVAILABLE
    assert (await error_of(CLOSED)).type == ErrorType.UNAVAILABLE


async def test_an_incoming_webhook_is_enough_to_tell(api: SlackApi) -> None:
    secrets = MemorySecrets({PATH: {"webhook_url": api.webhook_url}})
    assert (await send(CLOSED, secrets, notification())).created
    [message] = api.channels[WEBHOOK_CHANNEL].messages
    assert "payments/checkout" in message.text


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (404, "no_service", ErrorType.UNAUTHORIZED),
        (403, "invalid_token", ErrorType.UNAUTHORIZED),
        (404, "channel_not_found", ErrorType.REJECTED),
        (403, "action_prohibited", ErrorType.REJECTED),
        (400, "invalid_payload", ErrorType.REJECTED),
        (410, "channel_is_archived", ErrorType.REJECTED),
        (429, "rate_limited", ErrorType.RATE_LIMITED),
        (500, "rollup_error", ErrorType.UNAVAILABLE),
        (503, "", ErrorType.UNAVAILABLE),
        (200, "<html>", ErrorType.UNAVAILABLE),
    ],
)
async def test_answers_of_an_incoming_webhook(status: int, text: str, expected: str) -> None:
    async with Script().then(status, text.encode()) as server:
        secrets = MemorySecrets({PATH: {"webhook_url": f"{server.url}/{KEY}"}})
        error = await error_of(CLOSED, secrets)
    assert error.type == expected
    assert (secrets.refreshed == [PATH]) == (expected == ErrorType.UNAUTHORIZED)


async def test_a_secret_without_a_credential_says_what_it_needs() -> None:
    for content in ({}, {"webhook_url": "ftp://x"}):
        error = await error_of(CLOSED, MemorySecrets({PATH: content}))
        assert error.type == ErrorType.REJECTED
        assert f"{PATH} needs token, or webhook_url" in str(error)


async def test_a_service_that_nobody_set_up_is_named_with_its_setting() -> None:
    for service, setting in (("slack", "TIDEGATE_SLACK__SECRET_PATH"), ("on-call", "TIDEGATE_WEBHOOKS__ON_CALL__")):
        with pytest.raises(ApplicationError, match=setting) as caught:
            await run_activity(Notifications({}).send_notification, notification(service=service))
        assert (caught.value.type, caught.value.non_retryable) == (ErrorType.NOT_CONFIGURED, True)


THREAD = "rollout/default/payments/checkout/r1/7"


def of_a_release(event: str, **changes: Any) -> Notification:
    return notification(id=f"notice/{event}", trigger=f"on-{event}", thread=THREAD, **changes)


async def test_a_release_is_one_thread_and_its_end_is_seen_in_the_channel(api: SlackApi) -> None:
    first = await send(api.url, bot(), of_a_release("rollout-updated", opens_thread=True))
    await send(api.url, bot(), of_a_release("rollout-step-completed"))
    await send(api.url, bot(), of_a_release("rollout-aborted"))
    threads = [(each.thread_ts, each.broadcast) for each in api.channels["releases"].messages]
    assert threads == [("", False), (first.reference, False), (first.reference, True)]


async def test_a_message_waits_for_the_one_that_opens_its_thread_and_not_for_ever(api: SlackApi) -> None:
    error = await error_of(api.url, told=of_a_release("rollout-paused"))
    assert (error.type, error.non_retryable) == (ErrorType.UNAVAILABLE, False)
    assert api.channels["releases"].messages == []
    late = of_a_release("rollout-paused")
    await send(api.url, bot(), late.model_copy(update={"at": late.at - timedelta(minutes=1)}))
    assert [each.thread_ts for each in api.channels["releases"].messages] == [""]


async def test_a_repeated_answer_is_found_in_its_thread(api: SlackApi) -> None:
    await send(api.url, bot(), of_a_release("rollout-updated", opens_thread=True))
    first = await send(api.url, bot(), of_a_release("rollout-paused"))
    again = await send(api.url, bot(), of_a_release("rollout-paused"), attempt=2)
    assert again == first.model_copy(update={"created": False})
    assert len(api.channels["releases"].messages) == 2


@pytest.mark.parametrize(
    ("reason", "colour"),
    [("RolloutAborted", "#e01e5a"), ("RolloutPaused", "#ecb22e"), ("RolloutCompleted", "#2eb67d")],
)
async def test_a_message_has_a_colour_facts_and_buttons_that_link(api: SlackApi, reason: str, colour: str) -> None:
    told = notification(
        reason=reason,
        reading="error-rate is bad: 0.17 > 0.05",
        command="tidegate explain checkout -n payments",
        incident="INC1",
        incident_url="https://now/INC1",
        ci_url="javascript:alert(1)",
    )
    await send(api.url, bot(), told)
    [message] = api.channels["releases"].messages
    [attached] = message.attachments
    section, actions = attached["blocks"]
    assert attached["color"] == colour
    facts = [field["text"] for field in section["fields"]]
    assert "*Version*\nregistry/checkout:v7" in facts
    assert "*Weight*\n20 %" in facts
    assert "*Reading*\nerror-rate is bad: 0.17 &gt; 0.05" in facts
    assert "*Next*\ntidegate explain checkout -n payments" in facts
    assert [(button["text"]["text"], button["url"]) for button in actions["elements"]] == [
        ("Incident", "https://now/INC1")
    ]


async def test_the_chart_is_in_the_thread_once(api: SlackApi) -> None:
    told = of_a_release("rollout-aborted", opens_thread=True, chart=CHART)
    sent = await send(api.url, bot(), told)
    await send(api.url, bot(), told, attempt=2)
    with_files = [each for each in api.channels["releases"].messages if each.files]
    assert [(each.thread_ts, each.files) for each in with_files] == [(sent.reference, ("readings.png",))]
    [(_, picture)] = api.uploads.values()
    assert picture.startswith(b"\x89PNG")
