"""The links of the chaos rounds do what they say, and are well again when they are healed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from sandbox.processes import LOOPBACK, free_port, until
from tests.chaos.links import DELAY_SECONDS, Link, Trouble

SHORT_SECONDS = 0.3
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Stream]]


class Echo:
    """A server that says what it hears; `heard` is all of it."""

    def __init__(self) -> None:
        self.heard = b""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1024):
                self.heard += data
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest_asyncio.fixture
async def link(echo: Echo) -> AsyncIterator[Link]:
    server = await asyncio.start_server(echo.answer, LOOPBACK, 0)
    link = Link("a link", server.sockets[0].getsockname()[1])
    await link.start()
    yield link
    await link.stop()
    server.close()


@pytest_asyncio.fixture
async def connect(link: Link) -> AsyncIterator[Connect]:
    """Connect to the link, again and again; what is left is closed."""
    async with contextlib.AsyncExitStack() as stack:

        async def connect() -> Stream:
            stream = await asyncio.open_connection(LOOPBACK, link.port)
            stack.callback(stream[1].close)
            return stream

        yield connect


async def say(stream: Stream, text: bytes) -> bytes:
    """What comes back; b"" when the connection ends, or is reset."""
    reader, writer = stream
    try:
        writer.write(text)
        await writer.drain()
        return await reader.read(1024)
    except OSError:
        return b""


async def test_a_link_passes_both_directions(link: Link, connect: Connect) -> None:
    stream = await connect()
    assert await say(stream, b"one") == b"one"
    assert await say(stream, b"two") == b"two"


async def test_a_cut_resets_what_is_connected_and_takes_the_next(link: Link, connect: Connect) -> None:
    stream = await connect()
    assert await say(stream, b"one") == b"one"
    await link.suffer(Trouble.CUT)
    assert await say(stream, b"two") == b""
    again = await connect()
    assert await say(again, b"three") == b"three"


async def test_a_refused_connection_is_taken_again_after_healing(link: Link, connect: Connect) -> None:
    stream = await connect()
    assert await say(stream, b"one") == b"one"
    await link.suffer(Trouble.REFUSE)
    assert await say(stream, b"two") == b""
    with pytest.raises(ConnectionRefusedError):
        await connect()
    await link.heal()
    again = await connect()
    assert await say(again, b"three") == b"three"


async def test_a_delay_is_a_delay(link: Link, connect: Connect) -> None:
    stream = await connect()
    assert await say(stream, b"one") == b"one"
    await link.suffer(Trouble.DELAY)
    began = time.monotonic()
    assert await say(stream, b"two") == b"two"
    assert time.monotonic() - began >= 2 * DELAY_SECONDS, "there and back"


async def test_a_blackhole_says_nothing_until_it_is_healed(link: Link, connect: Connect) -> None:
    stream = await connect()
    assert await say(stream, b"one") == b"one"
    await link.suffer(Trouble.BLACKHOLE)
    late = await connect()
    asking = [asyncio.create_task(say(each, b"two")) for each in (stream, late)]
    done, _ = await asyncio.wait(asking, timeout=SHORT_SECONDS)
    assert not done
    await link.heal()
    assert await asyncio.gather(*asking) == [b"two", b"two"]


async def test_half_closed_the_server_hears_and_is_not_heard(link: Link, connect: Connect, echo: Echo) -> None:
    stream = await connect()
    assert await say(stream, b"one") == b"one"
    await link.suffer(Trouble.HALF_CLOSE)
    assert await say(stream, b"two") == b""

    async def heard() -> bool:
        return echo.heard == b"onetwo"

    await until(heard, 5.0, "the server hears what is said")
    await link.heal()
    again = await connect()
    assert await say(again, b"three") == b"three"


@pytest.mark.parametrize("trouble", list(Trouble))
async def test_a_link_can_be_stopped_in_any_trouble(link: Link, connect: Connect, trouble: Trouble) -> None:
    stream = await connect()
    await say(stream, b"one")
    await link.suffer(trouble)
    async with asyncio.timeout(5.0):
        await link.stop()
    assert await say(stream, b"two") == b""


async def test_a_server_that_is_away_is_a_connection_that_ends() -> None:
    link = Link("to nobody", free_port())
    await link.start()
    stream = await asyncio.open_connection(LOOPBACK, link.port)
    assert await say(stream, b"one") == b""
    stream[1].close()
    await link.stop()
