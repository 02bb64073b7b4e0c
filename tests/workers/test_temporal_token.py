"""A process's token for Temporal comes from a file, and from the file again when it was renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.runtime import Runtime

from sandbox.processes import until
from sandbox.temporal import TemporalServer
from workers.connection import Connection, TokenFileError, read_token
from workers.health import Health
from workers.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def eventually(holds: Callable[[], bool], what: str) -> None:
    async def now() -> bool:
        return holds()

    await until(now, 20, what)


async def test_a_renewed_token_is_used_from_then_on(
    server: TemporalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
    monkeypatch.setenv("TEMPORAL_TLS", "false")  # a token alone means TLS
    file, health = tmp_path / "token", Health()
    file.write_text("one\n")
    connection = Connection(Settings(temporal_token_file=file), health, None, Runtime.default())
    client = await connection.open()
    assert client.api_key == "one"
    checking = asyncio.create_task(connection.check(lambda: ""))
    try:
        await eventually(lambda: health.ready, "it is ready")
        # As a kubelet does: a new file takes the place of the old one.
        (tmp_path / "newer").write_text("two")
        (tmp_path / "newer").rename(file)
        await eventually(lambda: client.api_key == "two", "the new token is used")
        file.unlink()
        await eventually(lambda: not health.ready, "the health says what is missing")
        assert str(file) in str(health.answer("/readyz")[1]["reason"])
        assert client.api_key == "two", "it goes on with what it has"
    finally:
        checking.cancel()


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"\xff\xfe"])
async def test_a_file_that_holds_no_token_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(TokenFileError, match=str(file)) as caught:
        await read_token(file)
    assert "two words" not in caught.value.message


async def test_without_a_file_there_is_no_token() -> None:
    assert await read_token(None) is None
