"""The web page in a browser: served for it, driven by keys, and in pictures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from sandbox.processes import LOOPBACK
from tests.browser.chromium import Box, Page
from tests.world.conftest import Releases
from tidegate.client.http_server import serve_http
from tidegate.web.access import PageAccess
from tidegate.web.server import WebPage, static_file

SMALLEST, LARGEST = 5_000, 250_000  # bytes of a picture
ALICE = {"X-Auth-Request-User": "alice", "X-Auth-Request-Groups": "payments,sre"}
WIDE, NARROW = 1280, 360
KEYS = {"Tab": 9, "Enter": 13}


@asynccontextmanager
async def live(releases: Releases) -> AsyncIterator[str]:
    """Serve the page of the world's releases."""
    page = WebPage(releases.client, PageAccess(operators=frozenset({"sre"})))
    async with serve_http(page.app(), LOOPBACK, 0) as port:
        yield f"http://{LOOPBACK}:{port}"


@asynccontextmanager
async def still(pages: Mapping[str, str]) -> AsyncIterator[str]:
    """Serve pages that stay as they are, with the style of the page."""
    app = web.Application()
    app.router.add_get("/static/{name}", static_file)
    for name, text in pages.items():
        app.router.add_get(f"/{name}", _answering(text))
    async with serve_http(app, LOOPBACK, 0) as port:
        yield f"http://{LOOPBACK}:{port}"


def _answering(text: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    return answer


@asynccontextmanager
async def signed_in(page: Page, headers: Mapping[str, str]) -> AsyncIterator[None]:
    """Add what the proxy adds to each request of a person."""
    await page.call("Network.enable")
    await page.call("Network.setExtraHTTPHeaders", headers=dict(headers))
    try:
        yield
    finally:
        await page.call("Network.setExtraHTTPHeaders", headers={})


async def scheme(page: Page, name: str) -> None:
    """Have the system prefer dark or light."""
    await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])


async def picture(page: Page, file: Path, width: int, height: int = 0) -> None:
    """Take a picture of the whole page, or of its top. It never scrolls sideways."""
    await page.size(width, 800)
    whole = height or int(await page.evaluate("document.documentElement.scrollHeight"))
    await page.size(width, whole)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    shot = await page.picture(Box(0, 0, width, whole))
    assert SMALLEST < len(shot) < LARGEST
    await asyncio.to_thread(file.write_bytes, shot)


async def press(page: Page, key: str) -> None:
    """Press a key."""
    event = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
    text = {"text": "\r"} if key == "Enter" else {}
    await page.call("Input.dispatchKeyEvent", type="keyDown", **event, **text)
    await page.call("Input.dispatchKeyEvent", type="keyUp", **event)


async def tab_to(page: Page, text: str, most: int = 40) -> None:
    """Press Tab until the element of that text has the focus."""
    for _ in range(most):
        await press(page, "Tab")
        if await page.evaluate("document.activeElement.innerText") == text:
            return
    raise AssertionError(f"{text!r} is not reached by Tab")
