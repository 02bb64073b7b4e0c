"""Authentication of HTTP providers, as a manifest configures it, and the handling of rejected credentials."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from activities.metrics.provider import ConfigError, RateLimitedError
from activities.transport.errors import retry_delay
from activities.transport.http import HttpResponse
from activities.transport.oauth2 import ClientCredentials, Send, TokenError, Tokens, basic, credential, masking
from tidegate.manifests.providers.authentication import Authentication, BasicAuth, Header, OAuth2

# Go's client leaves these out of what a manifest gives: they belong to the connection, and the client writes them.
_CONNECTION = frozenset({"Host", "Content-Length", "Transfer-Encoding", "Trailer"})


@dataclass(frozen=True)
class Access:
    """Credentials of one request: `account` is an Authorization header, or empty, without a client for `oauth2`."""

    account: str = field(repr=False)
    oauth2: ClientCredentials | None


def read_access(authentication: Authentication, url: httpx.URL) -> Access:
    """Credentials for `url`, which may hold a user. Raises ConfigError for half of a pair, and for unsupported ones.

    A user in the address comes before `basicAuth`, as in Go.
    """
    unsupported = authentication.unsupported()
    if unsupported:
        raise ConfigError(f"not supported by Tidegate: authentication.{unsupported[0]}")
    return Access(_account(authentication.basic_auth, url), _client(authentication.oauth2))


def sent_headers(headers: Iterable[Header]) -> dict[str, str]:
    """Headers by their canonical names (`X-Scope-Orgid`), the last of a name counting, as in Go."""
    named = {header.key.title(): header.value for header in headers}
    return {name: value for name, value in named.items() if name not in _CONNECTION}


class Authorizer:
    """Requests with the Authorization header that belongs to them; tokens are kept from one to the next."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives unix seconds."""
        self._clock = clock
        self._tokens = Tokens(clock)

    async def exchange(self, http: httpx.AsyncClient, access: Access, send: Send, *, timeout: float) -> HttpResponse:
        """Run `send` with the header, or without one; the credentials are masked in its result.

        `timeout` limits the fetch of a token, in seconds. Raises RateLimitedError for a 429, of the token's server too;
        TokenError, and the errors of `send`.
        """
        try:
            if access.oauth2 is None:
                answer = await masking(send, access.account, _secrets(access.account))
            else:
                answer = await self._tokens.exchange(
                    http, access.oauth2, lambda token: send(f"Bearer {token}"), timeout=timeout
                )
        except TokenError as error:
            self._check_rate(error.status, error.headers)
            raise
        self._check_rate(answer.status, answer.headers)
        return answer

    def _check_rate(self, status: int, headers: Mapping[str, str]) -> None:
        if status == 429:
            raise RateLimitedError(retry_delay(headers, datetime.fromtimestamp(self._clock(), UTC)))


def _account(given: BasicAuth, url: httpx.URL) -> str:
    for name, value in (("username", given.username), ("password", given.password)):
        if given != BasicAuth() and not value:
            raise ConfigError(f"missing mandatory parameter in metric for basic auth setup: {name}")
    if url.userinfo:
        return basic(url.username, url.password)
    return basic(given.username, given.password) if given.username else ""


def _client(given: OAuth2) -> ClientCredentials | None:
    if not given.token_url:
        return None
    if not given.client_id or not given.client_secret:
        raise ConfigError("missing mandatory parameter in metric for OAuth2 setup")
    return ClientCredentials(given.token_url, given.client_id, given.client_secret, given.scopes)


def _secrets(authorization: str) -> tuple[str, ...]:
    """Strings to mask of an Authorization header: all after its scheme, and the password in it."""
    given = credential(authorization)
    if not authorization.startswith("Basic "):
        return (given,)
    return given, base64.b64decode(given).decode().partition(":")[2]
