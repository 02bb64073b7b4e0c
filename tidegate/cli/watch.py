"""Following a release: a frame every second, drawn over each other on a terminal, told as changes elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tidegate.cli.overview import current_step
from tidegate.cli.tree import counts
from tidegate.cli.words import WARNING, marked
from tidegate.client import NoWorkerError, RolloutRef, TidegateClient, UnreachableError
from tidegate.contract import Event, Observation, ReleaseStatus

FRAME_SECONDS = 1.0
OBSERVE_EVERY = 5  # frames, since each look at the cluster is an activity


@dataclass(frozen=True)
class Frame:
    """A release at one moment; `trouble` says why `status` is an old one."""

    status: ReleaseStatus
    observation: Observation | None = None
    trouble: str = ""


async def follow(
    client: TidegateClient, rollout: RolloutRef, *, run_id: str | None = None, pods: bool = False
) -> AsyncGenerator[Frame, None]:
    """A frame every second until the release has ended, over restarts of workers and of Temporal.

    The cluster is looked at with `pods` only. The first question's error is raised; after it the last answer stands and
    the frame names the trouble.
    """
    status, observation = await look(client, rollout, run_id=run_id, pods=pods)
    frame = Frame(status, observation)
    yield frame
    looking: asyncio.Task[Observation | None] | None = None
    number = 0
    try:
        while frame.status.finished_at is None:
            await asyncio.sleep(FRAME_SECONDS)
            number += 1
            if looking is not None and looking.done():
                frame = replace(frame, observation=looking.result() or frame.observation)
                looking = None
            if pods and looking is None and number % OBSERVE_EVERY == 0:
                looking = asyncio.create_task(client.observe(rollout))
            try:
                frame = replace(frame, status=await client.status(rollout, run_id=run_id), trouble="")
            except (NoWorkerError, UnreachableError) as error:
                frame = replace(frame, trouble=error.message)
            yield frame
    finally:
        if looking is not None:
            looking.cancel()


async def look(
    client: TidegateClient, rollout: RolloutRef, *, run_id: str | None = None, pods: bool
) -> tuple[ReleaseStatus, Observation | None]:
    """The release's own account, and with `pods` the cluster's, asked for at the same time."""
    looking = asyncio.create_task(client.observe(rollout)) if pods else None
    try:
        status = await client.status(rollout, run_id=run_id)
        return status, await looking if looking is not None else None
    finally:
        if looking is not None:
            looking.cancel()


def changes(before: ReleaseStatus | None, after: ReleaseStatus) -> list[Text]:
    """What happened between two accounts of a release, one line each: events, analysis runs, progress."""
    known = set(before.events) if before is not None else set()
    lines = [_event(event) for event in after.events if event not in known]
    told = {line.plain for line in _standing(before)} if before is not None else set()
    return [*lines, *(line for line in _standing(after) if line.plain not in told)]


def _event(event: Event) -> Text:
    reason = marked(event.reason, WARNING) if event.warning else Text(event.reason)
    return Text.assemble(f"{event.at:%H:%M:%S}  ", reason, f"  {event.message}")


def _standing(status: ReleaseStatus) -> list[Text]:
    """Lines that are worth repeating only when they read differently."""
    lines = [
        Text.assemble(f"α {run.name}  ", marked(run.status.phase), f"  {counts(run.status)}") for run in status.analyses
    ]
    message = f" - {status.message}" if status.message else ""
    step = f"  step {current_step(status)}" if current_step(status) else ""
    weights = f"  weight {status.set_weight} (actual {status.actual_weight})"
    return [*lines, Text.assemble(marked(status.phase), message, step, weights)]


async def tell(console: Console, frames: AsyncIterator[Frame]) -> None:
    """Write what changes from frame to frame, one line each."""
    last, trouble = None, ""
    async for frame in frames:
        lines = changes(last, frame.status)
        if frame.trouble and frame.trouble != trouble:
            lines.append(marked(frame.trouble, WARNING))
        for line in lines:
            console.print(line)
        last, trouble = frame.status, frame.trouble


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
            live.update(Text("\n").join(block), refresh=True)
    console.print(Text("\n").join(block))
