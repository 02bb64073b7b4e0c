"""The embedded Slack: the methods of the Web API that a bot needs, an incoming webhook, and a page for people."""

from __future__ import annotations

import hmac
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from sandbox.processes import LOOPBACK
from sandbox.rate_limit import RateLimit
from sandbox.slack.messages import Channel, Message
from sandbox.slack.page import channel_page

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_BODY_BYTES = 1024 * 1024
MAX_TEXT = 40_000
MAX_PAGE = 999
WEBHOOK_CHANNEL = "incoming-webhook"


class SlackApi:
    """A workspace with one bot. Everything is kept in memory and ends with it.

    `requests` counts what arrived, by path without the webhook's secret part. Limits are those that Slack documents,
    and may be changed: one message a second for each channel (bursts allowed), 50 looks into histories and 20 lists a
    minute.
    """

    def __init__(
        self,
        *,
        token: str,
        webhook_key: str,
        channels: tuple[str, ...] = ("releases",),
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.requests: Counter[str] = Counter()
        self.channels = {
            name: Channel(f"C{number:08d}", name) for number, name in enumerate((*channels, WEBHOOK_CHANNEL), start=1)
        }
        self.posting: dict[str, RateLimit] = {name: RateLimit(limit=60, period=60) for name in self.channels}
        self.history = RateLimit(limit=50, period=60)
        self.listing = RateLimit(limit=20, period=60)
        self.uploads: dict[str, tuple[str, bytes]] = {}  # id -> name and content
        self._token = token
        self._webhook_key = webhook_key
        self._clock = clock
        self._sent = 0
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base URL of the Web API."""
        return f"http://{LOOPBACK}:{self._port}/api"

    @property
    def webhook_url(self) -> str:
        """The incoming webhook's address, which is its credential."""
        return f"http://{LOOPBACK}:{self._port}/services/{self._webhook_key}"

    def page_url(self, channel: str) -> str:
        """The page that shows a channel."""
        return f"http://{LOOPBACK}:{self._port}/{channel}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                web.post("/api/auth.test", self._api(self._test)),
                web.post("/api/chat.postMessage", self._api(self._post)),
                web.get("/api/conversations.history", self._api(self._history)),
                web.get("/api/conversations.list", self._api(self._list)),
                web.get("/api/conversations.replies", self._api(self._replies)),
                web.get("/api/files.getUploadURLExternal", self._api(self._upload_slot)),
                web.post("/api/files.completeUploadExternal", self._api(self._complete_upload)),
                web.post("/upload/{file}", self._upload),
                web.post("/services/{key}", self._webhook),
                web.get("/{channel}", self._page),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening; the messages stay."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def replace_token(self, token: str) -> None:
        """The bot's token is another one from now on."""
        self._token = token

    # ------------------------------------------------------------------------------------------------------ Web API

    def _api(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            self.requests[request.path] += 1
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme != "Bearer" or not token:
                return _error("not_authed")
            if not hmac.compare_digest(token.encode(), self._token.encode()):
                return _error("invalid_auth")
            return await handler(request)

        return guarded

    async def _test(self, request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "team": "sandbox", "user": "tidegate", "bot_id": "B00000001"})

    async def _post(self, request: web.Request) -> web.Response:
        body = await _body(request)
        if body is None:
            return _error("invalid_json")
        text, metadata = body.get("text"), body.get("metadata")
        channel = self._channel(str(body.get("channel", "")))
        if channel is None:
            return _error("channel_not_found")
        if not channel.invited:
            return _error("not_in_channel")
        if not isinstance(text, str) or not text:
            return _error("no_text")
        if metadata is not None and not _is_metadata(metadata):
            return _error("invalid_metadata_format")
        if (rejection := self._rejection(self.posting[channel.name])) is not None:
            return rejection
        thread, attachments = body.get("thread_ts", ""), body.get("attachments", [])
        if thread and not any(each.ts == thread for each in channel.messages):
            return _error("thread_not_found")
        if not isinstance(attachments, list) or not all(map(_is_attachment, attachments)):
            return _error("invalid_attachments")
        message = self._add(channel, text, metadata)
        message.attachments, message.thread_ts = tuple(attachments), thread
        message.broadcast = body.get("reply_broadcast") is True
        return web.json_response({"ok": True, "channel": channel.id, "ts": message.ts, "message": {"text": text}})

    async def _history(self, request: web.Request) -> web.Response:
        if (rejection := self._rejection(self.history)) is not None:
            return rejection
        # As in Slack, a history is asked for by id only.
        channel = self._by_id(request.query.get("channel", ""))
        if channel is None:
            return _error("channel_not_found")
        if not channel.invited:
            return _error("not_in_channel")
        try:
            oldest = float(request.query.get("oldest", "0"))
        except ValueError:
            return _error("invalid_ts_oldest")
        shown = request.query.get("include_all_metadata") in ("1", "true")
        seen = [each for each in channel.messages if not each.thread_ts or each.broadcast]
        rows = [_row(each, shown) for each in reversed(seen) if float(each.ts) > oldest]
        return _page_of(request, "messages", rows)

    async def _replies(self, request: web.Request) -> web.Response:
        if (rejection := self._rejection(self.history)) is not None:
            return rejection
        channel, thread = self._by_id(request.query.get("channel", "")), request.query.get("ts", "")
        if channel is None:
            return _error("channel_not_found")
        rows = [each for each in channel.messages if thread in (each.ts, each.thread_ts)]
        if not rows:
            return _error("thread_not_found")
        shown = request.query.get("include_all_metadata") in ("1", "true")
        return _page_of(request, "messages", [_row(each, shown) for each in rows])

    async def _upload_slot(self, request: web.Request) -> web.Response:
        name, length = request.query.get("filename", ""), request.query.get("length", "")
        if not name or not length.isdecimal() or int(length) == 0:
            return _error("invalid_arguments")
        file = f"F{len(self.uploads) + 1:08d}"
        self.uploads[file] = (name, b"")
        url = f"http://{LOOPBACK}:{self._port}/upload/{file}"
        return web.json_response({"ok": True, "upload_url": url, "file_id": file})

    async def _upload(self, request: web.Request) -> web.Response:
        file = request.match_info["file"]
        if file not in self.uploads:
            raise web.HTTPNotFound
        self.uploads[file] = (self.uploads[file][0], await request.read())
        return web.Response(text="OK")

    async def _complete_upload(self, request: web.Request) -> web.Response:
        body = await _body(request) or {}
        channel, files = self._by_id(str(body.get("channel_id", ""))), body.get("files")
        if channel is None:
            return _error("channel_not_found")
        if not isinstance(files, list) or not all(isinstance(e, dict) and e.get("id") in self.uploads for e in files):
            return _error("file_not_found")
        message = self._add(channel, "", None)
        message.thread_ts = str(body.get("thread_ts", ""))
        message.files = tuple(self.uploads[each["id"]][0] for each in files)
        message.contents = tuple(self.uploads[each["id"]][1] for each in files)
        return web.json_response({"ok": True, "files": files})

    def _by_id(self, channel: str) -> Channel | None:
        return next((each for each in self.channels.values() if each.id == channel), None)

    async def _list(self, request: web.Request) -> web.Response:
        if (rejection := self._rejection(self.listing)) is not None:
            return rejection
        kinds = request.query.get("types", "public_channel").split(",")
        rows = [
            {"id": each.id, "name": each.name, "is_private": each.private, "is_member": each.invited}
            for each in self.channels.values()
            if ("private_channel" if each.private else "public_channel") in kinds
        ]
        return _page_of(request, "channels", rows)

    def _channel(self, name: str) -> Channel | None:
        return next((each for each in self.channels.values() if name.removeprefix("#") in (each.id, each.name)), None)

    def _add(self, channel: Channel, text: str, metadata: Mapping[str, Any] | None) -> Message:
        self._sent += 1
        message = Message(f"{int(self._clock())}.{self._sent:06d}", text[:MAX_TEXT], metadata)
        channel.messages.append(message)
        return message

    def _rejection(self, limit: RateLimit) -> web.Response | None:
        now = self._clock()
        taken = limit.take(now)
        if taken.allowed:
            return None
        wait = str(max(1, round(taken.reset_at - now)))
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": wait})

    # ------------------------------------------------------------------------------------------- webhook, and the page

    async def _webhook(self, request: web.Request) -> web.Response:
        self.requests["/services"] += 1
        if not hmac.compare_digest(request.match_info["key"].encode(), self._webhook_key.encode()):
            return web.Response(status=404, text="no_service")
        body = await _body(request)
        if body is None:
            return web.Response(status=400, text="invalid_payload")
        if not isinstance(body.get("text"), str) or not body["text"]:
            return web.Response(status=400, text="no_text")
        if self._rejection(self.posting[WEBHOOK_CHANNEL]) is not None:
            return web.Response(status=429, text="rate_limited", headers={"Retry-After": "1"})
        message = self._add(self.channels[WEBHOOK_CHANNEL], body["text"], None)
        message.attachments = tuple(body.get("attachments", ()))
        return web.Response(text="ok")

    async def _page(self, request: web.Request) -> web.Response:
        channel = self.channels.get(request.match_info["channel"])
        if channel is None:
            raise web.HTTPNotFound(text=f"There is no such channel; there are: {', '.join(self.channels)}.")
        # Nothing on a page may load from elsewhere or run, whatever a message says.
        policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        page = channel_page(channel)
        return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": policy})


def _is_metadata(metadata: object) -> bool:
    return (
        isinstance(metadata, dict)
        and isinstance(metadata.get("event_type"), str)
        and isinstance(metadata.get("event_payload"), dict)
    )


def _row(message: Message, shown: bool) -> dict[str, Any]:
    metadata = {"metadata": message.metadata} if shown and message.metadata is not None else {}
    thread = {"thread_ts": message.thread_ts} if message.thread_ts else {}
    files = {"files": [{"name": name} for name in message.files]} if message.files else {}
    return {"type": "message", "ts": message.ts, "text": message.text, **metadata, **thread, **files}


def _is_attachment(value: object) -> bool:
    """True for a colour and blocks, whose buttons have an address each."""
    if not isinstance(value, dict) or not isinstance(value.get("blocks"), list):
        return False
    buttons = [each for block in value["blocks"] for each in block.get("elements", ())]
    return all(each.get("type") == "button" and each.get("url") for each in buttons)


def _page_of(request: web.Request, name: str, rows: list[dict[str, Any]]) -> web.Response:
    """One page of the rows; a cursor is the number of the row that the next page begins with."""
    cursor, limit = request.query.get("cursor") or "0", request.query.get("limit", "100")
    if not cursor.isdecimal():
        return _error("invalid_cursor")
    if not limit.isdecimal() or not 1 <= int(limit) <= MAX_PAGE:
        return _error("invalid_limit")
    start, end = int(cursor), int(cursor) + int(limit)
    following = str(end) if end < len(rows) else ""
    return web.json_response({"ok": True, name: rows[start:end], "response_metadata": {"next_cursor": following}})


async def _body(request: web.Request) -> Mapping[str, Any] | None:
    try:
        body = json.loads(await request.read())
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _error(error: str) -> web.Response:
    return web.json_response({"ok": False, "error": error})
