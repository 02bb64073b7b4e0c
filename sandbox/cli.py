"""`tidegate-sandbox`: the embedded world from a terminal."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import structlog
import typer
from rich.console import Console

from sandbox.demo import SCENARIOS, run_demo
from sandbox.kubernetes_api import serve_api
from sandbox.processes import ProgramError
from sandbox.starting import started_world
from tidegate.client.process_end import exit_process

T = TypeVar("T")

REPORT = Path(".tidegate") / "demo.json"
INTERRUPTED = 130
PIPE_WIDTH = 140  # where nobody says how wide it is, the account needs this much

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Tidegate's embedded world.")
console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


@app.command()
def up() -> None:
    """Start everything and a worker, print where it is, run until interrupted."""

    async def stay() -> None:
        async with started_world(console):
            await asyncio.Event().wait()

    _run(stay())


@app.command()
def demo(
    scenario: Annotated[str, typer.Argument(help="good, bad, slow or worse; all four by default")] = "",
    keep: Annotated[bool, typer.Option("--keep", help="leave the world up until interrupted")] = False,
) -> None:
    """Roll out a good, a bad, a slow and a worse image, and give an account of each."""
    chosen = [each for each in SCENARIOS if scenario in ("", each.name)]
    if not chosen:
        raise typer.BadParameter(f"{scenario!r}: choose one of {', '.join(each.name for each in SCENARIOS)}")
    if not _run(run_demo(chosen, keep=keep, report=REPORT, console=console)):
        console.print("a release did not come to what it had to: see the account")
        raise typer.Exit(1)


@app.command()
def api(
    port: Annotated[int, typer.Option(help="port on 127.0.0.1")],
    state: Annotated[Path | None, typer.Option(help="file in which the objects survive a restart")] = None,
) -> None:
    """The Kubernetes API and its controllers alone; pods are simulated."""
    _run(serve_api(port, state))


def main() -> None:
    """Run the command `tidegate-sandbox`."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        app()
    except SystemExit as ended:
        exit_process(ended.code if isinstance(ended.code, int) else int(ended.code is not None))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run until done or interrupted; SIGTERM is as good as Ctrl-C. What was started is taken down either way."""

    async def body() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def end() -> None:
            if not task.cancelling():  # an impatient second Ctrl-C must not leave half of it behind
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
        return await task

    try:
        return asyncio.run(body())
    except asyncio.CancelledError:
        raise typer.Exit(INTERRUPTED) from None
    except ProgramError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(1) from error
