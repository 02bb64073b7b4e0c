"""`web`: the page of all releases on this machine, read only."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from tidegate.cli.exits import ExitCode
from tidegate.cli.options import with_client
from tidegate.cli.output import stdout
from tidegate.client import TidegateClient

HOST = "127.0.0.1"


def web(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 8084,
    temporal_ui: Annotated[
        str,
        typer.Option(metavar="URL", envvar="TIDEGATE_TEMPORAL_UI", help="Temporal UI with its namespace, for links."),
    ] = "",
) -> int:
    """Show all releases as a web page on this machine, until interrupted.

    It is read only. `tidegate-web` serves it to others, behind a proxy that signs people in.
    """
    with_client(lambda client: _serve(client, port, temporal_ui))
    return ExitCode.OK


async def _serve(client: TidegateClient, port: int, temporal_ui: str) -> None:
    # Here, so that no other command loads a web server.
    from tidegate.client.http_server import serve_http
    from tidegate.web.server import WebPage

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve_http(WebPage(client, temporal_ui=temporal_ui).app(), HOST, port) as bound:
        stdout().print(f"releases: http://{HOST}:{bound}")
        await stop.wait()
