"""The embedded Datadog API: metric queries with the numbers that the proxy really counted."""

from __future__ import annotations

import hmac
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web
from pydantic import ValidationError

from activities.metrics.datadog.formula import FormulaError, NotComputableError
from sandbox.datadog.answers import Answers
from sandbox.datadog.query import QueryError
from sandbox.datadog.series import Ingestion, Telemetry
from sandbox.processes import LOOPBACK
from sandbox.rate_limit import RateLimit

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class DatadogApi:
    """`/api/v1/query`, `/api/v1/validate`, `/api/v2/query/scalar` and `/api/v2/query/timeseries` on a loopback port.

    Points appear `lag` seconds after what they count, in buckets of at least `resolution` seconds. (Datadog's agents
    report every 10 s; here it is quicker so that a short demonstration has something to judge.) `requests` counts what
    arrived, by path; `rate_limit` and `ingestion`, how counts come in, may be changed.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        api_key: str,
        app_key: str,
        port: int = 0,
        resolution: float = 1.0,
        lag: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rate_limit = RateLimit(limit=6000, period=60)
        self.ingestion = Ingestion()
        self.requests: Counter[str] = Counter()
        self._telemetry = telemetry
        self._api_key = api_key
        self._app_key = app_key
        self._port = port
        self._resolution = resolution
        self._lag = lag
        self._clock = clock
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base URL, what `address` of the credentials is."""
        return f"http://{LOOPBACK}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/api/v1/validate", self._validate)
        app.router.add_get("/api/v1/query", self._query)
        app.router.add_post("/api/v2/query/scalar", self._scalar)
        app.router.add_post("/api/v2/query/timeseries", self._timeseries)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests[request.path] += 1
        if refused := self._check_keys(request):
            return refused
        limit, now = self.rate_limit, self._clock()
        taken = limit.take(now)
        headers = {
            "X-RateLimit-Limit": str(limit.limit),
            "X-RateLimit-Period": str(limit.period),
            "X-RateLimit-Remaining": str(taken.remaining),
            "X-RateLimit-Reset": str(max(1, round(taken.reset_at - now))),
            "X-RateLimit-Name": "metric_queries",
        }
        if not taken.allowed:
            text = f"Rate limit of {limit.limit} requests in {limit.period} seconds reached. Please try again later."
            return _errors(429, text, headers=headers)
        try:
            response = await handler(request)
        except (QueryError, FormulaError, NotComputableError) as error:
            response = _errors(400, str(error))
        except ValidationError as error:
            response = _errors(400, *(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()))
        except web.HTTPException as error:
            response = _errors(error.status, HTTPStatus(error.status).phrase)
        response.headers.update(headers)
        return response

    def _check_keys(self, request: web.Request) -> web.Response | None:
        given = [request.headers.get(name, "") for name in ("DD-API-KEY", "DD-APPLICATION-KEY")]
        wanted = [self._api_key, self._app_key]
        if request.path == "/api/v1/validate":
            given, wanted = given[:1], wanted[:1]
        if not all(given):
            return _errors(401, "Unauthorized")
        matches = [
            hmac.compare_digest(mine.encode(), theirs.encode()) for mine, theirs in zip(wanted, given, strict=True)
        ]
        return None if all(matches) else _errors(403, "Forbidden")

    async def _validate(self, request: web.Request) -> web.Response:
        return web.json_response({"valid": True})

    async def _query(self, request: web.Request) -> web.Response:
        try:
            start, end, text = int(request.query["from"]), int(request.query["to"]), request.query["query"]
        except (KeyError, ValueError) as error:
            raise QueryError("from, to (unix seconds) and query are required") from error
        return web.json_response(self._answers().query(text, start, end))

    async def _scalar(self, request: web.Request) -> web.Response:
        return web.json_response(self._answers().scalar(await request.read()))

    async def _timeseries(self, request: web.Request) -> web.Response:
        return web.json_response(self._answers().timeseries(await request.read()))

    def _answers(self) -> Answers:
        return Answers(self._telemetry, self._clock() - self._lag, self._resolution, self.ingestion)


def _errors(status: int, *texts: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"errors": texts}, status=status, headers=headers)
