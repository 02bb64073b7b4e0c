"""Bodies of webhooks for the services that want one of their own."""

from __future__ import annotations

import html
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.notifications.dispatch import Notifications
from activities.notifications.formats import FORMATS, NAMED, Content, WebhookFormat
from activities.notifications.webhook import Webhook, WebhookSettings
from tests.activities.notification import notification
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tidegate.contract import Notification
from tidegate.report.notifications import UNSUPPORTED_SERVICES

PATH = "secret/tidegate/webhooks/on-call"
SECRET = {"routing_key": "0123456789abcdef0123456789abcdef", "token": "glsa_0123456789abcdef", "signing_key": "k" * 16}
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
READING = "error-rate: 0.2, allowed is result < 0.05"
RUN = "https://temporal.internal/run"
ABORTED = notification(at=AT, reading=READING, step=2, steps=4, step_text="setWeight: 20", thread="payments/checkout/7")
EVERY = pytest.mark.parametrize("format_", WebhookFormat)


def body(format_: WebhookFormat, event: Notification = ABORTED, text: str = "Rollout aborted") -> Any:
    return FORMATS[format_].body(Content(event, text, RUN), SECRET)


def texts(value: Any) -> list[str]:
    """Every text in it."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []


@EVERY
def test_every_body_is_json_with_the_text(format_: WebhookFormat) -> None:
    assert "Rollout aborted" in " ".join(texts(json.loads(json.dumps(body(format_)))))


@pytest.mark.parametrize("format_", [each for each in WebhookFormat if each != WebhookFormat.GRAFANA])
def test_every_body_but_an_annotations_has_the_version_and_the_reading(format_: WebhookFormat) -> None:
    said = html.unescape("".join(texts(body(format_))).replace("\\", ""))
    assert "registry/checkout:v7" in said
    assert READING in said


@pytest.mark.parametrize(
    ("format_", "mention"),
    [
        (WebhookFormat.MATTERMOST, "@channel"),
        (WebhookFormat.ROCKET_CHAT, "@here"),
        (WebhookFormat.MATTERMOST, "[x](https://evil.test)"),
        (WebhookFormat.DISCORD, "[x](https://evil.test)"),
        (WebhookFormat.GOOGLE_CHAT, "<users/all>"),
        (WebhookFormat.GOOGLE_CHAT, '<a href="https://evil.test">x</a>'),
        (WebhookFormat.GRAFANA, "<script>"),
    ],
)
def test_words_of_others_mention_nobody_and_make_no_link(format_: WebhookFormat, mention: str) -> None:
    sent = body(format_, ABORTED.model_copy(update={"reading": mention}), text=f"aborted: {mention}")
    assert not any(mention in text for text in texts(sent))


def test_discord_mentions_nobody_whatever_a_text_says() -> None:
    assert body(WebhookFormat.DISCORD)["allowed_mentions"] == {"parse": []}


def test_a_card_of_teams_has_no_text_that_is_read_as_markdown() -> None:
    card = body(WebhookFormat.TEAMS)["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Release", "url": RUN}]


def test_an_alert_of_pagerduty_is_resolved_by_its_version() -> None:
    opened = body(WebhookFormat.PAGERDUTY)
    done = body(WebhookFormat.PAGERDUTY, ABORTED.model_copy(update={"reason": "RolloutCompleted"}))
    assert (opened["event_action"], opened["payload"]["severity"]) == ("trigger", "critical")
    assert done == {**{k: opened[k] for k in ("routing_key", "dedup_key")}, "event_action": "resolve"}


def test_an_alert_of_alertmanager_ends_by_its_version() -> None:
    [opened] = body(WebhookFormat.ALERTMANAGER)
    [done] = body(WebhookFormat.ALERTMANAGER, ABORTED.model_copy(update={"reason": "RolloutCompleted"}))
    identity = {key: value for key, value in opened["labels"].items() if key != "severity"}
    assert identity.items() <= done["labels"].items()
    assert done["endsAt"] == AT.isoformat() < opened["endsAt"]


def test_a_recipient_is_the_chat_of_telegram_and_the_channel_of_mattermost() -> None:
    assert body(WebhookFormat.TELEGRAM)["chat_id"] == body(WebhookFormat.MATTERMOST)["channel"] == "releases"


@pytest.mark.parametrize("format_", [each for each in WebhookFormat if each != WebhookFormat.SIGNED])
def test_a_text_without_end_is_cut(format_: WebhookFormat) -> None:
    assert max(map(len, texts(body(format_, text="x" * 100_000)))) < 2_400


async def post(format_: WebhookFormat, secret: dict[str, str], **settings: Any) -> Script:
    async with Script().then(202) as server, http_client() as http:
        where = WebhookSettings(url=server.url, secret_path=PATH, format=format_, **settings)
        backend = Webhook("on-call", MemorySecrets({PATH: secret}), http, where)
        event = ABORTED.model_copy(update={"service": "on-call"})
        await run_activity(Notifications({"on-call": backend}).send_notification, event)
    return server


async def test_a_token_is_sent_where_the_service_asks_for_one() -> None:
    [seen] = (await post(WebhookFormat.GRAFANA, {"token": SECRET["token"]})).seen
    assert seen.headers["Authorization"] == f"Bearer {SECRET['token']}"
    assert "X-Tidegate-Signature" not in seen.headers
    assert seen.json["time"] == int(AT.timestamp() * 1000)


@pytest.mark.parametrize(
    ("format_", "key"), [(f, FORMATS[f].needs) for f in WebhookFormat if FORMATS[f].needs], ids=lambda each: str(each)
)
async def test_a_secret_without_the_key_is_refused_by_its_name(format_: WebhookFormat, key: str) -> None:
    with pytest.raises(ApplicationError, match=f"{PATH} needs {key}") as caught:
        await post(format_, {})
    assert caught.value.non_retryable


def test_no_service_that_is_there_is_called_unsupported() -> None:
    assert not NAMED.keys() & UNSUPPORTED_SERVICES
