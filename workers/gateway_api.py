"""The gateway's API: `POST /v1/releases`, and for each release its status and its end. There is no other.

The token identifies the caller. The rules of `workers.callers` list its rights. An answer shows nothing of other
Rollouts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from tidegate.client import (
    HeldError,
    NotFoundError,
    NoWorkerError,
    RefusedError,
    ReleaseError,
    ReleaseHandle,
    RolloutRef,
    StillRunningError,
    TidegateClient,
    TidegateError,
    UnreachableError,
)
from tidegate.client.gateway import HELD_OPEN, PATH, Failure
from tidegate.contract import Accepted, ErrorType, ReleaseRequest
from workers.callers import CallerRule, Callers, RulesError, name_of
from workers.gates_kept import difference
from workers.tokens import Claims, KeysAwayError, TokenRefusedError, Verifier

log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 1536 * 1024  # of the two MiB that Temporal takes for a payload
BODY_SECONDS: Final = 15.0
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_RUN: Final = re.compile(r"[0-9a-fA-F-]{1,64}")

_STATUS: Final[tuple[tuple[type[TidegateError], HTTPStatus], ...]] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (RefusedError, HTTPStatus.CONFLICT),
    (ReleaseError, HTTPStatus.CONFLICT),
    (HeldError, HTTPStatus.CONFLICT),
    (NoWorkerError, HTTPStatus.SERVICE_UNAVAILABLE),
    (UnreachableError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class _DeniedError(Exception):
    def __init__(self, status: HTTPStatus, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.failure = Failure(error=RefusedError.__name__, message=message, remedy=remedy, kind=ErrorType.UNAUTHORIZED)


class GatewayDoor:
    """Start and wait, for those whose token says so."""

    def __init__(
        self, client: TidegateClient, verifier: Verifier, callers: Callers, *, held_open: timedelta = HELD_OPEN
    ) -> None:
        """`held_open` is how long one question about an end may wait for it."""
        self._held_open = held_open
        self._client = client
        self._verifier = verifier
        self._callers = callers

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_answered])
        app.router.add_post(PATH, self._start)
        one = f"{PATH}/{{cluster}}/{{namespace}}/{{name}}/{{run}}"
        app.router.add_get(one, self._status)
        app.router.add_get(f"{one}/end", self._end)
        return app

    async def _start(self, request: web.Request) -> web.Response:
        claims = await self._claims(request)
        async with asyncio.timeout(BODY_SECONDS):
            release_request = ReleaseRequest.model_validate_json(await request.read())
        rule = await self._rule(claims, RolloutRef.of(release_request))
        _check_request(release_request)
        if not rule.any_manifest:
            await self._check_gates(release_request)
        by = name_of(claims)
        # Templates of the cluster, where the gates are kept; those of a caller could say yes to everything.
        changes = {"by": by, "workload": None} | ({} if rule.any_manifest else {"templates": ()})
        handle = await self._client.start(release_request.model_copy(update=changes))
        log.info("release started", rollout=handle.rollout.workflow_id, run=handle.run_id, by=by)
        return _json(Accepted(message=handle.message, run_id=handle.run_id))

    async def _status(self, request: web.Request) -> web.Response:
        rollout, run = await self._known(request)
        return _json(await self._client.status(rollout, run_id=run))

    async def _end(self, request: web.Request) -> web.Response:
        rollout, run = await self._known(request)
        handle = ReleaseHandle(rollout, run, "")
        try:
            result = await self._client.wait(
                handle, timeout=self._held_open, until_held=request.query.get("until_held") == "true"
            )
        except StillRunningError:
            return web.Response(status=HTTPStatus.ACCEPTED)
        return _json(result)

    async def _known(self, request: web.Request) -> tuple[RolloutRef, str]:
        claims, found = await self._claims(request), request.match_info
        if not _RUN.fullmatch(found["run"]):
            raise _DeniedError(HTTPStatus.BAD_REQUEST, "this is no run of a release")
        rollout = RolloutRef(found["namespace"], found["name"], found["cluster"])
        await self._rule(claims, rollout)
        return rollout, found["run"]

    async def _claims(self, request: web.Request) -> Claims:
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _DeniedError(HTTPStatus.UNAUTHORIZED, "there is no token", "send Authorization: Bearer TOKEN")
        try:
            return await self._verifier.claims(token.strip())
        except TokenRefusedError as error:
            log.warning("token refused", remote=request.remote, why=str(error))
            raise _DeniedError(HTTPStatus.UNAUTHORIZED, f"the token is refused: {error}") from error

    async def _rule(self, claims: Claims, rollout: RolloutRef) -> CallerRule:
        rule = await self._callers.rule_for(claims, rollout) if _NAME.fullmatch(rollout.name) else None
        if rule is None:
            log.warning("caller refused", by=name_of(claims), rollout=rollout.workflow_id)
            raise _DeniedError(
                HTTPStatus.FORBIDDEN,
                f"{name_of(claims)} may not ask for {rollout.workflow_id}",
                "the platform team says who may, by claims of the token: deploy/temporal/access.md",
            )
        return rule

    async def _check_gates(self, release_request: ReleaseRequest) -> None:
        rollout = RolloutRef.of(release_request)
        seen = await self._client.observe(rollout)
        if seen is None:
            raise NoWorkerError(f"{rollout.workflow_id}: the cluster's worker does not answer", "try again")
        if seen.rollout is None:
            raise _DeniedError(
                HTTPStatus.FORBIDDEN,
                f"{rollout.namespace}/{rollout.name} is not in the cluster, so its gates are unknown",
                "apply it first (GitOps), or let the rule of this caller have any_manifest",
            )
        if field := difference(release_request.rollout, seen.rollout):
            # Not for good: a sync that is under way brings the same.
            raise RefusedError(
                f"{field} of {rollout.namespace}/{rollout.name} is not what it is in the cluster: "
                "a pipeline changes the pod template, and no step or gate",
                "change it in Git, and start when it was synced",
                ErrorType.REJECTED,
            )


def _check_request(release_request: ReleaseRequest) -> None:
    """Reject requests of operators, and an object that is another than the requested one."""
    if release_request.full or release_request.aborted:
        raise _DeniedError(HTTPStatus.FORBIDDEN, "only an operator may promote in full or abort")
    found = release_request.rollout.get("metadata")
    metadata = found if isinstance(found, dict) else {}
    named = (metadata.get("namespace", release_request.namespace), metadata.get("name", release_request.name))
    if named != (release_request.namespace, release_request.name):
        raise _DeniedError(HTTPStatus.FORBIDDEN, "the manifest is of another Rollout than the requested one")
    if "status" in release_request.rollout:
        raise _DeniedError(HTTPStatus.FORBIDDEN, "the manifest has a status: that is the cluster's to say")


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except _DeniedError as error:
        return _json(error.failure, error.status)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        return _json(Failure(error="RefusedError", message=f"{where}: {first['msg']}"), HTTPStatus.BAD_REQUEST)
    except web.HTTPException as error:
        return _json(Failure(error="RefusedError", message=error.reason), HTTPStatus(error.status))
    except (KeysAwayError, RulesError) as error:
        log.error("no caller can be let in", why=str(error))
        return _json(
            Failure(error="UnreachableError", message="the gateway cannot verify callers now", remedy="try again"),
            HTTPStatus.SERVICE_UNAVAILABLE,
        )
    except TimeoutError:
        return _json(Failure(error="RefusedError", message="the request took too long"), HTTPStatus.REQUEST_TIMEOUT)
    except TidegateError as error:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
        return _json(Failure.of(error), status)


def _json(model: BaseModel, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(text=model.model_dump_json(), content_type="application/json", status=status)
