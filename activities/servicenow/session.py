"""A session with a ServiceNow instance: credentials from the secret store, OAuth tokens, calls and their failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from temporalio.exceptions import ApplicationError

from activities.secrets.store import Secrets
from activities.transport.errors import failure, rejected, unavailable
from activities.transport.http import HttpResponse, TransportError, exchange
from activities.transport.masking import mask
from activities.transport.oauth2 import ClientCredentials, TokenError, Tokens, basic, credential
from tidegate.contract import ErrorType

SYSTEM = "ServiceNow"
JSON_TYPE = "application/json"
OAUTH_PATH = "/oauth_token.do"


@dataclass(frozen=True)
class _Access:
    """Base URL, header and secrets of one request."""

    url: str
    authorization: str = field(repr=False)
    confidential: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Body:
    """Content of a request, and its media type."""

    content: str | bytes | None
    type: str = JSON_TYPE


class Session:
    """Calls to one instance with the credentials at `secret_path`.

    These are `username` and `password`, or `client_id` and `client_secret` for OAuth (grant client_credentials), and
    `url` for where none is given.
    """

    def __init__(
        self,
        secrets: Secrets,
        http: httpx.AsyncClient,
        *,
        url: str,
        secret_path: str,
        timeout_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """`timeout_seconds` limits one exchange, `clock` gives unix seconds."""
        self._secrets = secrets
        self._http = http
        self._url = url
        self._path = secret_path
        self._timeout = timeout_seconds
        self._clock = clock
        self._tokens = Tokens(clock)
        self._token = ""

    async def address(self) -> str:
        """Base URL of the instance. Raises ApplicationError without one."""
        return (await self._access()).url

    async def call(self, method: str, path: str, query: Mapping[str, str], body: Body | None = None) -> Any:
        """The `result` of one call; a credential that is refused is read again and tried once more.

        Raises ApplicationError: `RateLimited`, `Unauthorized`, `NotFound`, `Rejected` or `Unavailable`.
        """
        try:
            return await self._call_once(method, path, query, body)
        except ApplicationError as error:
            if error.type != ErrorType.UNAUTHORIZED:
                raise
        return await self._call_once(method, path, query, body, renew=True)

    async def _call_once(
        self, method: str, path: str, query: Mapping[str, str], body: Body | None, *, renew: bool = False
    ) -> Any:
        what, sent = f"{method} {path}", body or Body(None)
        access = await self._access(renew=renew)
        headers = {"Authorization": access.authorization, "Accept": JSON_TYPE, "Content-Type": sent.type}
        secrets = (*access.confidential, credential(access.authorization))
        answer = await self._exchange(method, f"{access.url}{path}", headers, query, sent.content, secrets)
        if answer.status not in (200, 201):
            raise failure(
                SYSTEM,
                answer.status,
                f"{what}: {_reason(answer.masked(secrets))}",
                answer.headers,
                datetime.fromtimestamp(self._clock(), UTC),
            )
        try:
            return answer.document()["result"]
        except (ValueError, KeyError, TypeError) as error:
            # An instance that hibernates answers 200 with a page.
            raise unavailable(SYSTEM, f"{what}: the answer is not the Table API's") from error

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None,
        content: str | bytes | None,
        secrets: tuple[str, ...],
    ) -> HttpResponse:
        try:
            return await exchange(
                self._http,
                method,
                url,
                timeout=self._timeout,
                headers=headers,
                params=query,
                content=content,
            )
        except TransportError as error:
            raise unavailable(SYSTEM, mask(str(error), secrets)) from None

    async def _access(self, *, renew: bool = False) -> _Access:
        path = self._path
        secret = await (self._secrets.refresh(path) if renew else self._secrets.read(path))
        url = (self._url or secret.get("url", "")).rstrip("/")
        if not url:
            raise rejected(SYSTEM, f"no address: set it in the settings, or as url in {path}")
        confidential = tuple(secret[name] for name in ("password", "client_secret") if secret.get(name))
        if secret.get("username") and secret.get("password"):
            return _Access(url, basic(secret["username"], secret["password"]), confidential)
        if secret.get("client_id") and secret.get("client_secret"):
            # The platform reads the credentials from the form only.
            client = ClientCredentials(f"{url}{OAUTH_PATH}", secret["client_id"], secret["client_secret"], in_form=True)
            self._token = await self._fetch_token(client, refused=self._token if renew else "")
            return _Access(url, f"Bearer {self._token}", (*confidential, self._token))
        raise rejected(SYSTEM, f"{path} needs username and password, or client_id and client_secret")

    async def _fetch_token(self, client: ClientCredentials, refused: str) -> str:
        try:
            return await self._tokens.token(self._http, client, timeout=self._timeout, refused=refused)
        except TransportError as error:
            raise unavailable(SYSTEM, error) from error
        except TokenError as error:
            detail = f"POST {OAUTH_PATH}: {error.detail}"
            if error.status == 200:
                raise unavailable(SYSTEM, detail) from error
            # A refused client is answered with 400 or 401 (RFC 6749 §5.2).
            status = 401 if error.status == 400 else error.status
            raise failure(SYSTEM, status, detail, error.headers, datetime.fromtimestamp(self._clock(), UTC)) from error


def _reason(answer: HttpResponse) -> str:
    try:
        error = answer.document()["error"]
        return f"{error['message']}: {error['detail']}"[:500] if isinstance(error, dict) else str(error)[:500]
    except (ValueError, KeyError, TypeError):
        return answer.quoted[:200]
