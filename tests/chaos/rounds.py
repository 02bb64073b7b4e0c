"""Rounds: one version of each Rollout, faults meanwhile, everything healed, and a judgement."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.client import WorkflowExecution
from temporalio.service import RPCError

from sandbox.machine import patience
from sandbox.processes import Ready, until
from tests.chaos import effects, workflows
from tests.chaos.faults import Fault, Faults, draw_faults
from tests.chaos.laws import GRACE_SECONDS
from tests.chaos.manifests import Shape, around, version
from tests.chaos.people import People
from tests.chaos.plane import Plane
from tests.chaos.scene import ClusterState, Outcome, Wanted
from tests.chaos.scenes import SCENES
from tests.chaos.stands import complaints, in_git
from tidegate.client import TidegateError
from tidegate.contract import FOLLOW_UP_WORKFLOW

SERVICES = 5
SHAPES = tuple(Shape)
SCENE_SECONDS = 60.0  # for what people do once everything is healed
SETTLE_SECONDS = 60.0
STILL_SECONDS = 20.0  # of standing still, after which nothing more is expected: the watcher looks at all every 15
LOOK_SECONDS = 0.3
SLOW_SECONDS = 12.0
FOLLOW_UP_SECONDS = 180.0  # an attempt that went with its worker is noticed after a minute


@dataclass(frozen=True)
class Plan:
    """What a round does: by Rollout the name of its scene, and the faults."""

    number: int
    scenes: tuple[str, ...]
    faults: tuple[Fault, ...]


def draw(seed: int, number: int, services: int = SERVICES) -> Plan:
    """The plan of a round, which follows from the seed alone."""
    source = random.Random(f"{seed}/{number}")
    scenes = source.sample(SCENES, services) if services <= len(SCENES) else source.choices(SCENES, k=services)
    return Plan(number, tuple(each.__name__ for each in scenes), tuple(draw_faults(source)))


@dataclass
class Report:
    """How a round went; `broken` is what was against a law or not as asked for."""

    plan: Plan
    seconds: float = 0.0
    converged: float = 0.0  # seconds from the healing until everything stood still
    requests: int = 0
    slow: dict[str, float] = field(default_factory=dict)  # by scene, what took long to settle
    broken: list[str] = field(default_factory=list)

    def lines(self, seed: int) -> list[str]:
        """The round in words: one line when it went well."""
        plan = self.plan
        said = "BROKEN" if self.broken else "ok"
        numbers = f"{self.seconds:.1f} s, settled after {self.converged:.1f} s, {self.requests} requests"
        slow = "".join(f"; {scene} took {seconds:.0f} s" for scene, seconds in self.slow.items())
        first = f"round {plan.number}: {said}: {numbers}, {len(plan.faults)} faults, {', '.join(plan.scenes)}{slow}"
        if not self.broken:
            return [first]
        again = f"  seed {seed}, round {plan.number}; the same again: make chaos SEED={seed} FIRST={plan.number} N=1"
        return [first, again, *(f"  fault: {each}" for each in plan.faults), *(f"  ! {each}" for each in self.broken)]


class Rounds:
    """Plays rounds on one plane. A Rollout that does not settle is left alone, and another takes its place."""

    def __init__(self, plane: Plane, seed: int, kept: Path, services: int = SERVICES) -> None:
        """What a failing round leaves is kept in a folder of its own below `kept`."""
        self._plane = plane
        self._seed = seed
        self._kept = kept
        self._names: list[str] = []
        self._services = services
        self._made = 0
        self._tags = 0
        self._late: list[tuple[Report, list[str], datetime]] = []  # rounds whose follow-ups are still to be judged

    async def prepare(self) -> None:
        """The first versions of all Rollouts, and the load on them. Raises RuntimeError when they do not come up."""
        if left := await self._replace(0):
            raise RuntimeError("\n".join(left))

    async def play(self, number: int) -> Report:
        """One round."""
        plan = draw(self._seed, number, self._services)
        report, began, moment = Report(plan), time.monotonic(), datetime.now(UTC) - timedelta(seconds=1)
        self._plane.deaf.clear()
        people = People(self._plane, patience(SCENE_SECONDS))
        scene_of = dict(zip(self._names, plan.scenes, strict=False))  # fewer where one did not come up
        scenes = {name: self._scene(people, name, number) for name in self._names}
        acting = {
            name: asyncio.create_task(_act(scenes[name], act), name=f"{name} {act}") for name, act in scene_of.items()
        }
        faults = Faults(self._plane)
        await faults.carry_out(list(plan.faults))
        await asyncio.sleep(max(0.0, began + _last(plan) - time.monotonic()))
        await faults.heal()
        healed = time.monotonic()
        report.broken += faults.failed
        wanted = await self._wanted(acting, report)
        unsettled, since = await self._settled(people, wanted, moment)
        report.converged = time.monotonic() - healed
        report.slow = {scene_of[name]: at - healed for name, at in since.items() if at - healed > SLOW_SECONDS}
        await self._judge(report, wanted, unsettled, moment)
        report.seconds = time.monotonic() - began
        if report.broken:
            await self._keep(report, moment)
        self._late.append((report, list(self._names), moment))
        self._names = [name for name in self._names if name in wanted and name not in unsettled]
        report.broken += await self._replace(number)
        return report

    async def finish(self) -> list[str]:
        """Wait for everything that follows the decisions of all rounds; what was not told as it has to be."""
        wrong: list[str] = []
        names = sorted({name for _, some, _ in self._late for name in some})
        first = min((moment for _, _, moment in self._late), default=datetime.now(UTC))
        runs: list[WorkflowExecution] = []

        async def ended() -> bool:
            runs[:] = [run for name in names for run in await workflows.since(self._plane.people, name, first)]
            return not [
                run for run in workflows.running(runs, follow_ups=True) if run.workflow_type == FOLLOW_UP_WORKFLOW
            ]

        try:
            await until(ended, FOLLOW_UP_SECONDS, "what follows the decisions")
        except TimeoutError:
            left = [run for run in workflows.running(runs, follow_ups=True) if run.workflow_type == FOLLOW_UP_WORKFLOW]
            wrong += [await workflows.why_running(self._plane.people, self._plane.client, run) for run in left]
        aborts = await effects.aborts_of(self._plane.people, runs)
        heard = await asyncio.to_thread(effects.Heard.of, self._plane)
        return wrong + effects.judge(aborts, heard)

    # ----------------------------------------------------------------------------------------------------------- parts

    def _scene(self, people: People, name: str, number: int) -> ClusterState:
        return ClusterState(people, name, lambda: self._new_tag(number), random.Random(f"{self._seed}/{number}/{name}"))

    def _new_tag(self, number: int) -> str:
        self._tags += 1
        return f"1.{number}.{self._tags}"

    async def _wanted(self, acting: dict[str, asyncio.Task[Wanted]], report: Report) -> dict[str, Wanted]:
        """What the scenes ended with, once people have said everything."""
        limit = patience(2 * SCENE_SECONDS)
        done, late = await asyncio.wait(acting.values(), timeout=limit)
        for task in late:
            task.cancel()
            report.broken.append(f"{task.get_name()}: people were not done after {limit:.0f} s")
        await asyncio.gather(*late, return_exceptions=True)
        for task in done:
            if (error := task.exception()) is not None:
                report.broken.append(f"{task.get_name()}: {error!r}")
        return {name: task.result() for name, task in acting.items() if task in done and task.exception() is None}

    async def _settled(
        self, people: People, wanted: dict[str, Wanted], moment: datetime
    ) -> tuple[dict[str, list[str]], dict[str, float]]:
        """Wait until everything is as asked for; what is not, by Rollout, and since when what is so was looked for."""
        left = {name: ["nobody could look"] for name in wanted}
        since: dict[str, float] = {}
        still = Still()

        async def converged() -> bool:
            self._plane.look()
            for name in wanted:
                left[name] = await self._left(name, wanted[name], moment)
                if left[name]:
                    since[name] = time.monotonic()
                    await self._attend(people, name, wanted[name])
            await asyncio.sleep(LOOK_SECONDS if any(left.values()) else 0)
            return not any(left.values()) or still.since(repr(left)) > patience(STILL_SECONDS)

        with suppress(TimeoutError):
            await until(_patient(converged), SETTLE_SECONDS, "everything stands as asked for")
        left = {name: wrong for name, wrong in left.items() if wrong}
        for name in left:
            for run in workflows.running(await workflows.since(self._plane.people, name, moment)):
                left[name].append(await workflows.why_running(self._plane.people, self._plane.client, run))
        return left, since

    async def _left(self, name: str, wanted: Wanted, moment: datetime) -> list[str]:
        """What is missing until a Rollout stands as asked for."""
        life = self._plane.judge.lives[name]
        runs = workflows.running(await workflows.since(self._plane.people, name, moment))
        wrong = [*complaints(life, wanted), *(f"{run.id} runs" for run in runs)]
        if wrong or not wanted.in_git:
            return wrong
        return await asyncio.to_thread(in_git, self._plane.git, life)

    async def _attend(self, people: People, name: str, wanted: Wanted) -> None:
        """Whoever may decide does so where a release waits for a person, and may become healthy."""
        if Outcome.HEALTHY not in wanted.outcomes:
            return
        status = await self._scene(people, name, 0).status()
        if status is not None and status.manual_pause is not None:
            await people.resume(name)
        if status is not None and status.held:
            await people.promote(name)

    async def _judge(
        self, report: Report, wanted: dict[str, Wanted], unsettled: dict[str, list[str]], moment: datetime
    ) -> None:
        self._plane.look()
        report.broken += self._plane.judge.broken()
        for name, wrong in unsettled.items():
            scene = report.plan.scenes[self._names.index(name)]
            report.broken.append(f"{name} ({scene}): wanted {wanted[name]}: {'; '.join(wrong)}")
        requests = self._plane.traffic.taken()
        report.requests = len(requests)
        report.broken += self._plane.judge.judge_requests(requests, self._plane.deaf, patience(GRACE_SECONDS))
        for name in self._names:
            runs = await workflows.since(self._plane.people, name, moment)
            report.broken += await workflows.replayed(self._plane.people, runs)
            report.broken += await workflows.mistakes(self._plane.people, runs)

    async def _replace(self, number: int) -> list[str]:
        """Bring up Rollouts so that there are as many as there have to be; those that did not come up, and why."""
        people = People(self._plane, patience(SCENE_SECONDS))
        new: list[str] = []
        while len(self._names) + len(new) < self._services:
            new.append(f"{SHAPES[self._made % len(SHAPES)]}{self._made}")
            self._made += 1
        moment = datetime.now(UTC) - timedelta(seconds=1)
        wanted = {}
        for name in new:
            tag = self._new_tag(number)
            documents = version(name, tag, self._plane.git.url)
            await people.apply(*around(name, self._plane.links["provider"].url))
            await people.push(*documents)
            await people.apply(*documents)
            wanted[name] = Wanted.of(tag, Outcome.HEALTHY)
        self._plane.look()
        left, _ = await self._settled(people, wanted, moment)
        self._names += [name for name in new if name not in left]
        self._plane.traffic.begin(self._names)
        return [f"{name} (first version): {'; '.join(wrong)}" for name, wrong in left.items()]

    async def _keep(self, report: Report, moment: datetime) -> None:
        folder = self._kept / f"seed-{self._seed}" / f"round-{report.plan.number}"
        await asyncio.to_thread(_copy, self._plane.state, folder)
        await asyncio.to_thread((folder / "report.txt").write_text, "\n".join(report.lines(self._seed)) + "\n")
        for name in self._names:
            runs = await workflows.since(self._plane.people, name, moment)
            await workflows.keep(self._plane.people, runs, folder / "histories")


class Still:
    """How long something has been as it is."""

    def __init__(self) -> None:
        self._what = ""
        self._began = time.monotonic()

    def since(self, what: str) -> float:
        """Seconds since it became `what`."""
        if what != self._what:
            self._what, self._began = what, time.monotonic()
        return time.monotonic() - self._began


async def _act(scene: ClusterState, name: str) -> Wanted:
    [act] = [each for each in SCENES if each.__name__ == name]
    return await act(scene)


def _last(plan: Plan) -> float:
    """When the last fault is over."""
    return max((fault.at + fault.lasts for fault in plan.faults), default=0.0)


def _patient(condition: Ready) -> Ready:
    """The condition, false while nobody can tell."""

    async def patient() -> bool:
        try:
            return await condition()
        except (RPCError, TidegateError):
            return False

    return patient


def _copy(state: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*state.glob("*.log"), state / "journal.jsonl"):
        if file.exists():
            shutil.copy(file, folder / file.name)
