"""Access tokens by OAuth 2.0 client credentials (RFC 6749 §4.4), kept in memory until they end."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlencode

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from activities.transport.http import HttpResponse, TransportError, exchange
from activities.transport.masking import mask

# A token is replaced before it ends, so that it does not end on the way.
MARGIN_SECONDS = 60.0
# A server need not say how long a token lasts (RFC 6749 §5.1); one that ends earlier is replaced when it is refused.
UNSAID_LIFETIME_SECONDS = 300.0
MAX_LIFETIME_SECONDS = 24 * 3600.0

Send = Callable[[str], Awaitable[HttpResponse]]


@dataclass(frozen=True)
class ClientCredentials:
    """A client and its scopes for a token server.

    The credentials are sent as HTTP Basic, as every server has to accept (RFC 6749 §2.3.1), and in the form where a
    server refuses that.
    """

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    in_form: bool = False  # send the credentials in the form at once

    @property
    def secrets(self) -> tuple[str, ...]:
        """Strings to mask."""
        return self.client_secret, credential(basic(quote_plus(self.client_id), quote_plus(self.client_secret)))

    def request(self, *, in_form: bool) -> tuple[dict[str, str], str]:
        """Headers and body of the request for a token."""
        form = {"grant_type": "client_credentials"}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if self.scopes:
            form["scope"] = " ".join(self.scopes)
        if in_form:
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        else:
            headers["Authorization"] = basic(quote_plus(self.client_id), quote_plus(self.client_secret))
        return headers, urlencode(form)


class TokenError(Exception):
    """The server gave no token; the text holds nothing of its answer but the code of the error (RFC 6749 §5.2)."""

    def __init__(self, status: int, headers: Mapping[str, str], detail: str) -> None:
        super().__init__(f"oauth2: cannot fetch token: {status} {detail}")
        self.status = status
        self.headers = headers
        self.detail = detail


class _Answered(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    access_token: str = Field(min_length=1, max_length=8192, repr=False)
    expires_in: float | None = Field(None, ge=0)


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    until: float


class Tokens:
    """Tokens by the credentials that they were given for.

    However many ask through one client at one moment, one fetch serves them all. A fetch is not shared between clients,
    because one of them may be closed while others still wait.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives unix seconds."""
        self._clock = clock
        self._kept: dict[ClientCredentials, _Token] = {}
        self._fetches: dict[tuple[ClientCredentials, httpx.AsyncClient], asyncio.Task[_Token]] = {}

    async def exchange(
        self, http: httpx.AsyncClient, credentials: ClientCredentials, send: Send, *, timeout: float
    ) -> HttpResponse:
        """Run `send` with a token; a rejected one (401) is replaced and `send` runs once more.

        The token is masked in the result and in the error. `timeout` limits the fetch of a token, in seconds. Raises
        TokenError, TransportError and the errors of `send`.
        """
        token = await self.token(http, credentials, timeout=timeout)
        answer = await masking(send, token, (token,))
        if answer.status == 401:
            token = await self.token(http, credentials, timeout=timeout, refused=token)
            answer = await masking(send, token, (token,))
        return answer

    async def token(
        self, http: httpx.AsyncClient, credentials: ClientCredentials, *, timeout: float, refused: str = ""
    ) -> str:
        """A token that has not ended and is not `refused`. Raises TokenError, TransportError."""
        kept = self._kept.get(credentials)
        if kept is not None and kept.value != refused and self._clock() < kept.until:
            return kept.value
        fetch = self._fetches.get((credentials, http))
        if fetch is None:
            fetch = asyncio.create_task(self._fetch(http, credentials, timeout))
            self._fetches[credentials, http] = fetch
            fetch.add_done_callback(lambda fetch: self._fetched(credentials, http, fetch))
        # Others may wait for it too: that one of them is cancelled must not cancel the fetch.
        return (await asyncio.shield(fetch)).value

    def _fetched(self, credentials: ClientCredentials, http: httpx.AsyncClient, fetch: asyncio.Task[_Token]) -> None:
        del self._fetches[credentials, http]
        if fetch.cancelled() or fetch.exception() is not None:
            return
        now = self._clock()
        self._kept = {key: token for key, token in self._kept.items() if now < token.until}
        self._kept[credentials] = fetch.result()

    async def _fetch(self, http: httpx.AsyncClient, credentials: ClientCredentials, timeout: float) -> _Token:
        started = self._clock()
        answer = await self._request_token(http, credentials, timeout, in_form=credentials.in_form)
        if not credentials.in_form and answer.status in (400, 401, 403):
            answer = await self._request_token(http, credentials, timeout, in_form=True)
        if answer.status != 200:
            raise TokenError(answer.status, answer.headers, _code(answer))
        try:
            token = _Answered.model_validate_json(answer.body)
        except ValidationError:
            raise TokenError(answer.status, answer.headers, "the answer holds no token") from None
        lifetime = UNSAID_LIFETIME_SECONDS if token.expires_in is None else min(token.expires_in, MAX_LIFETIME_SECONDS)
        return _Token(token.access_token, started + lifetime - min(MARGIN_SECONDS, lifetime / 2))

    async def _request_token(
        self, http: httpx.AsyncClient, credentials: ClientCredentials, timeout: float, *, in_form: bool
    ) -> HttpResponse:
        headers, content = credentials.request(in_form=in_form)
        url = credentials.token_url
        try:
            return await exchange(
                http, "POST", url, timeout=timeout, headers=headers, content=content, confidential=credentials.secrets
            )
        except TransportError as error:
            raise TransportError(f"oauth2: cannot fetch token: {error}") from None


async def masking(send: Send, given: str, secrets: Collection[str]) -> HttpResponse:
    """Run `send` and mask the secrets in its result. Raises its errors, masked, too."""
    try:
        answer = await send(given)
    except TransportError as error:
        raise TransportError(mask(str(error), secrets)) from None
    return answer.masked(secrets)


def credential(authorization: str) -> str:
    """The part of an Authorization header after the scheme."""
    return authorization.rpartition(" ")[2]


def basic(user: str, password: str) -> str:
    """The value of an Authorization header for HTTP Basic (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _code(answer: HttpResponse) -> str:
    # Only the code is quoted: what else stands there is not known to be free of the credentials.
    try:
        code = answer.document()["error"]
    except (ValueError, KeyError, TypeError):
        return "no token"
    return code if isinstance(code, str) and code.isidentifier() and len(code) <= 50 else "no token"
