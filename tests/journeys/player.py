"""Plays the commands of a journey in one embedded world, as a person at a terminal would."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sandbox.world import World
from tests.journeys.pages import Command, Journey
from tests.structure.sources import ROOT
from tests.world.conftest import BIN, Releases

GLANCE_SECONDS = 6.0  # at a screen that stays open, then Ctrl-C
LONGEST_SECONDS = 600.0
GOODBYE_SECONDS = 20.0  # after Ctrl-C
_TIME_IS_UP = 124  # as the command `timeout` has it
_STAYS_OPEN = ("--watch", "--follow", " -w ")


@dataclass
class Step:
    """One command that was played: as it was typed, its exit code and what it said last."""

    command: Command
    typed: str
    code: int
    seconds: float
    said: str

    @property
    def went_well(self) -> bool:
        """True when it ended as its page says."""
        return self.code in self.command.codes


@dataclass
class Played:
    """What a journey came to."""

    journey: Journey
    steps: list[Step] = field(default_factory=list)
    read: list[Command] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Time in commands."""
        return sum(step.seconds for step in self.steps)

    @property
    def stumbles(self) -> list[Step]:
        """Commands that did not end as their page says."""
        return [step for step in self.steps if not step.went_well]


class Player:
    """A reader of the pages, in a world with a release of the example."""

    def __init__(self, world: World, releases: Releases, ended: Callable[[Step], None]) -> None:
        """Type in this world, whose releases are of the example; `ended` gets each step."""
        self._world = world
        self._ended = ended
        self._releases = releases
        self._kubeconfig = world.state / "kubeconfig"
        server = {"server": world.kubernetes.url}
        context = {"cluster": "world", "user": "me", "namespace": "payments"}
        found = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "world",
            "clusters": [{"name": "world", "cluster": server}],
            "contexts": [{"name": "world", "context": context}],
            "users": [{"name": "me", "user": {}}],
        }
        self._kubeconfig.write_text(json.dumps(found), "utf-8")
        self._template = world.state / "analysis-template.yaml"  # of the example, with short times
        [template] = [each.raw for each in releases.manifests.templates if "canary" in each.metadata.name]
        self._template.write_text(json.dumps(template), "utf-8")

    async def play(self, journey: Journey) -> Played:
        """Type its commands one after the other; `make demo` is a world of its own."""
        played = Played(journey)
        for command in journey.commands():
            if command.unplayed:
                played.read.append(command)
                continue
            step = await self._typed(command, await self._filled(command.text))
            self._ended(step)
            played.steps.append(step)
        return played

    async def _filled(self, text: str) -> str:
        """The command with what its page leaves to the reader: names, addresses, and the example that is faster."""
        status = await self._releases.client.status(self._releases.rollout)
        run = next((each.name for each in reversed(status.analyses)), "checkout-none")
        values = {
            "temporal.example.com:7233": self._world.temporal.address,
            "--namespace rollouts": "--namespace default",
            "TEMPORAL_NAMESPACE=rollouts": "TEMPORAL_NAMESPACE=default",
            "examples/checkout/corrected/analysis-template.yaml": str(self._template),
            "-f analysis-template.yaml": f"-f {self._template}",
            "examples/checkout/corrected": "examples/checkout/fast",
            "-f manifests/": "-f examples/",
            "checkout-7d9c-3-2": run,
            "analysisrun RUN": f"analysisrun {run}",
            "canary-hash=HASH": f"canary-hash={status.stable_hash}",
            "canary-hash=7d9c": f"canary-hash={status.stable_hash}",
            "-n NAMESPACE": "-n payments",
            "involvedObject.name=NAME": "involvedObject.name=checkout",
            " NAME": " checkout",
            "virtualservice checkout ": "virtualservice checkout-vsvc ",
            "drill -f": f"drill --image checkout={status.images.get('checkout', '')} -f",
        }
        if "drill" in text:
            text = text.partition(" --image")[0]
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    async def _typed(self, command: Command, text: str) -> Step:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            text,
            cwd=ROOT,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        said, code = await self._said(process, text)
        lines: Sequence[str] = said.decode("utf-8", "replace").strip().splitlines()
        return Step(command, text, code, time.monotonic() - began, "\n".join(lines[-3:]))

    async def _said(self, process: asyncio.subprocess.Process, text: str) -> tuple[bytes, int]:
        """All that a command said, and its exit code; one that stays open is left by Ctrl-C, which is no failure."""
        stays_open = any(word in f"{text} " for word in _STAYS_OPEN)
        reading = asyncio.ensure_future(process.communicate())
        done, _ = await asyncio.wait([reading], timeout=GLANCE_SECONDS if stays_open else LONGEST_SECONDS)
        if not done:
            said = await _interrupted(process, reading)
            return said, 0 if stays_open else _TIME_IS_UP
        said, _ = await reading
        return said, process.returncode or 0

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(self._world.state),
            "KUBECONFIG": str(self._kubeconfig),
            "TEMPORAL_ADDRESS": self._world.temporal.address,
            "NO_COLOR": "1",
            "COLUMNS": "100",
            "PYTHON": str(BIN / "python"),
        }


async def _interrupted(process: asyncio.subprocess.Process, reading: asyncio.Future[tuple[bytes, bytes]]) -> bytes:
    """What a command said until it was ended by Ctrl-C, or killed where that does not help."""
    for ending in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        if (await asyncio.wait([reading], timeout=GOODBYE_SECONDS))[0]:
            return reading.result()[0]
    reading.cancel()
    return b"it did not end"
