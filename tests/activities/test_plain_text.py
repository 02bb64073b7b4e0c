"""Text of others on its way out: into a commit, ServiceNow, Slack, a webhook and an Event of Kubernetes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes.answers import decode
from activities.kubernetes.client import ROLLOUTS
from activities.notifications.dispatch import Notifications
from activities.notifications.slack import Slack, SlackSettings
from activities.notifications.webhook import Webhook, WebhookSettings
from activities.servicenow.fields import plain_columns
from tests.activities.notification import notification
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tidegate.contract import Event, Target
from tidegate.manifests.limits import MAX_DEPTH, excesses
from tidegate.report.kubernetes_events import kubernetes_event

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202etxt\r\nsecond line"
HARMFUL = "\x1b\x07\x9b\u202e\r"


def is_harmless(text: str) -> bool:
    return not set(text) & set(HARMFUL)


def test_servicenow_gets_neither_escapes_nor_markup() -> None:
    sent = plain_columns(
        {"work_notes": f"{HOSTILE}\n[code]<script>alert(1)</script>[/code] [ CODE ]<b>", "x": "a < 0.01"}
    )
    assert is_harmless(sent["work_notes"])
    assert "second line" in sent["work_notes"]
    assert "[code]" not in sent["work_notes"].lower().replace(" ", "")
    assert "<script" not in sent["work_notes"]
    assert sent["x"] == "a < 0.01"


async def test_slack_and_webhooks_get_no_escapes() -> None:
    async with http_client() as http, Script() as server:
        server.then(200, {"ok": True, "ts": "1"})
        backend = Slack(
            MemorySecrets({"secret/tidegate/slack": {"token": "xoxb"}}), http, SlackSettings(api_url=server.url)
        )
        told = notification(message=HOSTILE)
        await run_activity(Notifications({"slack": backend}).send_notification, told)
        settings = WebhookSettings(url=server.url, secret_path="secret/hook")
        hook = Webhook("hook", MemorySecrets({"secret/hook": {"signing_key": "k"}}), http, settings)
        await run_activity(Notifications({"hook": hook}).send_notification, told.model_copy(update={"service": "hook"}))
    slack, webhook = (each.json for each in server.seen)
    assert is_harmless(slack["text"])
    assert "second line" in slack["text"]
    assert is_harmless(json.dumps(webhook, ensure_ascii=False))
    assert is_harmless(webhook["message"])


def test_an_event_in_the_cluster_is_harmless() -> None:
    event = Event(at=datetime(2026, 11, 1, tzinfo=UTC), reason="RolloutAborted", message=HOSTILE)
    told = kubernetes_event(event, target=Target(namespace="n", name="a"), uid="u", run="r", number=1)
    assert is_harmless(told["message"])


@pytest.mark.parametrize("name", ["../../x", "f0/scale", "f0?x=1", "f0#", "\u202ef0", "..", "F0"])
def test_no_name_leads_elsewhere_in_the_api(name: str) -> None:
    for namespace, given in (("payments", name), (name, "checkout")):
        with pytest.raises(ApplicationError, match="give the name of a Kubernetes") as refused:
            ROLLOUTS.path(namespace, given)
        assert refused.value.non_retryable


def test_one_object_that_is_nested_too_deeply_hides_no_other() -> None:
    deep = '{"metadata": {"name": "deep"}, "spec": ' + '{"a": ["]}", ' + '{"b":' * 50_000 + "1" + "}" * 50_000 + "]}}"
    items = f'{{"items": [{{"name": "[{{"}}, {deep}, {{"name": "\\"]"}}]}}'
    [first, second, last] = decode("GET", ROLLOUTS.path("payments"), 200, items.encode(), {})["items"]
    assert (first, last) == ({"name": "[{"}, {"name": '"]'})
    assert second["metadata"] == {"name": "deep"}
    assert any(f"deeper than {MAX_DEPTH} levels" in message for _, message, _ in excesses(second))
