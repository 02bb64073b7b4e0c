"""One HTTP exchange with an outside system: limited in time and size, never redirected, nothing decoded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from activities.transport.egress import NotAllowedError
from activities.transport.masking import mask, mask_bytes

MAX_ANSWER_BYTES = 1024 * 1024
MAX_QUOTED_CHARACTERS = 2000
MAX_PORT = 65535


class TransportError(Exception):
    """No answer, or none within the limits; the text says what happened and holds no header or body of the request."""


@dataclass(frozen=True)
class HttpResponse:
    """The response of a server, whatever its status."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def quoted(self) -> str:
        """The body as text for a message, cut to a length that a history can hold."""
        text = self.body.decode(errors="replace")
        return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]}..."

    def masked(self, secrets: Collection[str]) -> HttpResponse:
        """The answer without them: a server may send back what it was sent."""
        if not any(secrets):
            return self
        shown = httpx.Headers([(name, mask(value, secrets)) for name, value in self.headers.multi_items()])
        return HttpResponse(self.status, shown, mask_bytes(self.body, secrets))

    def document(self) -> Any:
        """The body as JSON. Raises ValueError."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("the JSON is nested too deeply") from error


def redirect_refused(answer: HttpResponse, url: httpx.URL, setting: str) -> str:
    """Text for a redirect that was not followed, with its target and without any secret in it.

    `setting` is the field of the manifest that should have that target.
    """
    refused = "redirects are not followed, as credentials would go with them"
    try:
        target = url.join(answer.headers.get("location", "")).copy_with(query=None, fragment=None)
    except httpx.InvalidURL:
        return refused
    return f"{refused}: let {setting} be where it leads, {target.copy_with(username='', password='')}"


async def exchange(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    timeout: float,
    limit: int = MAX_ANSWER_BYTES,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    content: str | bytes | None = None,
    auth: httpx.Auth | None = None,
    confidential: Collection[str] = (),
) -> HttpResponse:
    """Send one request and read its response: `timeout` seconds for all of it, at most `limit` bytes of body.

    Redirects are responses like any other, so that credentials never travel to another host. The body comes as sent:
    compression is not accepted, because a small response could otherwise become a large one. `confidential` strings are
    masked in the response and in the error, wherever they come from.

    Raises TransportError.
    """
    sent = {**(headers or {}), "Accept-Encoding": "identity"}
    try:
        request = http.build_request(
            method, url, headers=sent, params=params, content=content, timeout=httpx.Timeout(timeout)
        )
        if (request.url.port or 0) > MAX_PORT:
            raise TransportError(f"there is no port {request.url.port}")
        async with asyncio.timeout(timeout):
            response = await http.send(request, stream=True, follow_redirects=False, auth=auth)
            try:
                answer = HttpResponse(response.status_code, response.headers, await _read(response, limit))
                return answer.masked(confidential)
            finally:
                await response.aclose()
    except (TimeoutError, httpx.TimeoutException) as error:
        raise TransportError(f"no complete answer within {timeout:g} s") from error
    except NotAllowedError as error:
        raise TransportError(str(error)) from error
    except (httpx.LocalProtocolError, UnicodeEncodeError):
        # Their texts quote the header at fault, which may be a key.
        raise TransportError("the request cannot be sent: a header holds characters that HTTP does not allow") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Its text may quote what the server sent, and with it what the server was sent.
        raise TransportError(mask(f"{type(error).__name__}: {error}", confidential)) from None


async def _read(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise TransportError(f"the answer is larger than {limit} bytes")
    return bytes(body)
