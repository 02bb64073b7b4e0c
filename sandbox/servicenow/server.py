"""The embedded ServiceNow: Table, Attachment and Change Management API, OAuth tokens, and pages for people."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from sandbox.processes import LOOPBACK
from sandbox.rate_limit import RateLimit
from sandbox.servicenow.changes import STATES as CHANGE_STATES
from sandbox.servicenow.changes import Changes
from sandbox.servicenow.page import incident_page, list_page
from sandbox.servicenow.records import Attachment, Incident, RecordError, Records, Row, search

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TOKEN_SECONDS = 1799
MAX_BODY_BYTES = 16 * 1024 * 1024
_USER = web.RequestKey("user", str)
_NO_RECORD = ("No Record found", "Record doesn't exist or ACL restricts the record retrieval")


class ServiceNowApi:
    """An instance with one user, who comes with a password or by OAuth (client credentials or password grant).

    Everything is kept in memory and ends with it. `requests` counts what arrived, by method and path; `rate_limit`
    may be changed. The pages need no login and show nothing but what an incident says.
    """

    def __init__(
        self,
        *,
        username: str,
        password: str,
        client_id: str,
        client_secret: str,
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rate_limit = RateLimit(limit=5000, period=3600)
        self.requests: Counter[str] = Counter()
        self.records = Records(lambda: datetime.fromtimestamp(clock(), UTC))
        self.changes = Changes(lambda: datetime.fromtimestamp(clock(), UTC))
        self._user = (username, password)
        self._oauth_client = (client_id, client_secret)
        self._tokens: dict[str, float] = {}  # access token -> unix time of its end
        self._clock = clock
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base URL of the instance."""
        return f"http://{LOOPBACK}:{self._port}"

    def page_url(self, number: str) -> str:
        """The page that shows an incident."""
        return f"{self.url}/incident/{number}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY_BYTES)
        table = "/api/now{version:(/v[12])?}/table/{table:incident|change_request}"
        attachments = "/api/now{version:(/v1)?}/attachment"
        app.add_routes(
            [
                web.get(table, self._list),
                web.post(table, self._create),
                web.get(table + "/{sys_id}", self._get),
                web.patch(table + "/{sys_id}", self._update),
                web.put(table + "/{sys_id}", self._update),
                web.post("/api/sn_chg_rest{version:(/v1)?}/change/standard/{template}", self._create_standard),
                web.get(attachments, self._list_attachments),
                web.post(attachments + "/file", self._attach),
                web.get(attachments + "/{sys_id}", self._get_attachment),
                web.get(attachments + "/{sys_id}/file", self._download),
                web.post("/oauth_token.do", self._token),
                web.get("/", self._list_page),
                web.get("/incident/{number}", self._incident_page),
                web.get("/change_request/{number}", self._change_page),
                web.get("/nav_to.do", self._navigate),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening; the records stay."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def revoke_tokens(self) -> None:
        """Forget every access token, as an administrator may at any time."""
        self._tokens.clear()

    # --------------------------------------------------------------------------------------------------- who may enter

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests[f"{request.method} {request.path}"] += 1
        if not request.path.startswith("/api/"):
            return await handler(request)
        if not (user := self._authenticated(request)):
            return _error(401, "User Not Authenticated", "Required to provide Auth information")
        request[_USER] = user
        taken = self.rate_limit.take(self._clock())
        headers = {"X-RateLimit-Limit": str(self.rate_limit.limit), "X-RateLimit-Reset": str(int(taken.reset_at))}
        if not taken.allowed:
            wait = max(1, round(taken.reset_at - self._clock()))
            detail = "the limit of requests for this user is used up"
            return _error(429, "Rate limit exceeded", detail, headers | {"Retry-After": str(wait)})
        try:
            response = await handler(request)
        except RecordError as error:
            response = _error(error.status, str(error), error.detail)
        except web.HTTPRequestEntityTooLarge:
            response = _error(413, "Request body is too large", f"more than {MAX_BODY_BYTES} bytes")
        except web.HTTPException as error:
            response = _error(error.status, "Requested URI does not represent any resource", request.path)
        response.headers.update(headers)
        return response

    def _authenticated(self, request: web.Request) -> str:
        """Name of the user that the request proves to come from, "" for nobody."""
        scheme, _, proof = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer":
            return self._user[0] if self._tokens.get(proof, 0) > self._clock() else ""
        try:
            name, _, password = base64.b64decode(proof, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        return name if scheme == "Basic" and _equal((name, password), self._user) else ""

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        client = (str(form.get("client_id", "")), str(form.get("client_secret", "")))
        person = (str(form.get("username", "")), str(form.get("password", "")))
        grant = form.get("grant_type")
        if not _equal(client, self._oauth_client):
            return _oauth_error("invalid_client", "client_id or client_secret is wrong")
        if grant == "password" and not _equal(person, self._user):
            return _oauth_error("access_denied", "username or password is wrong")
        if grant not in ("client_credentials", "password"):
            return _oauth_error("unsupported_grant_type", "use client_credentials or password")
        token = secrets.token_urlsafe(32)
        self._tokens[token] = self._clock() + TOKEN_SECONDS
        answer = {"access_token": token, "scope": "useraccount", "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return web.json_response(answer)

    # --------------------------------------------------------------------------------------------------------- records

    async def _list(self, request: web.Request) -> web.Response:
        rows = search((each.fields for each in self._rows(request).values()), _parameter(request, "sysparm_query"))
        return _page_of(request, rows)

    async def _create(self, request: web.Request) -> web.Response:
        record = self._store(request).create(await _body(request), request[_USER])
        location = f"{self.url}/api/now/table/{request.match_info['table']}/{record.fields['sys_id']}"
        return _result(_chosen(request, _row(record, request)), 201, {"Location": location})

    async def _create_standard(self, request: web.Request) -> web.Response:
        """A change by a template; this API answers each column with its value and how that is displayed."""
        given = await _body(request)
        change = self.changes.create_standard(request.match_info["template"], given, request[_USER])
        return _result({name: {"value": value, "display_value": value} for name, value in change.fields.items()})

    async def _get(self, request: web.Request) -> web.Response:
        return _result(_chosen(request, _row(self._record(request), request)))

    async def _update(self, request: web.Request) -> web.Response:
        record = self._record(request)
        self._store(request).update(record, await _body(request), request[_USER])
        return _result(_chosen(request, _row(record, request)))

    def _store(self, request: web.Request) -> Records | Changes:
        return self.records if request.match_info["table"] == "incident" else self.changes

    def _rows(self, request: web.Request) -> dict[str, Incident]:
        return self.records.incidents if request.match_info["table"] == "incident" else self.changes.rows

    def _record(self, request: web.Request) -> Incident:
        record = self._rows(request).get(request.match_info["sys_id"])
        if record is None:
            raise RecordError(404, *_NO_RECORD)
        return record

    # ----------------------------------------------------------------------------------------------------- attachments

    async def _attach(self, request: web.Request) -> web.Response:
        names = ("table_name", "table_sys_id", "file_name")
        table, record, name = (request.query.get(each, "") for each in names)
        if not (table and record and name):
            raise RecordError(400, "Missing parameter", f"{', '.join(names)} are required")
        if "Content-Type" not in request.headers:
            raise RecordError(415, "Unsupported Media Type", "Content-Type is required")
        content = await request.read()
        attachment = self.records.attach(table, record, name, request.content_type, content, request[_USER])
        location = f"{self.url}/api/now/attachment/{attachment.fields['sys_id']}"
        return _result(self._described(attachment), 201, {"Location": location})

    async def _list_attachments(self, request: web.Request) -> web.Response:
        rows = map(self._described, self.records.attachments.values())
        return _page_of(request, search(rows, _parameter(request, "sysparm_query")))

    async def _get_attachment(self, request: web.Request) -> web.Response:
        return _result(self._described(self._attachment(request)))

    async def _download(self, request: web.Request) -> web.Response:
        attachment = self._attachment(request)
        return web.Response(body=attachment.content, content_type=attachment.fields["content_type"])

    def _attachment(self, request: web.Request) -> Attachment:
        attachment = self.records.attachments.get(request.match_info["sys_id"])
        if attachment is None:
            raise RecordError(404, *_NO_RECORD)
        return attachment

    def _described(self, attachment: Attachment) -> Row:
        link = f"{self.url}/api/now/attachment/{attachment.fields['sys_id']}/file"
        return {**attachment.fields, "download_link": link}

    # ----------------------------------------------------------------------------------------------------------- pages

    async def _list_page(self, request: web.Request) -> web.Response:
        return _html(list_page(self.records.incidents.values()))

    async def _incident_page(self, request: web.Request) -> web.Response:
        incident = self.records.by_number(request.match_info["number"])
        if incident is None:
            raise web.HTTPNotFound(text="There is no incident with this number.")
        return _html(incident_page(incident, self.records.files_of(incident)))

    async def _change_page(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        change = next((each for each in self.changes.rows.values() if each.fields["number"] == number), None)
        if change is None:
            raise web.HTTPNotFound(text="There is no change request with this number.")
        return _html(incident_page(change, (), CHANGE_STATES))

    async def _navigate(self, request: web.Request) -> web.Response:
        """The platform's own links to a record: `/nav_to.do?uri=incident.do?sys_id=...`."""
        target = urlsplit(request.query.get("uri", ""))
        sys_id = parse_qs(target.query).get("sys_id", [""])[0]
        if incident := self.records.incidents.get(sys_id):
            raise web.HTTPFound(f"/incident/{incident.fields['number']}")
        if change := self.changes.rows.get(sys_id):
            raise web.HTTPFound(f"/change_request/{change.fields['number']}")
        raise web.HTTPNotFound(text="There is no such record.")


def _equal(given: tuple[str, str], wanted: tuple[str, str]) -> bool:
    """Whether name and secret are the same, in a time that does not tell which of them is not."""
    return hmac.compare_digest(json.dumps(given).encode(), json.dumps(wanted).encode())


async def _body(request: web.Request) -> Mapping[str, object]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise RecordError(400, "Exception while reading request", "the body must be one JSON object")
    return body


def _row(incident: Incident, request: web.Request) -> Row:
    """The row with its journals, which are shown on request only."""
    shown = _parameter(request, "sysparm_display_value") in ("true", "all")
    journals = {
        name: "\n\n".join(f"{note.at} - {note.by} ({name})\n{note.text}" for note in reversed(notes)) if shown else ""
        for name, notes in incident.journals.items()
    }
    return {**incident.fields, **journals}


def _parameter(request: web.Request, name: str) -> str:
    return request.query.get(name, "")


def _chosen(request: web.Request, row: Row) -> Row:
    wanted = [name.strip() for name in _parameter(request, "sysparm_fields").split(",") if name.strip()]
    return {name: row[name] for name in wanted if name in row} if wanted else row


def _page_of(request: web.Request, rows: list[Row]) -> web.Response:
    offset, limit = (_number(request, f"sysparm_{name}", other) for name, other in (("offset", 0), ("limit", 10_000)))
    page = [_chosen(request, row) for row in rows[offset : offset + limit]]
    return _result(page, headers={"X-Total-Count": str(len(rows))})


def _number(request: web.Request, name: str, default: int) -> int:
    text = _parameter(request, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _result(result: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"result": result}, status=status, headers=headers)


def _error(status: int, message: str, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"error": {"message": message, "detail": detail}, "status": "failure"}
    return web.json_response(body, status=status, headers=headers)


def _oauth_error(code: str, description: str) -> web.Response:
    return web.json_response({"error": code, "error_description": description}, status=401)


def _html(text: str) -> web.Response:
    # Nothing on a page may load from elsewhere or run, whatever an incident says.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})
