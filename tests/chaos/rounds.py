"""Rounds: one version of each Rollout, faults meanwhile, everything healed, and a judgement."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.client import WorkflowExecution
from temporalio.service import RPCError

from sandbox.processes import until
from tests.chaos import effects, workflows
from tests.chaos.faults import Fault, Faults, draw_faults
from tests.chaos.manifests import around, rollout
from tests.chaos.people import People
from tests.chaos.plane import Plane
from tests.chaos.scenes import SCENES, Outcome, Scene, Wanted
from tests.chaos.stands import complaints
from tidegate.client import TidegateError

SERVICES = 5
SCENE_SECONDS = 60.0  # for what people do once everything is healed
SETTLE_SECONDS = 60.0
FOLLOW_UP_SECONDS = 180.0  # an attempt that went with its worker is noticed after a minute

Act = Callable[[Scene], object]


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
    settled: float = 0.0  # seconds from the healing until everything stood still
    requests: int = 0
    aborts: list[effects.Abort] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def lines(self, seed: int) -> list[str]:
        """The round in words: one line when it went well."""
        plan = self.plan
        said = "BROKEN" if self.broken else "ok"
        numbers = f"{self.seconds:.1f} s, settled after {self.settled:.1f} s, {self.requests} requests"
        first = f"round {plan.number}: {said}: {numbers}, {len(plan.faults)} faults, {', '.join(plan.scenes)}"
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
        """The first versions of all Rollouts, and the load on them."""
        await self._replace(0)

    async def play(self, number: int) -> Report:
        """One round."""
        plan = draw(self._seed, number, self._services)
        report, began, moment = Report(plan), time.monotonic(), datetime.now(UTC) - timedelta(seconds=1)
        self._plane.deaf.clear()
        people = People(self._plane, SCENE_SECONDS)
        scenes = {name: self._scene(people, name, number) for name in self._names}
        acting = {
            name: asyncio.create_task(_act(scenes[name], act), name=f"{name} {act}")
            for name, act in zip(self._names, plan.scenes, strict=True)
        }
        faults = Faults(self._plane)
        await faults.carry_out(list(plan.faults))
        await asyncio.sleep(max(0.0, began + _last(plan) - time.monotonic()))
        await faults.heal()
        healed = time.monotonic()
        report.broken += faults.failed
        wanted = await self._wanted(acting, report)
        unsettled = await self._settled(people, wanted, moment)
        report.settled = time.monotonic() - healed
        await self._judge(report, wanted, unsettled, moment)
        report.seconds = time.monotonic() - began
        if report.broken:
            await self._keep(report, moment)
        self._late.append((report, list(self._names), moment))
        self._names = [name for name in self._names if name not in unsettled]
        await self._replace(number)
        return report

    async def finish(self) -> list[str]:
        """Wait for everything that follows the decisions of all rounds; what was not told as it has to be."""
        wrong: list[str] = []
        names = sorted({name for _, some, _ in self._late for name in some})
        first = min((moment for _, _, moment in self._late), default=datetime.now(UTC))
        runs: list[WorkflowExecution] = []

        async def ended() -> bool:
            runs[:] = [run for name in names for run in await workflows.since(self._plane.people, name, first)]
            return not [run for run in workflows.running(runs, follow_ups=True) if run.workflow_type == "FollowUp"]

        try:
            await until(ended, FOLLOW_UP_SECONDS, "what follows the decisions")
        except TimeoutError:
            for run in workflows.running(runs, follow_ups=True):
                if run.workflow_type == "FollowUp":
                    wrong.append(await workflows.why_running(self._plane.people, self._plane.client, run))
        aborts = await effects.aborts_of(self._plane.people, runs)
        heard = await asyncio.to_thread(effects.Heard.of, self._plane)
        return wrong + effects.judge(aborts, heard)

    # ----------------------------------------------------------------------------------------------------------- parts

    def _scene(self, people: People, name: str, number: int) -> Scene:
        return Scene(people, name, lambda: self._new_tag(number), random.Random(f"{self._seed}/{number}/{name}"))

    def _new_tag(self, number: int) -> str:
        self._tags += 1
        return f"1.{number}.{self._tags}"

    async def _wanted(self, acting: dict[str, asyncio.Task[Wanted]], report: Report) -> dict[str, Wanted]:
        """What the scenes ended with, once people have said everything."""
        done, late = await asyncio.wait(acting.values(), timeout=2 * SCENE_SECONDS)
        for task in late:
            task.cancel()
            report.broken.append(f"{task.get_name()}: people were not done after {2 * SCENE_SECONDS:g} s")
        await asyncio.gather(*late, return_exceptions=True)
        for task in done:
            if (error := task.exception()) is not None:
                report.broken.append(f"{task.get_name()}: {error!r}")
        return {name: task.result() for name, task in acting.items() if task in done and task.exception() is None}

    async def _settled(self, people: People, wanted: dict[str, Wanted], moment: datetime) -> dict[str, list[str]]:
        """Wait until everything is as asked for; what is not, by Rollout."""
        left: dict[str, list[str]] = {}

        async def settled() -> bool:
            self._plane.look()
            left.clear()
            for name in wanted:
                wrong = complaints(self._plane.judge.lives[name], wanted[name])
                runs = workflows.running(await workflows.since(self._plane.people, name, moment))
                if wrong or runs:
                    left[name] = [*wrong, *(f"{run.id} runs" for run in runs)]
                    await self._attend(people, name, wanted[name])
            if left:
                await asyncio.sleep(0.3)
            return not left

        try:
            await until(_patient(settled), SETTLE_SECONDS, "everything stands as asked for")
        except TimeoutError:
            for name in left:
                runs = workflows.running(await workflows.since(self._plane.people, name, moment))
                for run in runs:
                    left[name].append(await workflows.why_running(self._plane.people, self._plane.client, run))
            return left
        return {}

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
            report.broken.append(f"{name}: wanted {wanted[name]}: {'; '.join(wrong)}")
        requests = self._plane.traffic.taken()
        report.requests = len(requests)
        report.broken += self._plane.judge.judge_requests(requests, self._plane.deaf)
        for name in self._names:
            runs = await workflows.since(self._plane.people, name, moment)
            report.broken += await workflows.replayed(self._plane.people, runs)

    async def _replace(self, number: int) -> None:
        """Bring up Rollouts until there are as many as there have to be."""
        people = People(self._plane, SCENE_SECONDS)
        new = []
        while len(self._names) + len(new) < self._services:
            new.append(f"svc{self._made}")
            self._made += 1
        moment = datetime.now(UTC) - timedelta(seconds=1)
        wanted = {}
        for name in new:
            await people.apply(*around(name, self._plane.links["provider"].url))
            document = rollout(name, self._new_tag(number), self._plane.git.url)
            await people.push(document)
            await people.apply(document)
            self._plane.judge.take([])
            wanted[name] = Wanted.of(
                document["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2], Outcome.HEALTHY
            )
        self._plane.look()
        left = await self._settled(people, wanted, moment)
        if left:
            raise RuntimeError(f"first versions did not come up: {left}")
        self._names += new
        self._plane.traffic.begin(self._names)

    async def _keep(self, report: Report, moment: datetime) -> None:
        folder = self._kept / f"seed-{self._seed}" / f"round-{report.plan.number}"
        await asyncio.to_thread(_copy, self._plane.state, folder)
        (folder / "report.txt").write_text("\n".join(report.lines(self._seed)) + "\n")
        for name in self._names:
            runs = await workflows.since(self._plane.people, name, moment)
            await workflows.keep(self._plane.people, runs, folder / "histories")


async def _act(scene: Scene, name: str) -> Wanted:
    [act] = [each for each in SCENES if each.__name__ == name]
    return await act(scene)


def _last(plan: Plan) -> float:
    """When the last fault is over."""
    return max((fault.at + fault.lasts for fault in plan.faults), default=0.0)


def _patient(condition: Callable[[], object]) -> Callable[[], object]:
    async def patient() -> bool:
        try:
            return bool(await condition())  # type: ignore[misc]
        except (RPCError, TidegateError):
            return False

    return patient


def _copy(state: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*state.glob("*.log"), state / "journal.jsonl"):
        if file.exists():
            shutil.copy(file, folder / file.name)


def names_of(plans: Sequence[Plan]) -> set[str]:
    """The scenes of some plans."""
    return {name for plan in plans for name in plan.scenes}
