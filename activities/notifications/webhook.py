"""Notifications as JSON to addresses of the worker's settings: a manifest names one and cannot add any."""

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

from activities.notifications.formats import FORMATS, Content, WebhookFormat
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
_WHY: Final = {
    "signing_key": "a receiver must be able to verify the sender",
    "routing_key": "it is the integration key of the PagerDuty service",
    "token": "it is a service account's, with the right to write annotations",
}


class WebhookSettings(BaseModel):
    """One address. The secret at `secret_path` holds the key that its format needs, and `url` unless it is given here.

    `timeout_seconds` limits one request.
    """

    model_config = ConfigDict(frozen=True)

    url: str = ""
    secret_path: str
    format: WebhookFormat = WebhookFormat.SIGNED
    timeout_seconds: float = Field(default=15.0, gt=0)


def signature(key: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC of timestamp, a dot and the body, in hexadecimal digits."""
    return f"sha256={hmac.new(key.encode(), timestamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def _signed(key: str, timestamp: str, body: bytes) -> dict[str, str]:
    """Headers that prove the sender, where the secret has a key for it."""
    return {TIMESTAMP: timestamp, SIGNATURE: signature(key, timestamp, body)} if key else {}


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
        content = Content(notification, self._templates.text(notification), self._templates.run_url(notification))
        try:
            await self._post(content)
        except ApplicationError as error:
            if error.type != ErrorType.UNAUTHORIZED:
                raise
            await self._post(content, renew=True)
        return NotificationSent(service=notification.service, recipient=notification.recipient)

    async def _post(self, content: Content, *, renew: bool = False) -> None:
        path, format_ = self._settings.secret_path, FORMATS[self._settings.format]
        secret = await (self._secrets.refresh(path) if renew else self._secrets.read(path))
        url = self._settings.url or secret.get("url", "") or format_.url
        if format_.needs and not secret.get(format_.needs):
            raise rejected(self._system, f"{path} needs {format_.needs}: {_WHY[format_.needs]}")
        if not url.startswith(("https://", "http://")):
            raise rejected(self._system, f"no http(s) address: set it in the settings, or as url in {path}")
        body = json.dumps(harmless_values(format_.body(content, secret))).encode()
        if len(body) > MAX_BODY_BYTES:
            raise rejected(self._system, f"the body would have {len(body)} bytes, more than {MAX_BODY_BYTES}")
        now = self._clock()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": content.notification.id,
            **format_.headers(secret),
            **_signed(secret.get("signing_key", ""), str(int(now)), body),
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
                confidential=(*secret.values(), url, urlsplit(url).path.strip("/")),
            )
        except TransportError as error:
            raise unavailable(self._system, error) from None
        if not 200 <= answer.status < 300:
            raise self._refused(answer, url, now)

    def _refused(self, answer: HttpResponse, url: str, now: float) -> ApplicationError:
        if 300 <= answer.status < 400:
            where = redirect_refused(answer, httpx.URL(url), "the url of the webhook")
            # An address from the secret store is a secret, and a redirect often repeats a part of it.
            return rejected(self._system, where if self._settings.url else where.partition(":")[0])
        quoted = answer.quoted[:_MAX_DETAIL]
        return failure(self._system, answer.status, quoted, answer.headers, datetime.fromtimestamp(now, UTC))
