"""Bodies of webhooks for each service: one pure function each, from the same facts.

Names are those of Argo's notification engine where it has the service. Words of a manifest or a provider are shown as
text: it mentions no person and makes no link.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from activities.notifications.facts import Gravity, gravity, links, shown_facts
from tidegate.contract import Notification

Secret = Mapping[str, str]
Body = dict[str, Any] | list[Any]

_MARKDOWN: Final = re.compile(r"([\\`*_~|>\[\]()#])")
_COLOURS: Final = {Gravity.DONE: 0x2EB67D, Gravity.NEWS: 0x36C5F0, Gravity.WAITS: 0xECB22E, Gravity.HARM: 0xE01E5A}
_ENDED: Final = frozenset({"RolloutCompleted", "BakeCompleted"})  # an alert about the version is over
_ALERT_LASTS: Final = timedelta(hours=4)  # where no later notification ends it
_MAX_TEXT: Final = 1800  # characters; Discord takes 2000, Google Chat and Telegram 4096
_MAX_FACT: Final = 1000  # Discord takes 1024 characters of a field
_MAX_SUMMARY: Final = 1024  # of PagerDuty
_MAX_KEY: Final = 255  # of PagerDuty's deduplication


class WebhookFormat(StrEnum):
    """Service that a webhook's body is for; `signed` is Tidegate's own."""

    SIGNED = "signed"
    ALERTMANAGER = "alertmanager"
    DISCORD = "discord"
    GOOGLE_CHAT = "googlechat"
    GRAFANA = "grafana"
    MATTERMOST = "mattermost"
    PAGERDUTY = "pagerdutyv2"
    ROCKET_CHAT = "rocketchat"
    TEAMS = "teams"
    TELEGRAM = "telegram"


@dataclass(frozen=True)
class Content:
    """A notification with its text; `run_url` is the release in the Temporal UI, or empty."""

    notification: Notification
    text: str
    run_url: str = ""

    @property
    def gravity(self) -> Gravity:
        """Gravity of the event."""
        return gravity(self.notification)

    @property
    def rollout(self) -> str:
        """Namespace and name."""
        return f"{self.notification.namespace}/{self.notification.name}"

    def facts(self) -> Iterator[tuple[str, str]]:
        """Title and text of each fact, cut to what every service takes."""
        return ((title, text[:_MAX_FACT]) for title, text in shown_facts(self.notification))

    def links(self) -> Iterator[tuple[str, str]]:
        """Title and address of each link."""
        return links(self.notification, self.run_url)


@dataclass(frozen=True)
class Format:
    """Way to inform one service: its body, the secret's key that it cannot do without, and its usual address."""

    body: Callable[[Content, Secret], Body]
    needs: str = ""
    url: str = ""
    bearer: bool = False  # `token` of the secret, where there is one, goes into Authorization

    def headers(self, secret: Secret) -> dict[str, str]:
        """Headers of its own."""
        token = secret.get("token", "")
        return {"Authorization": f"Bearer {token}"} if self.bearer and token else {}


def _signed(content: Content, _: Secret) -> Body:
    return {"text": content.text, **content.notification.model_dump(mode="json")}


def _alertmanager(content: Content, _: Secret) -> Body:
    """Source: Alertmanager's API v2, POST /api/v2/alerts. The labels are the alert's identity: one for each version."""
    event = content.notification
    labels = {
        "alertname": "TidegateRelease",
        "cluster": event.cluster,
        "namespace": event.namespace,
        "rollout": event.name,
        "revision": str(event.revision),
        "severity": {Gravity.HARM: "critical", Gravity.WAITS: "warning"}.get(content.gravity, "info"),
    }
    ends = event.at if event.reason in _ENDED else event.at + _ALERT_LASTS
    return [
        {
            "labels": labels,
            "annotations": {
                "summary": content.text[:_MAX_TEXT],
                **{_snake(title): text for title, text in content.facts()},
            },
            "startsAt": event.at.isoformat(),
            "endsAt": ends.isoformat(),
            "generatorURL": content.run_url,
        }
    ]


def _discord(content: Content, _: Secret) -> Body:
    """Source: Discord's reference of webhooks and embeds."""
    fields = [{"name": title, "value": _escaped(text)[:_MAX_FACT], "inline": True} for title, text in content.facts()]
    where = "\n".join(f"[{title}]({url})" for title, url in content.links())
    return {
        "content": _escaped(content.text)[:_MAX_TEXT],
        "embeds": [{"color": _COLOURS[content.gravity], "description": where, "fields": fields}],
        "allowed_mentions": {"parse": []},
    }


def _google_chat(content: Content, _: Secret) -> Body:
    """Source: Google Chat's reference of cards, whose texts are a subset of HTML."""
    facts = [{"decoratedText": {"topLabel": t, "text": html.escape(text)}} for t, text in content.facts()]
    buttons = [{"text": title, "onClick": {"openLink": {"url": url}}} for title, url in content.links()]
    widgets: list[Body] = [
        {"textParagraph": {"text": html.escape(content.text[:_MAX_TEXT])}},
        *facts,
        *([{"buttonList": {"buttons": buttons}}] if buttons else []),
    ]
    card = {"header": {"title": content.rollout}, "sections": [{"widgets": widgets}]}
    return {"cardsV2": [{"cardId": "release", "card": card}]}


