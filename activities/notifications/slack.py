"""Notifications in Slack, by a bot's token or an incoming webhook. Source: Slack's reference of its Web API."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field
from temporalio.exceptions import ApplicationError

from activities.charts import draw
from activities.notifications.slack_layout import attachment
from activities.notifications.templates import Templates
from activities.secrets.store import Secrets
from activities.transport.errors import failure, rate_limited, rejected, retry_delay, unavailable
from activities.transport.http import HttpResponse, TransportError, exchange
from tidegate.contract import ErrorType, Notification, NotificationSent

log = structlog.get_logger(__name__)

SYSTEM: Final = "Slack"
EVENT_TYPE: Final = "tidegate_notice"
MAX_TEXT: Final = 4000  # of one message, in characters; Slack itself cuts at 40 000
_MAX_PAGES: Final = 20
_HISTORY_LIMIT: Final = 200
_CHANNELS_LIMIT: Final = 999
_CLOCK_TOLERANCE_SECONDS: Final = 60  # between the clocks of Temporal and Slack
_MAX_DETAIL: Final = 200
_THREAD_PATIENCE_SECONDS: Final = 30
_MAX_THREADS: Final = 1000  # whose first message is remembered
CHART: Final = "readings.png"
# Triggers whose messages are seen in the channel too, not in the thread alone.
BROADCAST: Final = frozenset({"on-rollout-aborted", "on-rollout-completed", "on-compensation-failed"})
_ID: Final = re.compile(r"[CG][A-Z0-9]{7,20}")
_NAME: Final = re.compile(r"[^\sA-Z#@<>]{1,80}")

_UNAUTHORIZED: Final = frozenset(
    {"account_inactive", "invalid_auth", "missing_scope", "not_authed", "token_expired", "token_revoked"}
)
_RATE_LIMITED: Final = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited"})
_UNAVAILABLE: Final = frozenset(
    {"fatal_error", "internal_error", "request_timeout", "rollup_error", "service_unavailable", "team_added_to_org"}
)
# An incoming webhook's address is its credential: these say that it counts no more.
_DEAD_WEBHOOK: Final = frozenset({"invalid_token", "no_active_hooks", "no_service", "no_service_id", "no_team"})


class SlackSettings(BaseModel):
    """Access to Slack. The secret at `secret_path` holds `token`, or else `webhook_url`."""

    model_config = ConfigDict(frozen=True)

    api_url: str = "https://slack.com/api"
    secret_path: str = "secret/tidegate/slack"  # noqa: S105  a path
    timeout_seconds: float = Field(default=15.0, gt=0)  # of one request


@dataclass(frozen=True)
class _Access:
    token: str = field(repr=False)
    webhook_url: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Strings to mask; the path of a webhook is enough to post."""
        return self.token, self.webhook_url, urlsplit(self.webhook_url).path.strip("/")


