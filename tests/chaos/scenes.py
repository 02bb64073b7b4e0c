"""What people and pipelines want of one Rollout in a round, and what must come of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from sandbox.processes import until
from tests.chaos.laws import BAD, Life
from tests.chaos.manifests import NAMESPACE, Document, rollout
from tests.chaos.people import Answer, People
from tidegate.client import RolloutRef, TidegateError
from tidegate.contract import ReleaseStatus

LOOK_SECONDS = 0.25


class Outcome(StrEnum):
    """How a version may end."""

    HEALTHY = "Healthy"
    ABORTED = "aborted"


@dataclass(frozen=True)
class Wanted:
    """The version that was asked for last, and what may have become of it."""

    tag: str
    outcomes: frozenset[Outcome]

    @classmethod
    def of(cls, tag: str, *outcomes: Outcome) -> Wanted:
        """A version with the outcomes that are right."""
        return cls(tag, frozenset(outcomes))

    def __str__(self) -> str:
        """`1.2.0 Healthy or aborted`."""
        return f"{self.tag} {' or '.join(sorted(self.outcomes))}"


HEALTHY, ABORTED = Outcome.HEALTHY, Outcome.ABORTED
EITHER = (HEALTHY, ABORTED)


class Scene:
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

    async def deliver(self, tag: str, *, held: bool = False) -> tuple[Document, str]:
        """Bring a version into Git and into the cluster; what was applied, and the commit."""
        document = rollout(self.name, tag, self._plane.git.url, held=held)
        commit = await self.people.push(document)
        await self.people.apply(document)
        return document, commit

    async def status(self) -> ReleaseStatus | None:
        """What the newest release says, None while nobody answers."""
        try:
            async with asyncio.timeout(4.0):
                return await self._plane.client.status(RolloutRef(NAMESPACE, self.name))
        except (TidegateError, TimeoutError):
            return None

    async def canary(self, tag: str, patience: float = 30.0) -> bool:
        """Wait until a version has traffic beside stable; False when it does not come to that."""
        return await self.so(lambda: self._has_traffic(tag), patience)

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


# -------------------------------------------------------------------------------------------------- one version


async def good(scene: Scene) -> Wanted:
    """A good version, of which the watcher alone hears."""
    tag = scene.new_tag()
    await scene.deliver(tag)
    return Wanted.of(tag, HEALTHY)


async def good_by_ci(scene: Scene) -> Wanted:
    """A good version, for which CI asks beside the watcher."""
    tag = scene.new_tag()
    document, commit = await scene.deliver(tag)
    await scene.people.release(document, commit)
    return Wanted.of(tag, HEALTHY)


async def good_asked_twice(scene: Scene) -> Wanted:
    """The same request twice at once, and again a moment later."""
    tag = scene.new_tag()
    document, commit = await scene.deliver(tag)
    await asyncio.gather(*(scene.people.release(document, commit) for _ in range(2)))
    await scene.moment(2.0)
    await scene.people.release(document, commit)
    return Wanted.of(tag, HEALTHY)


async def bad(scene: Scene) -> Wanted:
    """A bad version: its gate fails."""
    tag = scene.new_tag() + BAD
    await scene.deliver(tag)
    return Wanted.of(tag, ABORTED)


async def bad_by_ci(scene: Scene) -> Wanted:
    """A bad version, for which CI asks beside the watcher."""
    tag = scene.new_tag() + BAD
    document, commit = await scene.deliver(tag)
    await scene.people.release(document, commit)
    return Wanted.of(tag, ABORTED)


# ------------------------------------------------------------------------------------------------ a word about it


async def aborted(scene: Scene) -> Wanted:
    """Somebody aborts a version that waits for a person."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    await scene.moment(3.0)
    answer = await scene.people.abort(scene.name)
    return Wanted.of(tag, ABORTED, *(() if answer is Answer.TAKEN else (HEALTHY,)))


async def aborted_by_patch(scene: Scene) -> Wanted:
    """Somebody patches `status.abort` once the version has traffic."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    seen = await scene.canary(tag)
    await scene.people.patch_status(scene.name, abort=True)
    if not seen:  # a flag that stood before the release is none of a person's
        await scene.promoted(tag)
        return Wanted.of(tag, *EITHER)
    return Wanted.of(tag, ABORTED)


async def aborted_by_signal(scene: Scene) -> Wanted:
    """A bare signal `abort` to a version that has traffic."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    seen = await scene.canary(tag)
    answer = await scene.people.signal(scene.name, "abort")
    if not seen or answer is not Answer.TAKEN:
        await scene.people.abort(scene.name)
        return Wanted.of(tag, *EITHER)
    return Wanted.of(tag, ABORTED)


async def cancelled(scene: Scene) -> Wanted:
    """Somebody cancels the workflow."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    seen = await scene.canary(tag)
    answer = await scene.people.cancel(scene.name)
    if not seen or answer is not Answer.TAKEN:
        await scene.people.abort(scene.name)
        return Wanted.of(tag, *EITHER)
    return Wanted.of(tag, ABORTED)


async def promoted(scene: Scene) -> Wanted:
    """Somebody promotes a version that waits for a person."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY)


