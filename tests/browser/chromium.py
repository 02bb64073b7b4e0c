"""A headless Chromium, driven over its own debugging protocol: navigate, click, read, take a picture.

Protocol: https://chromedevtools.github.io/devtools-protocol/. It is JSON over one WebSocket, so that no driver has to
be installed beside the browser.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from PIL import Image

from sandbox.processes import LOOPBACK, Program, until

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
SECONDS: Final = 10.0  # for a text to come, on an idle machine
ANSWER_SECONDS: Final = 10.0
COLOURS: Final = 48  # of a picture: text and a few marks
OPTIONS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-features=IsolateSandboxedIframes",  # so that the text of every frame can be read
    "--remote-debugging-port=0",
)
# The innermost visible element whose text begins with the given one.
FIND: Final = """
(text, selector) => [...document.querySelectorAll(selector || 'a, button, [role=tab], [role=switch], label')]
  .find(each => each.offsetParent !== null && each.innerText.trim().startsWith(text))
"""


class PageError(Exception):
    """A command that the browser refused, as it does for a page or frame that has just been replaced."""


@dataclass(frozen=True)
class Box:
    """A part of a page, in CSS pixels."""

    x: float
    y: float
    width: float
    height: float


def executable() -> str:
    """Path of the installed browser, empty without one."""
    return next(filter(None, map(shutil.which, NAMES)), "")


class Page:
    """The one page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Result of one command of the protocol. Raises PageError with the browser's words."""
        self._number += 1
        await self._socket.send_str(json.dumps({"id": self._number, "method": method, "params": parameters}))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._socket.receive_json()
                while answer.get("id") != self._number:
                    answer = await self._socket.receive_json()
        except TimeoutError as error:  # what is asked of a page that is just being replaced may have no answer
            raise PageError(f"{method}: no answer") from error
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def evaluate(self, script: str) -> Any:
        """Value of an expression in the page. Raises PageError for what it throws."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise PageError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    async def in_frames(self, script: str) -> list[Any]:
        """Values of an expression in each frame of the page, the page itself first."""
        tree = (await self.call("Page.getFrameTree"))["frameTree"]
        values = [await self.evaluate(script)]
        for frame in tree.get("childFrames", []):
            world = await self.call("Page.createIsolatedWorld", frameId=frame["frame"]["id"])
            found = await self.call(
                "Runtime.evaluate", expression=script, returnByValue=True, contextId=world["executionContextId"]
            )
            values.append(found["result"].get("value"))
        return values

    async def open(self, url: str) -> None:
        """Go to an address; what the page loads by itself has to be awaited with `shows`."""
        await self.call("Page.navigate", url=url)

    async def text(self) -> str:
        """Text of the page and of its frames, as it is laid out."""
        return "\n".join(map(str, await self.in_frames("document.body ? document.body.innerText : ''")))

    async def shows(self, *texts: str) -> str:
        """Text of the page once it has all of these.

        Raises TimeoutError, with what it shows instead.
        """
        seen = ""

        async def all_there() -> bool:
            nonlocal seen
            with suppress(PageError):
                seen = await self.text()
            return all(each in seen for each in texts)

        try:
            await until(all_there, SECONDS, f"{texts} on the page")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it shows: {seen}") from error
        return seen

    async def click(self, text: str, selector: str = "") -> None:
        """Click what is labelled so, once it is there. Raises TimeoutError."""
        script = f"(found => (found && found.click(), !!found))(({FIND})({json.dumps(text)}, {json.dumps(selector)}))"

        async def clicked() -> bool:
            with suppress(PageError):
                return bool(await self.evaluate(script))
            return False

        await until(clicked, SECONDS, f"{text!r} to click on")

    async def size(self, width: int, height: int) -> None:
        """Set the size of the window, in CSS pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def picture(self, box: Box) -> bytes:
        """A part of what the window shows, as a PNG of few colours."""
        shot = await self.call("Page.captureScreenshot", format="png", clip={**vars(box), "scale": 1})
        image = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
        small = io.BytesIO()
        image.quantize(COLOURS, dither=Image.Dither.NONE).save(small, "png", optimize=True)
        return small.getvalue()


@asynccontextmanager
async def opened(width: int = 1280, height: int = 800) -> AsyncIterator[Page]:
    """A browser with one empty page and a profile of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tidegate-browser-", ignore_cleanup_errors=True) as home:
        where = Path(home)
        port = where / "DevToolsActivePort"
        argv = [executable(), *OPTIONS, f"--user-data-dir={where}", "about:blank"]
        program = Program("chromium", argv, log_file=where / "chromium.log", env={"HOME": home})

        async def listens() -> bool:
            return port.exists() and "\n" in port.read_text()

        await program.start(listens, timeout=SECONDS)
        try:
            number = port.read_text().splitlines()[0]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://{LOOPBACK}:{number}/json/list") as answer:
                    [target, *_] = [each for each in await answer.json() if each["type"] == "page"]
                async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    page = Page(socket)
                    await page.size(width, height)
                    yield page
        finally:
            await program.stop()
