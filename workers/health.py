"""Health over HTTP: `/healthz` answers while the process lives, `/readyz` only while it can take work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import structlog
from temporalio.common import MetricMeter

from tidegate.contract.metrics import READY

log = structlog.get_logger(__name__)

REQUEST_TIMEOUT_SECONDS = 2.0
MAX_REQUEST_LINE_BYTES = 2048


class Health:
    """Readiness of the process for work, with the reason when it is not ready."""

    def __init__(self, meter: MetricMeter = MetricMeter.noop) -> None:
        """`meter` shows it as well, as the gauge `tidegate_ready`."""
        self._trouble = "starting"
        self._meter = meter
        READY.set(meter, 0)

    @property
    def ready(self) -> bool:
        """True when it polls and Temporal answers."""
        return not self._trouble

    def set_ready(self) -> None:
        """Set it ready."""
        if self._trouble:
            log.info("ready")
        self._trouble = ""
        READY.set(self._meter, 1)

    def set_not_ready(self, reason: str) -> None:
        """Set it not ready, with a reason of one line."""
        if self._trouble != reason:
            log.warning("not ready", reason=reason)
        self._trouble = reason
        READY.set(self._meter, 0)

    def answer(self, path: str) -> tuple[HTTPStatus, dict[str, object]]:
        """Status and body of a GET."""
        if path == "/healthz":
            return HTTPStatus.OK, {"alive": True}
        if path == "/readyz":
            status = HTTPStatus.OK if self.ready else HTTPStatus.SERVICE_UNAVAILABLE
            return status, {"ready": self.ready, "reason": self._trouble}
        return HTTPStatus.NOT_FOUND, {"error": "known paths: /healthz, /readyz"}


@asynccontextmanager
async def serve_health(health: Health, host: str, port: int) -> AsyncIterator[int]:
    """Answer on `host`:`port` while the context lasts, 0 being any free port; gives the port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                status, body = _route(health, await reader.readline())
                writer.write(_response(status, body))
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError) as error:  # ValueError: a line beyond the limit
            log.debug("health request failed", error=str(error))
        finally:
            writer.close()

    server = await asyncio.start_server(handle, host, port, limit=MAX_REQUEST_LINE_BYTES)
    async with server:
        bound: int = server.sockets[0].getsockname()[1]
        yield bound


def _route(health: Health, line: bytes) -> tuple[HTTPStatus, dict[str, object]]:
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or parts[0] not in ("GET", "HEAD"):
        return HTTPStatus.BAD_REQUEST, {"error": "send GET /healthz or GET /readyz"}
    return health.answer(parts[1].partition("?")[0])


def _response(status: HTTPStatus, body: dict[str, object]) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content
