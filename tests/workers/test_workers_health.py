"""Health over real sockets."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from workers.health import MAX_REQUEST_LINE_BYTES, Health, serve_health


async def get(port: int, path: str) -> tuple[int, object]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}{path}")
        return answer.status_code, answer.json()


async def test_alive_at_once_and_ready_when_told() -> None:
    health = Health()
    async with serve_health(health, "127.0.0.1", 0) as port:
        assert await get(port, "/healthz") == (200, {"alive": True})
        assert await get(port, "/readyz") == (503, {"ready": False, "reason": "starting"})
        health.set_ready()
        assert await get(port, "/readyz?verbose") == (200, {"ready": True, "reason": ""})
        health.set_not_ready("Temporal does not answer")
        assert await get(port, "/readyz") == (503, {"ready": False, "reason": "Temporal does not answer"})
        assert (await get(port, "/metrics"))[0] == 404


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"POST /healthz HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"nonsense\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"\xff\xfe\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"GET /" + b"x" * 2 * MAX_REQUEST_LINE_BYTES, b""),
        (b"", b"HTTP/1.1 400 Bad Request"),
    ],
)
async def test_nonsense_is_answered_or_dropped_and_hurts_nobody(sent: bytes, expected: bytes) -> None:
    async with serve_health(Health(), "127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        if not sent:
            writer.write_eof()
        try:
            answer = await reader.read()
        except ConnectionResetError:
            answer = b""
        writer.close()
        assert answer.startswith(expected)
        assert await get(port, "/healthz") == (200, {"alive": True})
