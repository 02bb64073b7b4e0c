"""What goes wrong in a round: drawn from a seed, done to the plane, and made good again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import structlog

from sandbox.processes import ProgramError
from tests.chaos.links import Trouble
from tests.chaos.plane import SERVERS, TIDEGATE, Plane

log = structlog.get_logger(__name__)

SECONDS = 6.0  # in which faults begin
MOST = 7
TERM_GRACE_SECONDS = 15.0


class Harm(StrEnum):
    """What is done to a program."""

    KILL = "kill"  # SIGKILL, and started again
    FREEZE = "freeze"  # SIGSTOP, and SIGCONT
    TERM = "term"  # SIGTERM, and started again when it has ended


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that goes wrong `at` seconds after the round began, for `lasts` seconds."""

    at: float
    target: str
    harm: str
    lasts: float

    def __str__(self) -> str:
        """`1.3 s freeze worker1 for 2.0 s`."""
        return f"{self.at:.1f} s {self.harm} {self.target} for {self.lasts:.1f} s"


LINKS = (*(f"{name}-{server}" for server in SERVERS for name in TIDEGATE), "provider", "servicenow", "slack")


def draw_faults(source: random.Random) -> list[Fault]:
    """Some faults in the order in which they begin; nothing suffers two at once."""
    faults: list[Fault] = []
    busy: dict[str, float] = {}
    for at in sorted(round(source.uniform(0.0, SECONDS), 2) for _ in range(source.randint(2, MOST))):
        target, harm = _draw(source)
        lasts = round(source.uniform(0.5, 4.0), 2)
        if busy.get(target, 0.0) <= at:
            faults.append(Fault(at, target, harm, lasts))
            busy[target] = at + lasts + 0.5
    return faults


def _draw(source: random.Random) -> tuple[str, str]:
    kind = source.choices(("tidegate", "server", "link"), weights=(5, 2, 6))[0]
    if kind == "tidegate":
        return source.choice(TIDEGATE), source.choices(list(Harm), weights=(4, 4, 2))[0]
    if kind == "server":
        return source.choice(SERVERS), source.choice((Harm.KILL, Harm.FREEZE))
    return source.choice(LINKS), source.choice(list(Trouble))


class Faults:
    """Carries faults out. After `heal` nothing is wrong any more."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._tasks: set[asyncio.Task[None]] = set()
        self._healing = asyncio.Event()
        self.failed: list[str] = []  # what did not come up again

    async def carry_out(self, faults: list[Fault]) -> None:
        """Let each happen in its time; returns when the last has begun."""
        began = time.monotonic()
        for fault in sorted(faults):
            await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
            task = asyncio.create_task(self._happen(fault), name=str(fault))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def heal(self) -> None:
        """End what goes on, and start what does not run."""
        self._healing.set()
        for problem in await asyncio.gather(*self._tasks, return_exceptions=True):
            if problem is not None:
                self.failed.append(repr(problem))
        for link in self._plane.links.values():
            await link.heal()
        for name in (*SERVERS, *TIDEGATE):
            program = self._plane.program(name)
            if program.running:
                program.send(signal.SIGCONT)
        for names in (SERVERS, TIDEGATE):
            for problem in await asyncio.gather(*(self._start(name) for name in names), return_exceptions=True):
                if problem is not None:
                    self.failed.append(str(problem))

    async def _happen(self, fault: Fault) -> None:
        log.debug("fault", fault=str(fault))
        if fault.harm in list(Trouble):
            link = self._plane.links[fault.target]
            await link.suffer(Trouble(fault.harm))
            await self._last(fault)
            await link.heal()
            return
        program = self._plane.program(fault.target)
        if not program.running:
            return
        with self._deaf() if fault.target == "api" else contextlib.nullcontext():
            if fault.harm == Harm.FREEZE:
                program.send(signal.SIGSTOP)
                await self._last(fault)
                program.send(signal.SIGCONT)
            elif fault.harm == Harm.TERM:
                await program.stop(TERM_GRACE_SECONDS)
                await self._try_to_start(fault.target)
            else:
                await program.kill()
                await self._last(fault)
                await self._try_to_start(fault.target)

    async def _last(self, fault: Fault) -> None:
        """Let it last, or end with everything else."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._healing.wait(), fault.lasts)

    @contextlib.contextmanager
    def _deaf(self) -> Iterator[None]:
        began = time.time()
        try:
            yield
        finally:
            self._plane.deaf.append((began - 0.1, time.time() + 1.0))  # with what the mesh needs to connect again

    async def _try_to_start(self, name: str) -> None:
        """Start it, unless the next fault hits it before it answers; `heal` starts what does not run."""
        with contextlib.suppress(ProgramError):
            await self._start(name)

    async def _start(self, name: str) -> None:
        plane = self._plane
        if plane.program(name).running:
            return
        if name == "temporal":
            await plane.temporal.start()
        elif name == "api":
            await plane.api.start()
        else:
            await plane.processes[name].begin()
