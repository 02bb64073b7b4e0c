"""`codec serve`: what Temporal stores encrypted, made readable for its UI and command."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.commands import examples, plain_group
from tidegate.cli.exits import ExitCode
from tidegate.cli.output import stdout
from tidegate.client import ConfigurationError, KeySource, keys_from_environment

if TYPE_CHECKING:
    from tidegate.client.codec_server import CodecServer

codec = plain_group("Read what Temporal stores encrypted.")

_ORIGIN = re.compile(r"https?://[^/\s*]+")


@codec.callback()
def _group() -> None:
    """Read what Temporal stores encrypted."""


@codec.command(epilog=examples("codec serve --help"))
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; beyond this machine only with a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 8234,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", metavar="URL", help="Address of a Temporal UI whose pages may ask; may be repeated."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token that each request has to send (Authorization: Bearer).")
    ] = None,
) -> int:
    """Serve Temporal's remote codec until interrupted: POST /encode and POST /decode.

    Keys come from TIDEGATE_CODEC_KEYS (JSON) or the file TIDEGATE_CODEC__KEY_FILE.
    """
    # Here, so that no other command loads a web server.
    from tidegate.client.codec_server import CodecServer, is_loopback

    keys = keys_from_environment()
    if keys is None:
        raise ConfigurationError("there are no keys", "set TIDEGATE_CODEC__KEY_FILE or TIDEGATE_CODEC_KEYS")
    token = _token(token_file) if token_file else ""
    if not token and not is_loopback(host):
        raise ConfigurationError(
            f"{host}: others than this machine would read everything", "give --token-file, or --host 127.0.0.1"
        )
    origins = [_origin(each) for each in origin or []]
    asyncio.run(_serve(CodecServer(keys, origins=origins, token=token), keys, host, port))
    return ExitCode.OK


async def _serve(server: CodecServer, keys: KeySource, host: str, port: int) -> None:
    from tidegate.client.codec_server import serve_codec

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await keys.keyring()  # a file that cannot be used is an error now and not at the first request
    async with serve_codec(server, host, port) as bound:
        stdout().print(f"codec server: http://{host}:{bound}")
        await stop.wait()


def _token(path: Path) -> str:
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(f"{path}: {reason}", "see --token-file") from error
    if not token:
        raise ConfigurationError(f"{path}: no token in it", "see --token-file")
    return token


def _origin(text: str) -> str:
    origin = text.rstrip("/")
    if not _ORIGIN.fullmatch(origin):
        raise typer.BadParameter(f"{text!r} is not like https://temporal.internal", param_hint="--origin")
    return origin
