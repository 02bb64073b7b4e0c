"""Client of the gateway, for a caller with a token and no connection to Temporal: start, follow and wait.

The paths and bodies here are those of both ends: the gateway (`workers.gateway`) and this client.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
from pydantic import BaseModel, ValidationError

from tidegate.client.caller_token import token_from
from tidegate.client.errors import (
    ConfigurationError,
    HeldError,
    NoSuchReleaseError,
    NotFoundError,
    NoWorkerError,
    RefusedError,
    ReleaseError,
    StillRunningError,
    TidegateError,
    UnreachableError,
)
from tidegate.client.refs import ReleaseHandle, RolloutRef, expected_result, images_of
from tidegate.contract import Accepted, ErrorType, Payload, ReleaseRequest, ReleaseResult, ReleaseStatus, Waiting

PATH: Final = "/v1/releases"
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
# How long one request for the end is kept open; the client repeats it.
HELD_OPEN: Final = timedelta(seconds=20)
REQUEST_TIMEOUT: Final = timedelta(seconds=45)
AGAIN_SECONDS: Final = 2.0
SYNC_TIMEOUT: Final = timedelta(seconds=60)

_ENDINGS: Final[dict[str, type[ReleaseError]]] = {
    ReleaseError.__name__: ReleaseError,
    **{kind.__name__: kind for kind in ReleaseError.__subclasses__()},
}
_OTHERS: Final[dict[str, type[TidegateError]]] = {
    kind.__name__: kind for kind in (NotFoundError, NoSuchReleaseError, NoWorkerError, UnreachableError)
}

Token = Callable[[], Awaitable[str]]
Result = TypeVar("Result", bound=BaseModel)


class Failure(Payload):
    """One of the errors of `tidegate.client`: the name of its class, and its fields."""

    error: str
    message: str
    remedy: str = ""
    kind: str = ""
    waiting: Waiting | None = None
    result: ReleaseResult | None = None

    @classmethod
    def of(cls, error: TidegateError) -> Failure:
        """The fields of an error."""
        return cls(
            error=type(error).__name__,
            message=error.message,
            remedy=error.remedy,
            kind=error.kind if isinstance(error, RefusedError) else "",
            waiting=error.waiting if isinstance(error, HeldError) else None,
            result=error.result if isinstance(error, ReleaseError) else None,
        )

    def raised(self) -> TidegateError:
        """The error again; one of a name that is not known here is a `TidegateError`."""
        if self.waiting is not None:
            return HeldError(self.waiting)
        if self.error in _ENDINGS:
            return _ENDINGS[self.error](self.message, self.remedy, self.result)
        if self.error == RefusedError.__name__:
            return RefusedError(self.message, self.remedy, self.kind)
        return _OTHERS.get(self.error, TidegateError)(self.message, self.remedy)


class GatewayClient:
    """Client of a gateway. Its methods raise what those of `TidegateClient` raise."""

    def __init__(self, server: str, token: Token) -> None:
        """`server` is the gateway's URL, `token` gives one that is valid now. Raises ConfigurationError."""
        parts = urlsplit(server)
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(parts.hostname or "")):
            raise ConfigurationError(
                f"--server {server}: the token would travel readable", "give an https:// URL of the gateway"
            )
        self._server = server.rstrip("/")
        self._token = token
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT.total_seconds()), trust_env=True
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def start(self, request: ReleaseRequest) -> ReleaseHandle:
        """Start a release, or supersede the version of the one under way; the token names the requester."""
        accepted = await self._started(request)
        if accepted is None:
            raise TidegateError(f"{self._server}: its answer cannot be used", "see `tidegate version`")
        return ReleaseHandle(RolloutRef.of(request), accepted.run_id, accepted.message, images_of(request.rollout))

    async def _started(self, request: ReleaseRequest) -> Accepted | None:
        deadline = asyncio.get_running_loop().time() + SYNC_TIMEOUT.total_seconds()
        while True:
            try:
                return await self._request("POST", PATH, Accepted, request)
            except RefusedError as error:
                # An object that is not in the cluster yet may be on its way there.
                if error.kind != ErrorType.REJECTED or asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)

    async def status(self, rollout: RolloutRef, *, run_id: str | None = None) -> ReleaseStatus:
        """Status of a release."""
        status = await self._request("GET", _path(rollout, run_id or ""), ReleaseStatus)
        if status is None:
            raise TidegateError(f"{self._server}: its answer cannot be used", "see `tidegate version`")
        return status

    async def wait(
        self, handle: ReleaseHandle, *, timeout: timedelta | None = None, until_held: bool = False
    ) -> ReleaseResult:
        """Wait for the end of a release, over restarts of the gateway and of all that is behind it."""
        path = _path(handle.rollout, handle.run_id) + "/end" + ("?until_held=true" if until_held else "")
        try:
            async with asyncio.timeout(timeout.total_seconds() if timeout else None):
                while (result := await self._request_end(path)) is None:
                    pass
        except TimeoutError as error:
            raise StillRunningError(
                f"{handle.rollout.workflow_id}: still running after {timeout}",
                "the release goes on by itself: wait longer with --timeout",
            ) from error
        return expected_result(handle, result)

    async def _request_end(self, path: str) -> ReleaseResult | None:
        try:
            return await self._request("GET", path, ReleaseResult)
        except (UnreachableError, NoWorkerError):
            await asyncio.sleep(AGAIN_SECONDS)
            return None

    async def _request(
        self, method: str, path: str, kind: type[Result], body: BaseModel | None = None
    ) -> Result | None:
        """The answer; None while there is none yet (202)."""
        headers = {"Authorization": f"Bearer {await self._token()}", "Content-Type": "application/json"}
        try:
            async with self._session.request(
                method,
                f"{self._server}{path}",
                headers=headers,
                data=body.model_dump_json().encode() if body is not None else None,
                allow_redirects=False,
            ) as answer:
                content = await answer.content.read(MAX_ANSWER_BYTES + 1) if answer.status != 202 else b""
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(
                f"the gateway at {self._server} does not answer: {error or type(error).__name__}",
                "see --server, or TIDEGATE_SERVER",
            ) from error
        if status == 202:
            return None
        try:
            if status == 200:
                return kind.model_validate_json(content)
            failure = Failure.model_validate_json(content)
        except ValidationError as error:
            problem = f"the gateway at {self._server} answers {status}, which cannot be used"
            if status >= 500:
                raise UnreachableError(problem, "see --server, or TIDEGATE_SERVER") from error
            raise TidegateError(problem, "client and gateway may differ in version") from error
        raise failure.raised()


def _path(rollout: RolloutRef, run_id: str) -> str:
    parts = (rollout.cluster, rollout.namespace, rollout.name, run_id)
    return "/".join([PATH, *(quote(part, safe="") for part in parts)])


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def open_gateway(server: str, environment: Mapping[str, str]) -> AsyncIterator[GatewayClient]:
    """A client with the token that the environment has. Raises ConfigurationError where it has none."""
    async with GatewayClient(server, token_from(environment)) as client:
        yield client
