"""Following a release or an analysis run: a frame every second, drawn on a terminal, printed as changes elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from tidegate.analysis.status import AnalysisStatus
from tidegate.cli.analysis import measurements_since
from tidegate.cli.formatting import marked
from tidegate.cli.output import document, print_json
from tidegate.cli.overview import current_step
from tidegate.cli.paint import Painter, has_screen
from tidegate.cli.screen import Terminal, screen
from tidegate.cli.tree import counts
from tidegate.client import AnalysisRunRef, NoWorkerError, ReleaseHandle, RolloutRef, TidegateClient, UnreachableError
from tidegate.client.releases import Releases
from tidegate.contract import Event, Observation, ReleaseStatus
from tidegate.report import actual_weight
from tidegate.report.marks import WARNING

FRAME_SECONDS = 1.0
OBSERVE_EVERY = 5  # frames, since each look at the cluster is an activity
HEARTBEAT = timedelta(minutes=1)


Status = TypeVar("Status")
Document = TypeVar("Document", bound=BaseModel)


class Pace(NamedTuple):
    """Seconds between two frames: while it is under way, and after the end, until there is another release."""

    running: float = FRAME_SECONDS
    ended: float = 5.0


_PACE = Pace()


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Frame(Generic[Status]):
    """A release or an analysis run at one moment; `trouble` says why `status` is an old one.

    `observation` is what the cluster showed, where a release is followed with its pods. `at` is the time of the frame,
    `read_at` that of the status.
    """

    status: Status
    observation: Observation | None = None
    trouble: str = ""
    at: datetime = field(default_factory=_now)
    read_at: datetime = field(default_factory=_now)


async def answers(
    query: Callable[[], Awaitable[Status]],
    ended: Callable[[Status], bool],
    *,
    known: Status | None = None,
    stay: bool = False,
    pace: Pace = _PACE,
) -> AsyncGenerator[Frame[Status], None]:
    """A frame every second until the end, over restarts of workers and of Temporal.

    `known` is an answer that there is already; without it the first query's error is raised. After the first frame the
    last answer is kept while there is no other, and the frame has the trouble. With `stay` it goes on after the end,
    more slowly.
    """
    frame = Frame(known if known is not None else await query())
    yield frame
    while stay or not ended(frame.status):
        await asyncio.sleep(pace.ended if ended(frame.status) else pace.running)
        try:
            frame = Frame(await query())
        except (NoWorkerError, UnreachableError) as error:
            frame = replace(frame, trouble=error.message, at=_now())
        yield frame


async def follow(
    client: TidegateClient,
    rollout: RolloutRef,
    *,
    run_id: str | None = None,
    pods: bool = False,
    stay: bool = False,
    pace: Pace = _PACE,
) -> AsyncGenerator[Frame[ReleaseStatus], None]:
    """Frames of a release until it has ended; the cluster is read with `pods` only.

    With `stay` the releases after it follow, and the frames never end.
    """
    status, observation = await observe(client, rollout, run_id=run_id, pods=pods)
    frames = answers(lambda: client.status(rollout, run_id=run_id), _has_ended, known=status, stay=stay, pace=pace)
    reading: asyncio.Task[Observation | None] | None = None
    number = 0
    try:
        async for frame in frames:
            if reading is not None and reading.done():
                observation, reading = reading.result() or observation, None
            yield replace(frame, observation=observation)
            number += 1
            if pods and reading is None and number % OBSERVE_EVERY == 0 and not _has_ended(frame.status):
                reading = asyncio.create_task(client.observe(rollout))
    finally:
        if reading is not None:
            reading.cancel()
        await frames.aclose()


def follow_release(client: Releases, handle: ReleaseHandle) -> AsyncGenerator[Frame[ReleaseStatus], None]:
    """Frames of a release that was just started, until it has ended."""
    return answers(lambda: client.status(handle.rollout, run_id=handle.run_id), _has_ended)


def _has_ended(status: ReleaseStatus) -> bool:
    return status.finished_at is not None


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


def changes(before: ReleaseStatus | None, after: ReleaseStatus, now: datetime) -> list[Text]:
    """Changes between two statuses of a release, one line each with its date: events, analysis runs, progress."""
    known = set(before.events) if before is not None else set()
    lines = [_event(event) for event in after.events if event not in known]
    shown = {line.plain for line in _progress_lines(before)} if before is not None else set()
    return [*lines, *(_dated(line, now) for line in _progress_lines(after) if line.plain not in shown)]


def _event(event: Event) -> Text:
    reason = marked(event.reason, WARNING) if event.warning else Text(event.reason)
    return _dated(Text.assemble(reason, f"  {event.message}"), event.at)


def _dated(line: Text, at: datetime) -> Text:
    return Text.assemble(f"{at:%Y-%m-%dT%H:%M:%SZ}  ", line)


def _progress_lines(status: ReleaseStatus) -> list[Text]:
    """Lines that are worth repeating only when they read differently."""
    lines = [
        Text.assemble(f"α {run.name}  ", marked(run.status.phase), f"  {counts(run.status)}") for run in status.analyses
    ]
    return [*lines, _state(status)]


def _state(status: ReleaseStatus) -> Text:
    message = f" - {status.message}" if status.message else ""
    step = f"  step {current_step(status)}" if current_step(status) else ""
    actual = actual_weight(status).replace(" %", "", 1)
    weights = f"  weight {status.set_weight} (actual {actual})"
    return Text.assemble(marked(status.phase), message, step, weights)


def heartbeat(frame: Frame[ReleaseStatus]) -> Text:
    """The line of a release in which nothing has changed for a while: its state, and the end of its wait."""
    waiting = frame.status.waiting
    until = f" until {waiting.until:%H:%M:%S} UTC" if waiting is not None and waiting.until is not None else ""
    waits = f"  waits for {waiting.what}{until}" if waiting is not None and frame.status.finished_at is None else ""
    return _dated(Text.assemble("unchanged: ", _state(frame.status), waits), frame.at)


async def print_changes(console: Console, frames: AsyncIterator[Frame[ReleaseStatus]]) -> None:
    """Write the changes from frame to frame of a release, one line each, and a line a minute when nothing changes."""
    before: Frame[ReleaseStatus] | None = None
    printed_at = datetime.min.replace(tzinfo=UTC)
    async for frame in frames:
        lines = changes(before.status if before is not None else None, frame.status, frame.at)
        if frame.trouble and (before is None or frame.trouble != before.trouble):
            lines.append(_dated(marked(frame.trouble, WARNING), frame.at))
        if not lines and frame.at - printed_at >= HEARTBEAT:
            lines.append(heartbeat(frame))
        for line in lines:
            console.print(line)
        printed_at = frame.at if lines else printed_at
        before = frame


async def publish_run(console: Console, frames: AsyncIterator[Frame[AnalysisStatus]]) -> AnalysisStatus:
    """Write the measurements of an analysis run as they come, and return its last status."""
    before = await anext(frames)
    for line in measurements_since(None, before.status):
        console.print(line)
    async for frame in frames:
        lines = measurements_since(before.status, frame.status)
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
    """Show the blocks one over the other on a terminal; elsewhere write each that differs from the one before.

    The last block is written whole, also where the terminal has too few rows for it.
    """
    if not has_screen(console):
        shown: list[Text] = []
        async for block in blocks:
            if block != shown:
                console.print(Text("\n").join(block))
            shown = block
        return
    block = []
    with Painter(console) as painter:
        async for block in blocks:
            painter.draw(block)
        painter.finish(block)


async def watch_release(console: Console, frames: AsyncIterator[Frame[ReleaseStatus]], *, pods: bool = False) -> None:
    """Show a release as one screen that follows the terminal's size; elsewhere write its changes line by line."""
    if not has_screen(console):
        await print_changes(console, frames)
        return
    with Painter(console) as painter:
        async for frame in frames:
            painter.draw(drawn(frame, terminal_of(console), pods=pods))


def drawn(frame: Frame[ReleaseStatus], terminal: Terminal, *, pods: bool = False) -> list[Text]:
    """The screen of a frame."""
    return screen(
        frame.status,
        frame.observation,
        now=frame.at,
        terminal=terminal,
        pods=pods,
        trouble=frame.trouble,
        read_at=frame.read_at,
    )


def terminal_of(console: Console) -> Terminal:
    """The terminal of a console, as it is now."""
    return Terminal(
        console.size.width,
        console.size.height,
        colour=console.color_system is not None and not console.no_color,
        unicode=console.encoding.lower().startswith("utf"),
    )
