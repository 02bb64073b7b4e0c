"""Incidents in ServiceNow: one for each cause, however often it is asked for, with its evidence attached."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from temporalio import activity

from activities.errors import failure, rejected, unavailable
from activities.http import Answer, TransportError, exchange
from activities.secrets import Secrets
from tidegate.contract import Activity, IncidentRef, IncidentRequest

log = structlog.get_logger(__name__)

T = TypeVar("T", bound=BaseModel)

SYSTEM = "ServiceNow"
TABLE = "/api/now/table/incident"
ATTACHMENTS = "/api/now/attachment"
JSON_TYPE = "application/json"
MASK = "*****"
# Lengths of the platform's columns. It cuts longer texts without a word, and a cut correlation id would not be found.
MAX_CORRELATION_ID = 100
MAX_SHORT_DESCRIPTION = 160
MAX_DESCRIPTION = 4000
# A token is replaced before it ends, so that it does not end on the way.
TOKEN_MARGIN_SECONDS = 60.0


class ServiceNowSettings(BaseModel):
    """Where incidents are opened and what they say beside their cause.

    The secret at `secret_path` holds `username` and `password`, or `client_id` and `client_secret` for OAuth (grant
    client_credentials), and `url` unless it is given here. `fields` are further columns of the incident with their
    text, such as `{"assignment_group": "Payments on-call", "u_environment": "production"}`; names of groups and people
    are understood as they are displayed. `timeout_seconds` limits one request.
    """

    model_config = ConfigDict(frozen=True)

    url: str = ""
    secret_path: str = "secret/tidegate/servicenow"  # noqa: S105  a path
    fields: dict[str, str] = {}
    timeout_seconds: float = Field(default=15.0, gt=0)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    sys_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    number: str = Field(min_length=1, max_length=40)
    correlation_id: str = ""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    file_name: str = ""
    table_sys_id: str = ""


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


class ServiceNow:
    """The Table and Attachment API of one instance.

    The platform has no unique keys, so everything is looked for before it is created; the workflow sees to it that
    only one attempt for a cause runs at a time.
    """

    def __init__(
        self,
        secrets: Secrets,
        http: httpx.AsyncClient,
        settings: ServiceNowSettings | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives unix seconds."""
        self._secrets = secrets
        self._http = http
        self._settings = settings or ServiceNowSettings()
        self._clock = clock
        self._token = ""
        self._token_until = 0.0

    @activity.defn(name=Activity.OPEN_INCIDENT)
    async def open_incident(self, request: IncidentRequest) -> IncidentRef:
        """Open the incident of `request.correlation_id` with its attachments, or complete the one that is there.

        Raises ApplicationError: `RateLimited` with the delay that the server asks for, `Unauthorized` when the
        credentials stay refused, `Unavailable`, `NotFound` or `Rejected`.
        """
        correlation_id = _correlation_id(request.correlation_id)
        row = await self._find(correlation_id)
        created = row is None
        if row is None:
            row = await self._create(request, correlation_id)
            log.info("incident opened", number=row.number, correlation_id=correlation_id)
        for name, document in request.attachments.items():
            await self._attach(row, name, json.dumps(document, indent=2, ensure_ascii=False))
        url = (await self._access()).url
        link = f"{url}/nav_to.do?uri={quote(f'incident.do?sys_id={row.sys_id}', safe='')}"
        return IncidentRef(number=row.number, sys_id=row.sys_id, url=link, created=created)

    async def _find(self, correlation_id: str) -> _Row | None:
        query = {
            "sysparm_query": f"correlation_id={correlation_id}^ORDERBYsys_created_on",
            "sysparm_fields": "sys_id,number,correlation_id",
            "sysparm_limit": "10",
        }
        rows = _parse_all(_Row, await self._call("GET", TABLE, query))
        # A query that the platform does not understand finds every row, so what it found is compared again.
        return next((row for row in rows if row.correlation_id == correlation_id), None)

    async def _create(self, request: IncidentRequest, correlation_id: str) -> _Row:
        body = {
            **self._settings.fields,
            "short_description": _cut(request.short_description, MAX_SHORT_DESCRIPTION),
            "description": _cut(request.description, MAX_DESCRIPTION),
            "urgency": str(request.urgency),
            "impact": str(request.impact),
            "correlation_id": correlation_id,
            "correlation_display": "Tidegate",
        }
        query = {"sysparm_input_display_value": "true", "sysparm_exclude_reference_link": "true"}
        row = _parse(_Row, await self._call("POST", TABLE, query, json.dumps(body)))
        if row.correlation_id != correlation_id:
            log.warning("the instance did not keep the correlation id: a retry would open another incident")
        return row

    async def _attach(self, row: _Row, name: str, content: str) -> None:
        query = {"sysparm_query": f"table_sys_id={row.sys_id}^file_name={name}", "sysparm_limit": "1000"}
        files = _parse_all(_File, await self._call("GET", ATTACHMENTS, query))
        if any(file.file_name == name and file.table_sys_id == row.sys_id for file in files):
            return
        where = {"table_name": "incident", "table_sys_id": row.sys_id, "file_name": name}
        await self._call("POST", f"{ATTACHMENTS}/file", where, content)

    # ------------------------------------------------------------------------------------------------------- exchange

    async def _call(self, method: str, path: str, query: Mapping[str, str], content: str | None = None) -> Any:
        """The `result` of one call. A refused credential is read again and tried once more."""
        activity.heartbeat()
        what = f"{method} {path}"
        access = await self._access()
        answer = await self._send(access, method, path, query, content)
        if answer.status == 401:
            access = await self._access(renew=True)
            answer = await self._send(access, method, path, query, content)
        if answer.status not in (200, 201):
            detail = access.mask(f"{what}: {_reason(answer)}")
            raise failure(SYSTEM, answer.status, detail, answer.headers, datetime.fromtimestamp(self._clock(), UTC))
        try:
            return json.loads(answer.body)["result"]
        except (ValueError, KeyError, TypeError) as error:
            # An instance that hibernates answers 200 with a page.
            raise unavailable(SYSTEM, f"{what}: the answer is not the Table API's") from error

    async def _send(
        self, access: _Access, method: str, path: str, query: Mapping[str, str], content: str | None
    ) -> Answer:
        headers = {"Authorization": access.authorization, "Accept": JSON_TYPE, "Content-Type": JSON_TYPE}
        return await self._exchange(method, f"{access.url}{path}", headers, query, content)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], query: Mapping[str, str] | None, content: str | None
    ) -> Answer:
        try:
            return await exchange(
                self._http,
                method,
                url,
                timeout=self._settings.timeout_seconds,
                headers=headers,
                params=query,
                content=content,
            )
        except TransportError as error:
            raise unavailable(SYSTEM, error) from error

    async def _access(self, *, renew: bool = False) -> _Access:
        path = self._settings.secret_path
        secret = await (self._secrets.refresh(path) if renew else self._secrets.read(path))
        url = (self._settings.url or secret.get("url", "")).rstrip("/")
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
        headers = {"Accept": JSON_TYPE, "Content-Type": "application/x-www-form-urlencoded"}
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


