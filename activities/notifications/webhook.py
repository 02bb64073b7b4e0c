"""Notifications as signed JSON to addresses of the worker's settings: a manifest names one and cannot add any."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field
from temporalio.exceptions import ApplicationError

from activities.notifications.templates import Templates
from activities.secrets.store import Secrets
from activities.transport.errors import failure, rejected, unavailable
from activities.transport.http import HttpResponse, TransportError, exchange, redirect_refused
from tidegate.contract import ErrorType, Notification, NotificationSent
from tidegate.manifests.plain_text import harmless_values

SIGNATURE: Final = "X-Tidegate-Signature"
TIMESTAMP: Final = "X-Tidegate-Timestamp"
MAX_BODY_BYTES: Final = 256 * 1024
_MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_DETAIL: Final = 200


class WebhookSettings(BaseModel):
    """One address. The secret at `secret_path` holds `signing_key`, and `url` unless it is given here.

    `timeout_seconds` limits one request.
    """

    model_config = ConfigDict(frozen=True)

    url: str = ""
    secret_path: str
    timeout_seconds: float = Field(default=15.0, gt=0)


def signature(key: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC of timestamp, a dot and the body, in hexadecimal digits."""
    return f"sha256={hmac.new(key.encode(), timestamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


class Webhook:
    """Any server that takes a POST; every attempt has the same `Idempotency-Key`. Implements the port `Backend`."""

    def __init__(
        self,
        name: str,
        secrets: Secrets,
        http: httpx.AsyncClient,
        settings: WebhookSettings,
        templates: Templates | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives unix seconds."""
        self._system = f"webhook {name}"
        self._secrets = secrets
        self._http = http
        self._settings = settings
        self._templates = templates or Templates()
        self._clock = clock

    async def send(self, notification: Notification, *, repeated: bool) -> NotificationSent:
        """Send the facts with their text. Only the receiver can find a repeated one, by its key."""
        text = self._templates.text(notification)
        body = json.dumps({"text": text, **harmless_values(notification.model_dump(mode="json"))}).encode()
        if len(body) > MAX_BODY_BYTES:
            raise rejected(self._system, f"the body would have {len(body)} bytes, more than {MAX_BODY_BYTES}")
        try:
            await self._post(notification, body)
        except ApplicationError as error:
            if error.type != ErrorType.UNAUTHORIZED:
                raise
            await self._post(notification, body, renew=True)
        return NotificationSent(service=notification.service, recipient=notification.recipient)

    async def _post(self, notification: Notification, body: bytes, *, renew: bool = False) -> None:
        path = self._settings.secret_path
        secret = await (self._secrets.refresh(path) if renew else self._secrets.read(path))
        url, key = self._settings.url or secret.get("url", ""), secret.get("signing_key", "")
        if not key:
            raise rejected(self._system, f"{path} needs signing_key: a receiver must be able to verify the sender")
        if not url.startswith(("https://", "http://")):
            raise rejected(self._system, f"no http(s) address: set it in the settings, or as url in {path}")
        now = self._clock()
        timestamp = str(int(now))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": notification.id,
            TIMESTAMP: timestamp,
            SIGNATURE: signature(key, timestamp, body),
        }
        try:
            answer = await exchange(
                self._http,
                "POST",
                url,
                timeout=self._settings.timeout_seconds,
                limit=_MAX_ANSWER_BYTES,
                headers=headers,
                content=body,
                confidential=(key, url, urlsplit(url).path.strip("/")),
            )
        except TransportError as error:
            raise unavailable(self._system, error) from None
        if not 200 <= answer.status < 300:
            raise self._refused(answer, url, key, now)

    def _refused(self, answer: HttpResponse, url: str, key: str, now: float) -> ApplicationError:
        if 300 <= answer.status < 400:
            where = redirect_refused(answer, httpx.URL(url), "the url of the webhook")
            # An address from the secret store is a secret, and a redirect often repeats a part of it.
            return rejected(self._system, where if self._settings.url else where.partition(":")[0])
        quoted = answer.quoted[:_MAX_DETAIL]
        return failure(self._system, answer.status, quoted, answer.headers, datetime.fromtimestamp(now, UTC))
