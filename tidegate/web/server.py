"""The page over HTTP: `GET /`, a page for each release, and a form with its `POST` for each act."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from importlib.resources import files
from typing import Final
from urllib.parse import urlencode

import structlog
from aiohttp import web

from tidegate.client import (
    NotFoundError,
    NoWorkerError,
    RefusedError,
    RolloutRef,
    TidegateClient,
    TidegateError,
    UnreachableError,
)
from tidegate.manifests.plain_text import one_line
from tidegate.web.access import TOKEN, PageAccess, Viewer
from tidegate.web.fleet import LASTS, FleetReader, utc_now
from tidegate.web.page import MAX_REASON, PageContext, fleet_page, form_page, message_page, release_page, release_path
from tidegate.web.rows import FleetRow
from tidegate.web.verbs import Verb, verbs_for

log = structlog.get_logger(__name__)

MAX_FORM_BYTES: Final = 16 * 1024
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; context-ancestors 'none'"
    ),
    # Not `no-referrer`: a browser then sends forms with `Origin: null` (Fetch, "serializing a request origin").
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_STATIC: Final = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_ONE: Final = "/releases/{cluster}/{namespace}/{name}"
_STATUS: Final[tuple[tuple[type[TidegateError], HTTPStatus], ...]] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (RefusedError, HTTPStatus.CONFLICT),
    (NoWorkerError, HTTPStatus.SERVICE_UNAVAILABLE),
    (UnreachableError, HTTPStatus.SERVICE_UNAVAILABLE),
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebPage:
    """The page of the releases in one Temporal namespace."""

    def __init__(
        self,
        client: TidegateClient,
        access: PageAccess | None = None,
        *,
        temporal_ui: str = "",
        refresh: timedelta = timedelta(seconds=5),
        lasts: timedelta = LASTS,
    ) -> None:
        """`refresh` is the time after which a browser reads anew, `lasts` that for which all viewers share a read."""
        self._client = client
        self._access = access or PageAccess()
        self._reader = FleetReader(client, lasts=lasts)
        self._temporal_ui = temporal_ui
        self._refresh = max(int(refresh.total_seconds()), 1)

    def app(self) -> web.Application:
        """The application. Without operators it has no way to act."""
        app = web.Application(client_max_size=MAX_FORM_BYTES, middlewares=[self._guarded, self._answered])
        app.router.add_get("/", self._fleet)
        app.router.add_get("/static/{name}", static_file)
        app.router.add_get(_ONE, self._release)
        if self._access.acts:
            app.router.add_get(_ONE + "/{verb}", self._form)
            app.router.add_post(_ONE + "/{verb}", self._act)
        return app

    async def _fleet(self, request: web.Request) -> web.Response:
        fleet = await self._reader.fleet()
        wanted = fleet.of(request.query.get("namespace", ""), request.query.get("cluster", ""))
        return _html(fleet_page(wanted, utc_now(), self._context(request, refreshed=True)))

    async def _release(self, request: web.Request) -> web.Response:
        fleet, row = await self._reader.release(_rollout(request))
        if row is None:
            raise NotFoundError("this Rollout has no release among the newest", "look at the list of all releases")
        done = request.query.get("done", "")
        outcome = done if self._access.is_sealed(request, done, request.query.get("seal", "")) else ""
        return _html(release_page(row, fleet, utc_now(), self._context(request, refreshed=True), outcome))

    async def _form(self, request: web.Request) -> web.Response:
        self._operator(request)
        row, verb = await self._wanted(request)
        return self._form_of(request, row, verb)

    def _form_of(self, request: web.Request, row: FleetRow, verb: Verb, complaint: str = "") -> web.Response:
        token = self._access.token(request)
        hidden = [(TOKEN, token), *_seen(row).items()]
        status = HTTPStatus.BAD_REQUEST if complaint else HTTPStatus.OK
        response = _html(form_page(row, verb, self._context(request), hidden, complaint), status)
        self._access.give(response, token)
        return response

    async def _act(self, request: web.Request) -> web.StreamResponse:
        viewer = self._operator(request)
        form = {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
        if not self._access.is_own_form(request, form.get(TOKEN, "")):
            log.warning("form refused", by=viewer.name, path=request.path, remote=request.remote)
            raise web.HTTPForbidden(reason="the form did not come from this page: open it again")
        self._reader.expire()
        row, verb = await self._wanted(request)
        reason = one_line(form.get("reason", ""))[:MAX_REASON]
        if not reason:
            return self._form_of(request, row, verb, "Say why: it is kept with your name.")
        _check_unchanged(row, verb, form)
        message = await self._send(row, verb, viewer.name, reason)
        log.info("act", verb=verb, rollout=row.rollout.workflow_id, run=row.summary.run_id, by=viewer.name)
        self._reader.expire()
        query = urlencode({"done": message, "seal": self._access.seal(request, message)})
        raise web.HTTPSeeOther(f"{release_path(row.rollout)}?{query}")

    async def _send(self, row: FleetRow, verb: Verb, by: str, reason: str) -> str:
        """Send an act to Temporal and return its consequence in a sentence. Raises TidegateError."""
        client, rollout = self._client, row.rollout
        match verb:
            case Verb.PROMOTE:
                revision = row.status.revision if row.status is not None else None
                return (await client.promote(rollout, by=by, reason=reason, revision=revision)).message
            case Verb.ABORT:
                return (await client.abort(rollout, by=by, reason=reason)).message
            case Verb.PAUSE:
                return (await client.pause(rollout, by=by, reason=reason)).message
            case Verb.RESUME:
                return (await client.resume(rollout, by=by, reason=reason)).message
            case Verb.RETRY:
                return (await client.retry(rollout, by=by, reason=reason)).message

    async def _wanted(self, request: web.Request) -> tuple[FleetRow, Verb]:
        """The release and the act of a path. Raises RefusedError where the act has no effect now."""
        _, row = await self._reader.release(_rollout(request))
        verb = next((each for each in Verb if each == request.match_info["verb"]), None)
        if row is None or verb is None:
            raise web.HTTPNotFound(reason="there is no such page")
        if verb not in verbs_for(row):
            raise RefusedError(f"{verb} has no effect on {row.summary.name} now", "look at its state")
        return row, verb

    def _operator(self, request: web.Request) -> Viewer:
        viewer = self._access.viewer(request)
        if not viewer.may_act:
            log.warning("act refused", by=viewer.name, path=request.path, remote=request.remote)
            raise web.HTTPForbidden(reason=f"{viewer.name or 'a viewer without a name'} may look and not act")
        return viewer

    def _context(self, request: web.Request, *, refreshed: bool = False) -> PageContext:
        viewer = self._access.viewer(request)
        return PageContext(
            viewer=viewer.name,
            may_act=viewer.may_act,
            acts=self._access.acts,
            refresh=self._refresh if refreshed else 0,
            temporal_ui=self._temporal_ui,
        )

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse requests by another name of this host, and give each answer its headers."""
        known = self._access.is_known_host(request)
        response = await handler(request) if known else _wrong_host()
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Show errors as pages; a redirect is an answer like any other."""
        context = self._context(request)
        try:
            return await handler(request)
        except web.HTTPSeeOther as found:
            return web.Response(status=found.status, headers={"Location": str(found.location)})
        except web.HTTPException as error:
            return _html(message_page(HTTPStatus(error.status).phrase, error.reason, context), HTTPStatus(error.status))
        except TidegateError as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
            title = "Nothing was done" if request.method == "POST" else "Not shown"
            return _html(message_page(title, error.message, context, error.remedy, _back(request)), status)


def _back(request: web.Request) -> str:
    return request.path.rpartition("/")[0] if "verb" in request.match_info else "/"


def _seen(row: FleetRow) -> dict[str, str]:
    """State of a release in a form, so that an act counts only for what its operator saw."""
    step = row.status.step_index if row.status is not None else None
    return {"run": row.summary.run_id, "step": "" if step is None else str(step)}


def _check_unchanged(row: FleetRow, verb: Verb, form: dict[str, str]) -> None:
    """Raise RefusedError where the release is not the one that its operator saw, or a promotion is for another step."""
    now = _seen(row)
    if form.get("run") != now["run"]:
        raise RefusedError(
            f"{row.summary.name}: another release has begun since the form was opened", "look at it first"
        )
    if verb is Verb.PROMOTE and form.get("step") != now["step"]:
        raise RefusedError(
            f"{row.summary.name} has gone on to another step since the form was opened", "look at it first"
        )


def _rollout(request: web.Request) -> RolloutRef:
    found = request.match_info
    return RolloutRef(found["namespace"], found["name"], found["cluster"])


async def static_file(request: web.Request) -> web.Response:
    """A file that every page loads: style, script or icon."""
    name = request.match_info["name"]
    kind = _STATIC.get(name)
    if kind is None:
        raise web.HTTPNotFound(reason="there is no such page")
    content = files("tidegate.web").joinpath("static", name).read_text("utf-8")
    return web.Response(text=content, content_type=kind, headers={"Cache-Control": "max-age=300"})


def _html(text: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status)


def _wrong_host() -> web.Response:
    return web.Response(text="this page has another address\n", status=HTTPStatus.MISDIRECTED_REQUEST)
