"""One Rollout in a round, for whoever does something with it: what is wanted of it, and what can be waited for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from sandbox.processes import until
from tests.chaos.laws import Life, observed
from tests.chaos.manifests import NAMESPACE, Document, is_switched, sides, version
from tests.chaos.people import People
from tidegate.client import RolloutRef, TidegateError
from tidegate.contract import ReleaseStatus

LOOK_SECONDS = 0.25


class Outcome(StrEnum):
    """How a version may end."""

    HEALTHY = "Healthy"
    ABORTED = "aborted"


@dataclass(frozen=True)
class Wanted:
    """The version that was asked for last, and what may have become of it.

    `in_git` says whether Git names what is stable then: not where somebody tried again what was taken back there.
    """

    tag: str
    outcomes: frozenset[Outcome]
    in_git: bool = True

    @classmethod
    def of(cls, tag: str, *outcomes: Outcome, in_git: bool = True) -> Wanted:
        """A version with the outcomes that are right."""
        return cls(tag, frozenset(outcomes), in_git)

    def __str__(self) -> str:
        """`1.2.0 Healthy or aborted`."""
        return f"{self.tag} {' or '.join(sorted(self.outcomes))}"


class ClusterState:
    """One Rollout in one round."""

    def __init__(self, people: People, name: str, tags: Callable[[], str], source: random.Random) -> None:
        """`tags` gives tags that were never used."""
        self.people = people
        self.name = name
        self.new_tag = tags
        self._random = source.random()
        self._plane = people.plane

    @property
    def life(self) -> Life:
        """What stands, as of now."""
        self._plane.look()
        return self._plane.judge.lives.setdefault(self.name, Life(self.name))

    @property
    def stable_tag(self) -> str:
        """Tag of the stable version."""
        life = self.life
        return life.tag(life.stable)

    async def moment(self, at_most: float) -> None:
        """Let some time pass, as the seed says."""
        await asyncio.sleep(self._random * at_most)

    async def deliver(self, tag: str, *, held: bool = False, guarded: bool = False) -> tuple[Document, str]:
        """Bring a version into Git and into the cluster; the Rollout, and the commit."""
        documents = version(self.name, tag, self._plane.git.url, held=held, guarded=guarded)
        commit = await self.people.push(*documents)
        await self.people.apply(*documents)
        return documents[-1], commit

    async def status(self) -> ReleaseStatus | None:
        """What the newest release says, None while nobody answers."""
        try:
            async with asyncio.timeout(4.0):
                return await self._plane.client.status(RolloutRef(NAMESPACE, self.name))
        except (TidegateError, TimeoutError):
            return None

    async def canary(self, tag: str, patience: float = 30.0, *, taken_up: bool = False) -> bool:
        """Wait until a version has traffic beside stable, or is the preview; False when it does not come to that.

        With `taken_up` its release has to know all that the spec says, too.
        """

        async def has_traffic() -> bool:
            return await self._has_traffic(tag) and (observed(self.life) or not taken_up)

        return await self.so(has_traffic, patience)

    async def held(self, tag: str, patience: float = 30.0) -> bool:
        """Wait until the release of a version waits for a person; False when it does not come to that."""

        async def is_held() -> bool:
            status = await self.status()
            return status is not None and status.held and _brings(status, tag)

        return await self.so(is_held, patience)

    async def promoted(self, tag: str, patience: float = 30.0) -> None:
        """Promote whenever a person is waited for, until the version is stable or the patience is over."""

        async def is_stable() -> bool:
            status = await self.status()
            if status is not None and status.held and _brings(status, tag):
                await self.people.promote(self.name)
            return self.stable_tag == tag

        await self.so(is_stable, patience)

    async def _has_traffic(self, tag: str) -> bool:
        life = self.life
        if is_switched(self.name) and life.tag(life.selectors.get(sides(self.name)[1], "")) == tag:
            return life.tag(life.stable) != tag
        return any(
            share and hash_ != life.stable and life.tag(hash_) == tag for hash_, share in life.share_of().items()
        )

    async def so(self, condition: Callable[[], Awaitable[bool]], patience: float) -> bool:
        """Wait until a condition is true; False when it does not come to that."""

        async def spaced() -> bool:
            if await condition():
                return True
            await asyncio.sleep(LOOK_SECONDS)
            return False

        try:
            await until(spaced, patience, "what a scene waits for")
        except TimeoutError:
            return False
        return True


def _brings(status: ReleaseStatus, tag: str) -> bool:
    return any(image.endswith(f":{tag}") for image in status.images.values())
