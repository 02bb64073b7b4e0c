"""A session with a ServiceNow instance: credentials from the secret store, OAuth tokens, calls and their failures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from temporalio.exceptions import ApplicationError

from activities.errors import failure, rejected, unavailable
from activities.http import Answer, TransportError, exchange
from activities.secrets import Secrets
from tidegate.contract import ErrorType

SYSTEM = "ServiceNow"
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
MASK = "*****"
# A token is replaced before it ends, so that it does not end on the way.
TOKEN_MARGIN_SECONDS = 60.0


class _Token(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    access_token: str = Field(min_length=1, max_length=8192)
    expires_in: float = Field(default=0.0, ge=0)


@dataclass(frozen=True)
class _Access:
    """How one request gets in: where to, with which header, and what must never be shown."""

    url: str
    authorization: str = field(repr=False)
    confidential: tuple[str, ...] = field(repr=False)

    def mask(self, text: str) -> str:
        for secret in self.confidential:
            text = text.replace(secret, MASK)
        return text


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
        self._token = ""
        self._token_until = 0.0

    async def address(self) -> str:
        """Base URL of the instance. Raises ApplicationError when nobody says it."""
        return (await self._access()).url

    async def call(self, method: str, path: str, query: Mapping[str, str], content: str | None = None) -> Any:
        """The `result` of one call; a credential that is refused is read again and tried once more.

        Raises ApplicationError: `RateLimited`, `Unauthorized`, `NotFound`, `Rejected` or `Unavailable`.
        """
        try:
            return await self._call_once(method, path, query, content)
        except ApplicationError as error:
            if error.type != ErrorType.UNAUTHORIZED:
                raise
        return await self._call_once(method, path, query, content, renew=True)

    async def _call_once(
        self, method: str, path: str, query: Mapping[str, str], content: str | None, *, renew: bool = False
    ) -> Any:
        what = f"{method} {path}"
        access = await self._access(renew=renew)
        headers = {"Authorization": access.authorization, "Accept": JSON_TYPE, "Content-Type": JSON_TYPE}
        answer = await self._exchange(method, f"{access.url}{path}", headers, query, content)
        if answer.status not in (200, 201):
            detail = access.mask(f"{what}: {_reason(answer)}")
            raise failure(SYSTEM, answer.status, detail, answer.headers, datetime.fromtimestamp(self._clock(), UTC))
        try:
            return answer.document()["result"]
        except (ValueError, KeyError, TypeError) as error:
            # An instance that hibernates answers 200 with a page.
            raise unavailable(SYSTEM, f"{what}: the answer is not the Table API's") from error

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], query: Mapping[str, str] | None, content: str | None
    ) -> Answer:
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
            raise unavailable(SYSTEM, error) from error

    async def _access(self, *, renew: bool = False) -> _Access:
        path = self._path
        secret = await (self._secrets.refresh(path) if renew else self._secrets.read(path))
        url = (self._url or secret.get("url", "")).rstrip("/")
        if not url:
            raise rejected(SYSTEM, f"no address: set it in the settings, or as url in {path}")
        confidential = tuple(secret[name] for name in ("password", "client_secret") if secret.get(name))
        if secret.get("username") and secret.get("password"):
            pair = f"{secret['username']}:{secret['password']}".encode()
            return _Access(url, f"Basic {base64.b64encode(pair).decode()}", confidential)
        if secret.get("client_id") and secret.get("client_secret"):
            if renew or self._clock() >= self._token_until:
                await self._fetch_token(url, secret["client_id"], secret["client_secret"])
            return _Access(url, f"Bearer {self._token}", (*confidential, self._token))
        raise rejected(SYSTEM, f"{path} needs username and password, or client_id and client_secret")

    async def _fetch_token(self, url: str, client_id: str, client_secret: str) -> None:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        headers = {"Accept": JSON_TYPE, "Content-Type": FORM_TYPE}
        answer = await self._exchange("POST", f"{url}/oauth_token.do", headers, None, urlencode(form))
        if answer.status != 200:
            # Only the code is quoted: what else stands there is not known to be free of the credentials.
            raise failure(
                SYSTEM,
                401 if answer.status == 400 else answer.status,
                f"POST /oauth_token.do: {_oauth_code(answer)}",
                answer.headers,
                datetime.fromtimestamp(self._clock(), UTC),
            )
        try:
            token = _Token.model_validate_json(answer.body)
        except ValidationError:
            raise unavailable(SYSTEM, "POST /oauth_token.do: the answer holds no token") from None
        self._token = token.access_token
        self._token_until = self._clock() + token.expires_in - TOKEN_MARGIN_SECONDS


def _reason(answer: Answer) -> str:
    try:
        error = answer.document()["error"]
        return f"{error['message']}: {error['detail']}"[:500] if isinstance(error, dict) else str(error)[:500]
    except (ValueError, KeyError, TypeError):
        return answer.quoted[:200]


def _oauth_code(answer: Answer) -> str:
    """The error code of an OAuth answer (RFC 6749 §5.2)."""
    try:
        code = answer.document()["error"]
    except (ValueError, KeyError, TypeError):
        return "no token"
    return code if isinstance(code, str) and code.isidentifier() and len(code) <= 50 else "no token"
