"""Plays the journeys and prints how each went: `python -m tests.journeys [NAME ...]`."""

from __future__ import annotations

import asyncio
import sys

from rich.console import Console
from rich.table import Table

from sandbox.demo import RATE, deliver
from sandbox.world import open_world
from tests.journeys.pages import JOURNEYS, Journey
from tests.journeys.player import Played, Player, Step
from tests.world.conftest import Releases, connected


async def play(journeys: list[Journey]) -> list[Played]:
    """Play journeys in one world, one after the other; a release is under way when each begins."""
    async with open_world() as world:
        await world.start_worker()
        await world.start_watcher()
        releases = Releases(world, await connected(world), "checkout")
        await releases.prepare(RATE)
        player, played = Player(world, releases, _say), []
        for number, journey in enumerate(journeys):
            await _released(releases, f"1.{number + 1}.0")
            played.append(await player.play(journey))
        return played


def _say(step: Step) -> None:
    """Print a step while the others go on."""
    Console(stderr=True).print(f"{step.seconds:6.1f} s  exit {step.code}  {step.typed}", soft_wrap=True, markup=False)


async def _released(releases: Releases, tag: str) -> None:
    """Bring a version into the cluster, where the watcher finds it, and wait for its end."""
    await deliver(releases.world, releases.manifests, tag, "a test")
    await releases.until(
        lambda status: status.finished_at is not None and any(f":{tag}" in each for each in status.images.values()), 180
    )


def report(played: list[Played], console: Console) -> None:
    """Print a row for each journey, and below them each command that did not end as its page says."""
    table = Table("journey", "pages", "steps", "played", "read", "seconds", "stumbles")
    for each in played:
        counts = (len(each.steps) + len(each.read), len(each.steps), len(each.read), round(each.seconds))
        table.add_row(each.journey.name, ", ".join(each.journey.pages), *map(str, counts), str(len(each.stumbles)))
    console.print(table)
    for each in played:
        for command in each.read:
            console.print(f"read {command.page}:{command.line} {command.text}: {command.unplayed}", soft_wrap=True)
        for step in each.stumbles:
            where = f"{step.command.page}:{step.command.line}"
            console.print(f"STUMBLED {where} exit {step.code}: {step.typed}\n{step.said}", soft_wrap=True, markup=False)


def main() -> int:
    """Play the journeys that are named, all without a name; 1 where one stumbled."""
    wanted = [each for each in JOURNEYS if not sys.argv[1:] or each.name in sys.argv[1:]]
    played = asyncio.run(play(wanted))
    report(played, Console())
    return int(any(each.stumbles for each in played))


if __name__ == "__main__":
    sys.exit(main())
