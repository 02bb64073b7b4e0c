"""TCP links that can go wrong: a proxy before one server, for one of its clients."""

from __future__ import annotations

import asyncio
import contextlib
from enum import StrEnum

from sandbox.processes import LOOPBACK, free_port

CHUNK_BYTES = 64 * 1024
DELAY_SECONDS = 0.7
CONNECT_SECONDS = 5.0


class Trouble(StrEnum):
    """What may be the matter with a link."""

    CUT = "cut"  # what is connected is reset, once; new connections are taken
    REFUSE = "refuse"  # nobody listens, and what is connected is reset
    DELAY = "delay"  # everything arrives late
    HALF_CLOSE = "half-close"  # the server's answers end; what the client says still arrives
    BLACKHOLE = "blackhole"  # connections stay, are taken, and nothing arrives


class Link:
    """Passes bytes between its own port and the server's, as `trouble` says.

    The port stays the same for the life of the link. A server that is away is, for the client, a reset connection.
    """

    def __init__(self, name: str, port: int) -> None:
        """`port` is the server's on 127.0.0.1."""
        self.name = name
        self.port = free_port()
        self.trouble: Trouble | None = None
        self._target = port
        self._server: asyncio.Server | None = None
        self._streams: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()

    @property
    def address(self) -> str:
        """`host:port` of the link."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The same for a server that speaks HTTP."""
        return f"http://{self.address}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def stop(self) -> None:
        """Reset everything and stop listening."""
        await self._close()
        self._reset()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def suffer(self, trouble: Trouble) -> None:
        """Let something be the matter, until `heal`. A cut is over at once."""
        self.trouble = None if trouble is Trouble.CUT else trouble
        if trouble is Trouble.BLACKHOLE:
            self._open.clear()
        elif trouble is Trouble.REFUSE:
            await self._close()
        if trouble in (Trouble.CUT, Trouble.REFUSE):
            self._reset()

    async def heal(self) -> None:
        """Let everything pass again. Connections of which bytes were lost do not come back: they are reset."""
        lost = self.trouble is Trouble.HALF_CLOSE
        self.trouble = None
        self._open.set()
        if lost:
            self._reset()
        if self._server is None:
            await self.start()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _reset(self) -> None:
        for stream in list(self._streams):
            stream.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._streams.add(writer)
        try:
            await self._open.wait()
            async with asyncio.timeout(CONNECT_SECONDS):
                upstream = await asyncio.open_connection(LOOPBACK, self._target)
        except (OSError, TimeoutError):
            writer.transport.abort()
        else:
            self._streams.add(upstream[1])
            await asyncio.gather(
                self._pass(reader, upstream[1], answers=False), self._pass(upstream[0], writer, answers=True)
            )
            await self._shut(upstream[1])
        finally:
            await self._shut(writer)
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        """One direction, until its sender has ended."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._open.wait()
                if self.trouble is Trouble.DELAY:
                    await asyncio.sleep(DELAY_SECONDS)
                if answers and self.trouble is Trouble.HALF_CLOSE:
                    break
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    async def _shut(self, writer: asyncio.StreamWriter) -> None:
        self._streams.discard(writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