def _parse(model: type[T], value: Any) -> T:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise unavailable(SYSTEM, f"the answer cannot be understood: {where}: {first['msg']}") from None


def _parse_all(model: type[T], value: Any) -> list[T]:
    if not isinstance(value, list):
        raise unavailable(SYSTEM, "the answer cannot be understood: result is no list")
    return [_parse(model, each) for each in value]


def _reason(answer: Answer) -> str:
    try:
        error = json.loads(answer.body)["error"]
        return f"{error['message']}: {error['detail']}"[:500] if isinstance(error, dict) else str(error)[:500]
    except (ValueError, KeyError, TypeError):
        return answer.quoted[:200]


def _oauth_code(answer: Answer) -> str:
    """The error code of an OAuth answer (RFC 6749 §5.2)."""
    try:
        code = json.loads(answer.body)["error"]
    except (ValueError, KeyError, TypeError):
        return "no token"
    return code if isinstance(code, str) and code.isidentifier() and len(code) <= 50 else "no token"


def _correlation_id(cause: str) -> str:
    """The cause as a correlation id: itself if the column and the query language can hold it, else cut with a digest."""
    if len(cause) <= MAX_CORRELATION_ID and "^" not in cause and cause == cause.strip():
        return cause
    digest = hashlib.sha256(cause.encode()).hexdigest()[:32]
    return f"{cause.replace('^', '_').strip()[: MAX_CORRELATION_ID - 33]}-{digest}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