def _grafana(content: Content, _: Secret) -> Body:
    """Source: Grafana's HTTP API, POST /api/annotations; its time is in milliseconds."""
    event = content.notification
    tags = ["tidegate", event.reason, f"namespace:{event.namespace}", f"rollout:{event.name}"]
    return {"time": int(event.at.timestamp() * 1000), "tags": tags, "text": html.escape(content.text[:_MAX_TEXT])}


def _mattermost(content: Content, _: Secret) -> Body:
    """Source: Mattermost's and Rocket.Chat's reference of incoming webhooks, which have attachments as Slack had."""
    fields = [{"title": title, "value": _unmentioned(text), "short": True} for title, text in content.facts()]
    where = " ".join(f"[{title}]({url})" for title, url in content.links())
    event = content.notification
    attachment = {
        "color": f"#{_COLOURS[content.gravity]:06x}",
        "fallback": event.reason,
        "text": where,
        "fields": fields,
    }
    channel = {"channel": event.recipient} if event.recipient else {}
    return {"text": _unmentioned(content.text[:_MAX_TEXT]), "attachments": [attachment], **channel}


def _pagerduty(content: Content, secret: Secret) -> Body:
    """Source: PagerDuty's reference of the Events API v2. One alert for each version, resolved when it is stable."""
    event = content.notification
    key = (event.thread or f"{content.rollout}/{event.revision}")[-_MAX_KEY:]
    alert = {"routing_key": secret["routing_key"], "dedup_key": key}
    if event.reason in _ENDED:
        return {**alert, "event_action": "resolve"}
    severity = {Gravity.HARM: "critical", Gravity.WAITS: "warning"}.get(content.gravity, "info")
    return {
        **alert,
        "event_action": "trigger",
        "payload": {
            "summary": content.text[:_MAX_SUMMARY],
            "source": f"{event.cluster}/{content.rollout}",
            "severity": severity,
            "timestamp": event.at.isoformat(),
            "component": event.name,
            "group": event.namespace,
            "class": event.reason,
            "custom_details": {_snake(title): text for title, text in content.facts()},
        },
        "links": [{"href": url, "text": title} for title, url in content.links()],
    }


def _teams(content: Content, _: Secret) -> Body:
    """Source: Microsoft's reference of Adaptive Cards. Its rich text has no Markdown, so that no fact can be a link."""
    colour = {Gravity.DONE: "good", Gravity.WAITS: "warning", Gravity.HARM: "attention"}.get(content.gravity, "accent")
    title = {"type": "TextRun", "text": content.text[:_MAX_TEXT], "weight": "bolder", "color": colour}
    facts = [
        _rich({"type": "TextRun", "text": f"{name}: ", "weight": "bolder"}, {"type": "TextRun", "text": text})
        for name, text in content.facts()
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [_rich(title), *facts],
        "actions": [{"type": "Action.OpenUrl", "title": name, "url": url} for name, url in content.links()],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}


def _telegram(content: Content, _: Secret) -> Body:
    """Source: Telegram's Bot API, sendMessage; without a parse mode a text is only text."""
    lines = [content.text[:_MAX_TEXT], *(f"{title}: {text[:200]}" for title, text in content.facts())]
    return {"chat_id": content.notification.recipient, "text": "\n".join(lines), "disable_web_page_preview": True}


def _rich(*inlines: Body) -> Body:
    return {"type": "RichTextBlock", "inlines": list(inlines)}


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _unmentioned(text: str) -> str:
    """Text that mentions no person: a space of no width follows each @."""
    return _escaped(text).replace("@", "@\u200b")


def _snake(title: str) -> str:
    return title.lower().replace(" ", "_")


FORMATS: Final[Mapping[WebhookFormat, Format]] = {
    WebhookFormat.SIGNED: Format(_signed, needs="signing_key"),
    WebhookFormat.ALERTMANAGER: Format(_alertmanager, bearer=True),
    WebhookFormat.DISCORD: Format(_discord),
    WebhookFormat.GOOGLE_CHAT: Format(_google_chat),
    WebhookFormat.GRAFANA: Format(_grafana, needs="token", bearer=True),
    WebhookFormat.MATTERMOST: Format(_mattermost),
    WebhookFormat.PAGERDUTY: Format(_pagerduty, needs="routing_key", url="https://events.pagerduty.com/v2/enqueue"),
    WebhookFormat.ROCKET_CHAT: Format(_mattermost),
    WebhookFormat.TEAMS: Format(_teams),
    WebhookFormat.TELEGRAM: Format(_telegram),
}

NAMED: Final[Mapping[str, WebhookFormat]] = {
    **{each.value: each for each in WebhookFormat if each not in (WebhookFormat.SIGNED, WebhookFormat.DISCORD)},
    "teams-workflows": WebhookFormat.TEAMS,
}
"""Names of services in Argo's annotations; a webhook that has one must have its format."""