def escaped(text: str) -> str:
    """A value as text of mrkdwn: nothing in it can be a link, or call a channel together."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Slack:
    """One workspace. Implements the port `Backend`.

    A message by token has the notification's id as metadata, and a repeated attempt searches for it first. An incoming
    webhook has no history, so a message by it may come twice when a worker dies in between.
    """

    def __init__(
        self,
        secrets: Secrets,
        http: httpx.AsyncClient,
        settings: SlackSettings | None = None,
        templates: Templates | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives unix seconds."""
        self._secrets = secrets
        self._http = http
        self._settings = settings or SlackSettings()
        self._templates = templates or Templates()
        self._clock = clock
        self._threads: dict[tuple[str, str], str] = {}

    async def send(self, notification: Notification, *, repeated: bool) -> NotificationSent:
        """Post the message, unless it exists; after a rejected credential it is read again and tried once more."""
        try:
            return await self._send(await self._access(), notification, repeated=repeated)
        except ApplicationError as error:
            if error.type != ErrorType.UNAUTHORIZED:
                raise
        return await self._send(await self._access(renew=True), notification, repeated=repeated)

    async def probe(self) -> str:
        """Whose token it is, by `auth.test`, which posts nothing. Raises ApplicationError as `send`."""
        access = await self._access(renew=True)
        if not access.token:
            return "an incoming webhook is set; only a message would try it"
        found = await self._call(access, "auth.test", body={})
        return f"token of {str(found.get('user', ''))[:_MAX_DETAIL]} in {str(found.get('team', ''))[:_MAX_DETAIL]}"

    async def _access(self, *, renew: bool = False) -> _Access:
        path = self._settings.secret_path
        secret = await (self._secrets.refresh(path) if renew else self._secrets.read(path))
        access = _Access(secret.get("token", ""), secret.get("webhook_url", ""))
        if not access.token and not access.webhook_url.startswith(("https://", "http://")):
            raise rejected(SYSTEM, f"{path} needs token, or webhook_url with an http(s) address")
        return access

    async def _send(self, access: _Access, notification: Notification, *, repeated: bool) -> NotificationSent:
        text = _cut(self._templates.text(notification, escaped))
        content: dict[str, Any] = {
            "text": text,
            "attachments": [attachment(notification, self._templates.run_url(notification), escaped)],
        }
        if not access.token:
            await self._post_to_webhook(access, content)
            return NotificationSent(service=notification.service, recipient=notification.recipient)
        channel = _channel(notification.recipient)
        thread = await self._thread(access, channel, notification)
        found = await self._find(access, channel, notification, thread) if repeated else ""
        posted = found or await self._post(access, channel, notification, content, thread)
        if notification.chart is not None:
            await self._attach_chart(access, channel, notification, thread or posted, repeated=bool(found))
        return NotificationSent(
            service=notification.service, recipient=notification.recipient, reference=posted, created=not found
        )

    async def _post(
        self, access: _Access, channel: str, notification: Notification, content: Mapping[str, Any], thread: str
    ) -> str:
        """Post a message, in its thread where there is one; return its timestamp."""
        payload = {"id": notification.id, "thread": notification.thread if notification.opens_thread else ""}
        body: dict[str, Any] = {
            **content,
            "channel": channel,
            "unfurl_links": False,
            "metadata": {"event_type": EVENT_TYPE, "event_payload": payload},
        }
        if thread:
            body |= {"thread_ts": thread, "reply_broadcast": notification.trigger in BROADCAST}
        return str((await self._call(access, "chat.postMessage", body=body)).get("ts", ""))[:40]

    async def _thread(self, access: _Access, channel: str, notification: Notification) -> str:
        """Timestamp of the message that opened the version's thread, "" for a message of its own.

        The opening message may still be on its way: for `_THREAD_PATIENCE_SECONDS` a later one raises `Unavailable`.
        """
        if not notification.thread or notification.opens_thread:
            return ""
        key = (channel, notification.thread)
        if key not in self._threads:
            query = {
                "channel": await self._channel_id(access, channel),
                "include_all_metadata": "true",
                "limit": str(_HISTORY_LIMIT),
            }
            found = await self._first(access, "conversations.history", query, "thread", notification.thread)
            if not found:
                if self._clock() - notification.at.timestamp() < _THREAD_PATIENCE_SECONDS:
                    raise unavailable(SYSTEM, "the first message of this release is not there yet")
                return ""
            if len(self._threads) >= _MAX_THREADS:
                self._threads.pop(next(iter(self._threads)))
            self._threads[key] = found
        return self._threads[key]

    async def _attach_chart(
        self, access: _Access, channel: str, notification: Notification, thread: str, *, repeated: bool
    ) -> None:
        """Upload the chart of the readings into the thread. A workspace that takes no files only has no picture."""
        chart = notification.chart
        if chart is None:
            return
        where = await self._channel_id(access, channel)
        try:
            if repeated and await self._has_chart(access, where, thread):
                return
            png = await asyncio.to_thread(draw, chart)
            query = {"filename": CHART, "length": str(len(png))}
            slot = await self._call(access, "files.getUploadURLExternal", query=query)
            url, file = str(slot.get("upload_url", "")), str(slot.get("file_id", ""))
            headers = {"Content-Type": "application/octet-stream"}
            answer = await self._exchange(access, "POST", url, headers, None, png)
            if answer.status != 200:
                raise self._failure(access, "upload of the chart", answer)
            body = {"files": [{"id": file, "title": CHART}], "channel_id": where, "thread_ts": thread}
            await self._call(access, "files.completeUploadExternal", body=body)
        except ApplicationError as error:
            if error.type == ErrorType.RATE_LIMITED:
                raise
            log.warning("the chart was not attached", id=notification.id, error=str(error))

    async def _has_chart(self, access: _Access, channel: str, thread: str) -> bool:
        query = {"channel": channel, "ts": thread, "limit": str(_HISTORY_LIMIT)}
        page = await self._call(access, "conversations.replies", query=query)
        rows = _rows(page, "messages", "conversations.replies")
        files = [each for row in rows for each in row.get("files") or () if isinstance(each, dict)]
        return any(each.get("name") == CHART for each in files)

    async def _find(self, access: _Access, channel: str, notification: Notification, thread: str) -> str:
        """Timestamp of the message with the notification's id, "" when there is none."""
        query = {
            "channel": await self._channel_id(access, channel),
            "include_all_metadata": "true",
            "oldest": f"{notification.at.timestamp() - _CLOCK_TOLERANCE_SECONDS:.6f}",
            "limit": str(_HISTORY_LIMIT),
            **({"ts": thread} if thread else {}),
        }
        method = "conversations.replies" if thread else "conversations.history"
        return await self._first(access, method, query, "id", notification.id)

    async def _first(self, access: _Access, method: str, query: dict[str, str], key: str, value: str) -> str:
        """Timestamp of the first message with that value in its metadata, "" when there is none."""
        for _ in range(_MAX_PAGES):
            page = await self._call(access, method, query=query)
            for message in _rows(page, "messages", method):
                if _metadata(message, key) == value:
                    return str(message.get("ts", ""))[:40]
            if not (cursor := _next(page)):
                return ""
            query["cursor"] = cursor
        log.warning("the channel has more messages than are looked through", channel=query["channel"], value=value)
        return ""

    async def _channel_id(self, access: _Access, channel: str) -> str:
        """Id of a channel: unlike a post, a read of the history needs it."""
        if _ID.fullmatch(channel):
            return channel
        # One kind after the other: private channels need a scope of their own, and a bot may do without.
        for kind in ("public_channel", "private_channel"):
            if found := await self._listed(access, channel, kind):
                return found
        raise rejected(SYSTEM, f"channel {channel!r} is not to be seen: invite the bot, or name it by its id")

    async def _listed(self, access: _Access, channel: str, kind: str) -> str:
        """Id of a channel of one kind, "" when none is listed."""
        query = {"types": kind, "exclude_archived": "true", "limit": str(_CHANNELS_LIMIT)}
        for _ in range(_MAX_PAGES):
            page = await self._call(access, "conversations.list", query=query)
            for row in _rows(page, "channels", "conversations.list"):
                if row.get("name") == channel and isinstance(row.get("id"), str):
                    return str(row["id"])
            if not (cursor := _next(page)):
                break
            query["cursor"] = cursor
        return ""

    # -------------------------------------------------------------------------------------------------------- exchange

    async def _call(
        self,
        access: _Access,
        method: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {access.token}", "Content-Type": "application/json; charset=utf-8"}
        url = f"{self._settings.api_url.rstrip('/')}/{method}"
        content = json.dumps(body) if body is not None else None
        verb = "GET" if body is None else "POST"
        answer = await self._exchange(access, verb, url, headers, query, content)
        if answer.status != 200:
            raise self._failure(access, method, answer)
        try:
            document = answer.document()
        except ValueError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("ok"), bool):
            raise unavailable(SYSTEM, f"{method}: the answer is not the Web API's")
        if not document["ok"]:
            raise self._refused(access, method, str(document.get("error", ""))[:_MAX_DETAIL], answer)
        return document

    async def _post_to_webhook(self, access: _Access, content: Mapping[str, Any]) -> None:
        what, headers = "incoming webhook", {"Content-Type": "application/json"}
        answer = await self._exchange(access, "POST", access.webhook_url, headers, None, json.dumps(content))
        text = answer.quoted.strip()[:_MAX_DETAIL]
        if answer.status == 200:
            # Anything but a bare "ok" comes from something that stands in between.
            if text != "ok":
                raise unavailable(SYSTEM, f"{what}: the answer is not ok but {text!r}")
        elif text in _DEAD_WEBHOOK | _RATE_LIMITED | _UNAVAILABLE or 400 <= answer.status < 408:
            raise self._refused(access, what, text, answer)
        else:
            raise self._failure(access, what, answer)

    async def _exchange(
        self,
        access: _Access,
        method: str,
        url: str,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None,
        content: str | bytes | None,
    ) -> HttpResponse:
        timeout = self._settings.timeout_seconds
        try:
            return await exchange(
                self._http,
                method,
                url,
                timeout=timeout,
                headers=headers,
                params=query,
                content=content,
                confidential=access.secrets,
            )
        except TransportError as error:
            raise unavailable(SYSTEM, error) from None

    def _failure(self, access: _Access, what: str, answer: HttpResponse) -> ApplicationError:
        quoted = answer.quoted[:_MAX_DETAIL]
        return failure(SYSTEM, answer.status, f"{what}: {quoted}", answer.headers, self._now())

    def _refused(self, access: _Access, what: str, error: str, answer: HttpResponse) -> ApplicationError:
        """The failure for one of Slack's own words for what went wrong."""
        message = f"{SYSTEM}: {what}: {error}"
        if error in _RATE_LIMITED:
            return rate_limited(message, retry_delay(answer.headers, self._now()))
        if error in _UNAUTHORIZED | _DEAD_WEBHOOK or answer.status == 401:
            return ApplicationError(message, type=ErrorType.UNAUTHORIZED)
        if error in _UNAVAILABLE:
            return ApplicationError(message, type=ErrorType.UNAVAILABLE)
        return ApplicationError(message, type=ErrorType.REJECTED, non_retryable=True)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _channel(recipient: str) -> str:
    name = recipient.removeprefix("#")
    if not _ID.fullmatch(name) and not _NAME.fullmatch(name):
        raise rejected(SYSTEM, f"{recipient[:80]!r} is no channel: its name without capitals, or its id (C...)")
    return name


def _cut(text: str) -> str:
    """At most `MAX_TEXT` characters, with no escaped one cut in two."""
    if len(text) <= MAX_TEXT:
        return text
    return re.sub(r"&[a-z]{0,3}$", "", text[: MAX_TEXT - 3]) + "..."


def _rows(page: Mapping[str, Any], name: str, method: str) -> list[Mapping[str, Any]]:
    rows = page.get(name)
    if not isinstance(rows, list):
        raise unavailable(SYSTEM, f"{method}: the answer has no list {name!r}")
    return [row for row in rows if isinstance(row, dict)]


def _next(page: Mapping[str, Any]) -> str:
    metadata = page.get("response_metadata")
    cursor = metadata.get("next_cursor") if isinstance(metadata, dict) else None
    return cursor if isinstance(cursor, str) and len(cursor) <= 1000 else ""


def _metadata(message: Mapping[str, Any], key: str) -> str:
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
        return ""
    payload = metadata.get("event_payload")
    return str(payload.get(key, "")) if isinstance(payload, dict) else ""
