"""Following a release or an analysis run: a frame every second, drawn on a terminal, printed as changes elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pydantic import BaseModel
from rich.console import Console
from rich.live import Live
from rich.text import Text

from tidegate.analysis.status import AnalysisStatus
from tidegate.cli.analysis import measurements_since
from tidegate.cli.formatting import WARNING, marked
from tidegate.cli.output import document, made_harmless, print_json
from tidegate.cli.overview import current_step
from tidegate.cli.tree import counts
from tidegate.client import AnalysisRunRef, NoWorkerError, ReleaseHandle, RolloutRef, TidegateClient, UnreachableError
from tidegate.client.gateway import Releases
from tidegate.contract import Event, Observation, ReleaseStatus

FRAME_SECONDS = 1.0
OBSERVE_EVERY = 5  # frames, since each look at the cluster is an activity


Status = TypeVar("Status")
Document = TypeVar("Document", bound=BaseModel)


@dataclass(frozen=True)
class Frame(Generic[Status]):
    """A release or an analysis run at one moment; `trouble` says why `status` is an old one.

    `observation` is what the cluster showed, where a release is followed with its pods.
    """

    status: Status
    observation: Observation | None = None
    trouble: str = ""


async def answers(
    query: Callable[[], Awaitable[Status]], ended: Callable[[Status], bool], *, known: Status | None = None
) -> AsyncGenerator[Frame[Status], None]:
    """A frame every second until the end, over restarts of workers and of Temporal.

    `known` is an answer that there is already; without it the first query's error is raised. After the first frame the
    last answer is kept while there is no other, and the frame has the trouble.
    """
    frame = Frame(known if known is not None else await query())
    yield frame
    while not ended(frame.status):
        await asyncio.sleep(FRAME_SECONDS)
        try:
            frame = Frame(await query())
        except (NoWorkerError, UnreachableError) as error:
            frame = replace(frame, trouble=error.message)
        yield frame


async def follow(
    client: TidegateClient, rollout: RolloutRef, *, run_id: str | None = None, pods: bool = False
) -> AsyncGenerator[Frame[ReleaseStatus], None]:
    """Frames of a release until it has ended; the cluster is read with `pods` only."""
    status, observation = await observe(client, rollout, run_id=run_id, pods=pods)
    frames = answers(
        lambda: client.status(rollout, run_id=run_id), lambda status: status.finished_at is not None, known=status
    )
    reading: asyncio.Task[Observation | None] | None = None
    number = 0
    try:
        async for frame in frames:
            if reading is not None and reading.done():
                observation, reading = reading.result() or observation, None
            yield replace(frame, observation=observation)
            number += 1
            if pods and reading is None and number % OBSERVE_EVERY == 0:
                reading = asyncio.create_task(client.observe(rollout))
    finally:
        if reading is not None:
            reading.cancel()
        await frames.aclose()


def follow_release(client: Releases, handle: ReleaseHandle) -> AsyncGenerator[Frame[ReleaseStatus], None]:
    """Frames of a release that was just started, until it has ended."""
    return answers(
        lambda: client.status(handle.rollout, run_id=handle.run_id), lambda status: status.finished_at is not None
    )


def follow_run(
    client: TidegateClient, run: AnalysisRunRef, *, known: AnalysisStatus | None = None
) -> AsyncGenerator[Frame[AnalysisStatus], None]:
    """Frames of an analysis run until it has ended; `known` is the status of one that was just started."""
    return answers(lambda: client.analysis_status(run), lambda status: status.phase.completed, known=known)


async def observe(
    client: TidegateClient, rollout: RolloutRef, *, run_id: str | None = None, pods: bool
) -> tuple[ReleaseStatus, Observation | None]:
    """The release's own account, and with `pods` the cluster's, asked for at the same time."""
    reading = asyncio.create_task(client.observe(rollout)) if pods else None
    try:
        status = await client.status(rollout, run_id=run_id)
        return status, await reading if reading is not None else None
    finally:
        if reading is not None:
            reading.cancel()


def changes(before: ReleaseStatus | None, after: ReleaseStatus) -> list[Text]:
    """Changes between two statuses of a release, one line each: events, analysis runs, progress."""
    known = set(before.events) if before is not None else set()
    lines = [_event(event) for event in after.events if event not in known]
    shown = {line.plain for line in _progress_lines(before)} if before is not None else set()
    return [*lines, *(line for line in _progress_lines(after) if line.plain not in shown)]


def _event(event: Event) -> Text:
    reason = marked(event.reason, WARNING) if event.warning else Text(event.reason)
    return Text.assemble(f"{event.at:%H:%M:%S}  ", reason, f"  {event.message}")


def _progress_lines(status: ReleaseStatus) -> list[Text]:
    """Lines that are worth repeating only when they read differently."""
    lines = [
        Text.assemble(f"α {run.name}  ", marked(run.status.phase), f"  {counts(run.status)}") for run in status.analyses
    ]
    message = f" - {status.message}" if status.message else ""
    step = f"  step {current_step(status)}" if current_step(status) else ""
    weights = f"  weight {status.set_weight} (actual {status.actual_weight})"
    return [*lines, Text.assemble(marked(status.phase), message, step, weights)]


async def print_changes(console: Console, frames: AsyncIterator[Frame[ReleaseStatus]]) -> None:
    """Write what changes from frame to frame of a release, one line each."""
    await _print(console, frames, changes)


async def publish_run(console: Console, frames: AsyncIterator[Frame[AnalysisStatus]]) -> AnalysisStatus:
    """Write the measurements of an analysis run as they come, and return its last status."""
    return await _print(console, frames, measurements_since)


async def _print(
    console: Console, frames: AsyncIterator[Frame[Status]], changed: Callable[[Status | None, Status], list[Text]]
) -> Status:
    before = await anext(frames)
    for line in changed(None, before.status):
        console.print(line)
    async for frame in frames:
        lines = changed(before.status, frame.status)
        if frame.trouble and frame.trouble != before.trouble:
            lines.append(marked(frame.trouble, WARNING))
        for line in lines:
            console.print(line)
        before = frame
    return before.status


async def print_json_lines(frames: AsyncIterator[Frame[Document]]) -> None:
    """Write each status that differs from the one before as a line of JSON."""
    last = None
    async for frame in frames:
        if frame.status != last:
            print_json(document(frame.status), indent=None)
        last = frame.status


async def draw(console: Console, blocks: AsyncIterator[list[Text]]) -> None:
    """Show the blocks one over the other on a terminal; elsewhere write each that differs from the one before."""
    if not console.is_terminal:
        shown: list[Text] = []
        async for block in blocks:
            if block != shown:
                console.print(Text("\n").join(block))
            shown = block
        return
    block = []
    # Transient, and written once more at the end: a view taller than the terminal is cropped while it is live.
    with Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
        async for block in blocks:
            live.update(made_harmless(Text("\n").join(block)), refresh=True)
    console.print(Text("\n").join(block))