async def promoted_fully(scene: Scene) -> Wanted:
    """Somebody promotes a version past all of its steps."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    scene.life.by_hand.add(tag)
    await scene.people.promote(scene.name, full=True)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY)


async def bad_by_hand(scene: Scene) -> Wanted:
    """A named person promotes a bad version past its gate, which may be faster."""
    tag = scene.new_tag() + BAD
    scene.life.by_hand.add(tag)
    await scene.deliver(tag)
    await scene.canary(tag)
    await scene.people.promote(scene.name, full=True)
    return Wanted.of(tag, *EITHER)


async def paused(scene: Scene) -> Wanted:
    """Somebody pauses, and somebody resumes."""
    tag = scene.new_tag()
    await scene.deliver(tag)
    await scene.canary(tag)
    await scene.people.pause(scene.name)
    await scene.moment(2.0)
    await scene.people.resume(scene.name)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY)


# ---------------------------------------------------------------------------------------------- one after the other


async def newer(scene: Scene) -> Wanted:
    """A newer version comes while one has traffic."""
    first, second = scene.new_tag(), scene.new_tag()
    await scene.deliver(first)
    await scene.canary(first)
    await scene.moment(3.0)
    await scene.deliver(second)
    return Wanted.of(second, HEALTHY)


async def newer_is_bad(scene: Scene) -> Wanted:
    """A bad version comes while a good one has traffic, CI asking for both."""
    first, second = scene.new_tag(), scene.new_tag() + BAD
    await scene.people.release(*await scene.deliver(first))
    await scene.canary(first)
    await scene.people.release(*await scene.deliver(second))
    return Wanted.of(second, ABORTED)


async def fixed(scene: Scene) -> Wanted:
    """The fix of a bad version comes while the bad one has traffic, or is going down."""
    first, second = scene.new_tag() + BAD, scene.new_tag()
    await scene.deliver(first)
    await scene.canary(first)
    await scene.moment(4.0)
    await scene.deliver(second)
    return Wanted.of(second, HEALTHY)


async def fixed_after_abort(scene: Scene) -> Wanted:
    """Somebody aborts a version, and its fix comes within a second."""
    first, second = scene.new_tag(), scene.new_tag()
    await scene.deliver(first, held=True)
    await scene.canary(first)
    answer = await scene.people.abort(scene.name)
    await scene.moment(1.0)
    await scene.deliver(second)
    # A word that was only sent may be heard after the newer version came, and is about that one then.
    return Wanted.of(second, HEALTHY, *((ABORTED,) if answer is Answer.UNCLEAR else ()))


async def back(scene: Scene) -> Wanted:
    """Git goes back to the stable version while another one has traffic."""
    stable, tag = scene.stable_tag, scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    await scene.deliver(stable)
    return Wanted.of(stable, HEALTHY)


async def undone(scene: Scene) -> Wanted:
    """A version becomes stable, and somebody undoes it."""
    before, tag = scene.stable_tag, scene.new_tag()
    await scene.deliver(tag)
    await scene.promoted(tag)
    answer = await scene.people.undo(scene.name)
    if answer is not Answer.TAKEN:  # undone once more it would be as before: Git says it, when no undo can follow
        await scene.people.until_no_undo(scene.name)
        await scene.deliver(before)
    return Wanted.of(before, HEALTHY)


async def retried(scene: Scene) -> Wanted:
    """Somebody aborts a version and tries it again."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    await scene.people.abort(scene.name)
    await scene.so(lambda: _is_aborted(scene), 30.0)
    await scene.people.patch_status(scene.name, abort=False)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY)


async def _is_aborted(scene: Scene) -> bool:
    return bool((scene.life.rollout.get("status") or {}).get("abort"))


# ------------------------------------------------------------------------------------------------ over its head


async def terminated(scene: Scene) -> Wanted:
    """Somebody terminates a release that has traffic: the watcher recovers it."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    await scene.people.terminate(scene.name)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY)


async def terminated_bad(scene: Scene) -> Wanted:
    """The same with a bad version."""
    tag = scene.new_tag() + BAD
    await scene.deliver(tag)
    await scene.canary(tag)
    await scene.people.terminate(scene.name)
    return Wanted.of(tag, ABORTED)


async def reset(scene: Scene) -> Wanted:
    """Somebody resets a release that has traffic."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    await scene.moment(2.0)
    await scene.people.reset(scene.name)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY)


SCENES: tuple[Callable[[Scene], Awaitable[Wanted]], ...] = (
    good,
    good_by_ci,
    good_asked_twice,
    bad,
    bad_by_ci,
    aborted,
    aborted_by_patch,
    aborted_by_signal,
    cancelled,
    promoted,
    promoted_fully,
    bad_by_hand,
    paused,
    newer,
    newer_is_bad,
    fixed,
    fixed_after_abort,
    back,
    undone,
    retried,
    terminated,
    terminated_bad,
    reset,
)
