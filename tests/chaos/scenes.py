"""What people and pipelines want of one Rollout in a round, and what must come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.chaos.laws import BAD, given_up
from tests.chaos.manifests import resting_routes, sides
from tests.chaos.people import Answer
from tests.chaos.scene import ClusterState, Outcome, Wanted

HEALTHY, ABORTED = Outcome.HEALTHY, Outcome.ABORTED
EITHER = (HEALTHY, ABORTED)
PATIENT_SECONDS = 75.0  # for what may have to wait for a dead worker


# -------------------------------------------------------------------------------------------------- one version


async def good(scene: ClusterState) -> Wanted:
    """A good version, of which the watcher alone hears."""
    tag = scene.new_tag()
    await scene.deliver(tag)
    return Wanted.of(tag, HEALTHY)


async def good_by_ci(scene: ClusterState) -> Wanted:
    """A good version, for which CI asks beside the watcher."""
    tag = scene.new_tag()
    document, commit = await scene.deliver(tag)
    await scene.people.release(document, commit)
    return Wanted.of(tag, HEALTHY)


async def good_asked_twice(scene: ClusterState) -> Wanted:
    """The same request twice at once, and again a moment later."""
    tag = scene.new_tag()
    document, commit = await scene.deliver(tag)
    await asyncio.gather(*(scene.people.release(document, commit) for _ in range(2)))
    await scene.moment(2.0)
    await scene.people.release(document, commit)
    return Wanted.of(tag, HEALTHY)


async def bad(scene: ClusterState) -> Wanted:
    """A bad version: its gate fails."""
    tag = scene.new_tag() + BAD
    await scene.deliver(tag)
    return Wanted.of(tag, ABORTED)


async def bad_by_ci(scene: ClusterState) -> Wanted:
    """A bad version, for which CI asks beside the watcher."""
    tag = scene.new_tag() + BAD
    document, commit = await scene.deliver(tag)
    await scene.people.release(document, commit)
    return Wanted.of(tag, ABORTED)


async def good_guarded(scene: ClusterState) -> Wanted:
    """A good version with an analysis in the background. What it cannot measure is for a person to decide."""
    tag = scene.new_tag()
    await scene.deliver(tag, guarded=True)
    return Wanted.of(tag, HEALTHY)


async def bad_guarded(scene: ClusterState) -> Wanted:
    """A bad version with an analysis in the background, while somebody waits at a pause."""
    tag = scene.new_tag() + BAD
    await scene.deliver(tag, held=True, guarded=True)
    return Wanted.of(tag, ABORTED)


# ------------------------------------------------------------------------------------------------ a word about it


async def aborted(scene: ClusterState) -> Wanted:
    """Somebody aborts a version that waits for a person."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    seen = await _under_way(scene, tag)
    await scene.moment(3.0)
    answer = await scene.people.abort(scene.name)
    return _given_up(tag, certain=seen and answer is Answer.TAKEN)


async def aborted_by_patch(scene: ClusterState) -> Wanted:
    """Somebody patches `status.abort` once the version has traffic."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    seen = await _under_way(scene, tag)
    await scene.people.patch_status(scene.name, abort=True)
    if not seen:  # a flag that stood before the release is no word about it
        await scene.promoted(tag)
    return _given_up(tag, certain=seen)


async def aborted_by_signal(scene: ClusterState) -> Wanted:
    """A bare signal `abort` to a version that has traffic."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    seen = await _under_way(scene, tag)
    answer = await scene.people.signal(scene.name, "abort")
    certain = seen and answer is Answer.TAKEN
    if not certain:  # the signal may have been one to the release before
        await scene.people.abort(scene.name)
    return _given_up(tag, certain=certain)


async def cancelled(scene: ClusterState) -> Wanted:
    """Somebody cancels the workflow."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    seen = await _under_way(scene, tag)
    answer = await scene.people.cancel(scene.name)
    certain = seen and answer is Answer.TAKEN
    if not certain:  # it may have been the release before that was cancelled
        await scene.people.abort(scene.name)
    return _given_up(tag, certain=certain)


async def _under_way(scene: ClusterState, tag: str) -> bool:
    """Wait until a version has traffic by the steps that were applied with it; False when it does not come to that.

    A template and steps that come in two writes are two versions, and an abort is one of the version under way: other
    steps begin it again, as Argo's do (docs/quirks.md). Whoever wants the last one aborted has to see it first.
    """
    return await scene.canary(tag, taken_up=True)


def _given_up(tag: str, *, certain: bool) -> Wanted:
    """An abort of the version under way; where it may have been another's, Git may have been put back for that."""
    return Wanted.of(tag, ABORTED) if certain else Wanted.of(tag, *EITHER, in_git=False)


async def promoted(scene: ClusterState) -> Wanted:
    """Somebody promotes a version that waits for a person."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY)


async def promoted_fully(scene: ClusterState) -> Wanted:
    """Somebody promotes a version past all of its steps."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    scene.life.by_hand.add(tag)
    await scene.people.promote(scene.name, full=True)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY)


async def bad_by_hand(scene: ClusterState) -> Wanted:
    """A named person promotes a bad version past its gate, unless the gate was faster."""
    tag = scene.new_tag() + BAD
    scene.life.by_hand.add(tag)
    await scene.deliver(tag)
    await scene.canary(tag)
    await scene.people.promote(scene.name, full=True)
    return Wanted.of(tag, *EITHER)


async def paused(scene: ClusterState) -> Wanted:
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


async def newer(scene: ClusterState) -> Wanted:
    """A newer version comes while one has traffic."""
    first, second = scene.new_tag(), scene.new_tag()
    await scene.deliver(first)
    await scene.canary(first)
    await scene.moment(3.0)
    await scene.deliver(second)
    return Wanted.of(second, HEALTHY)


async def newer_is_bad(scene: ClusterState) -> Wanted:
    """A bad version comes while a good one has traffic, CI asking for both."""
    first, second = scene.new_tag(), scene.new_tag() + BAD
    await scene.people.release(*await scene.deliver(first))
    await scene.canary(first)
    await scene.people.release(*await scene.deliver(second))
    return Wanted.of(second, ABORTED)


async def fixed(scene: ClusterState) -> Wanted:
    """The fix of a bad version comes while the bad one has traffic, or is going down."""
    first, second = scene.new_tag() + BAD, scene.new_tag()
    await scene.deliver(first)
    await scene.canary(first)
    await scene.moment(4.0)
    await scene.deliver(second)
    return Wanted.of(second, HEALTHY)


async def fixed_after_abort(scene: ClusterState) -> Wanted:
    """Somebody aborts a version, and its fix comes within a second."""
    first, second = scene.new_tag(), scene.new_tag()
    await scene.deliver(first, held=True)
    await scene.canary(first)
    answer = await scene.people.abort(scene.name)
    await scene.moment(1.0)
    await scene.deliver(second)
    # A word that was only sent may be heard after the newer version came, and is about that one then.
    return Wanted.of(second, HEALTHY, *((ABORTED,) if answer is Answer.UNCLEAR else ()))


async def back(scene: ClusterState) -> Wanted:
    """Git goes back to the stable version while another one has traffic."""
    stable, tag = scene.stable_tag, scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    await scene.deliver(stable)
    return Wanted.of(stable, HEALTHY)


async def undone(scene: ClusterState) -> Wanted:
    """A version becomes stable, and somebody undoes it."""
    before, tag = scene.stable_tag, scene.new_tag()
    await scene.deliver(tag)
    await scene.promoted(tag)
    judged_again = before.endswith(BAD) and scene.stable_tag == tag  # by its gate, which a person's word passed then
    scene.life.by_hand.discard(before if judged_again else "")
    answer = await scene.people.undo(scene.name)
    if answer is not Answer.TAKEN:  # undone once more it would be as before: Git says it, when no undo can follow
        await scene.people.until_no_undo(scene.name)
        await scene.deliver(before)
    return Wanted.of(before, ABORTED if judged_again else HEALTHY)


async def retried(scene: ClusterState) -> Wanted:
    """Somebody aborts a version and tries it again."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    seen = await _under_way(scene, tag)
    answer = await scene.people.abort(scene.name)
    if not await scene.so(lambda: _is_given_up(scene), PATIENT_SECONDS):
        if seen and answer is Answer.TAKEN:
            raise TimeoutError(f"{tag} was not given up, although its abort was taken")
        return _given_up(tag, certain=False)
    await scene.people.patch_status(scene.name, abort=False)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY, in_git=False)


async def _is_given_up(scene: ClusterState) -> bool:
    return given_up(scene.life.rollout)


async def deleted(scene: ClusterState) -> Wanted:
    """Somebody deletes the Rollout in mid-canary; it comes again once its Services serve without it."""
    tag, again = scene.new_tag(), scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    await scene.people.delete(scene.name)
    if not await scene.so(lambda: _is_let_go(scene), PATIENT_SECONDS):
        life = scene.life
        raise TimeoutError(f"of a deleted Rollout stand routes {life.routes} and selectors {life.selectors}")
    await scene.deliver(again)
    return Wanted.of(again, HEALTHY)


async def _is_let_go(scene: ClusterState) -> bool:
    life = scene.life
    selected = any(life.selectors.get(side) for side in sides(scene.name))
    return life.routes == resting_routes(scene.name) and not selected


# ------------------------------------------------------------------------------------------------ over its head


async def terminated(scene: ClusterState) -> Wanted:
    """Somebody terminates a release that has traffic: the watcher recovers it."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    await scene.people.terminate(scene.name)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY)


async def terminated_bad(scene: ClusterState) -> Wanted:
    """The same with a bad version."""
    tag = scene.new_tag() + BAD
    await scene.deliver(tag)
    await scene.canary(tag)
    await scene.people.terminate(scene.name)
    return Wanted.of(tag, ABORTED)


async def reset(scene: ClusterState) -> Wanted:
    """Somebody resets a release that has traffic."""
    tag = scene.new_tag()
    await scene.deliver(tag, held=True)
    await scene.canary(tag)
    await scene.moment(2.0)
    await scene.people.reset(scene.name)
    await scene.promoted(tag)
    return Wanted.of(tag, HEALTHY)


SCENES: tuple[Callable[[ClusterState], Awaitable[Wanted]], ...] = (
    good,
    good_by_ci,
    good_asked_twice,
    bad,
    bad_by_ci,
    good_guarded,
    bad_guarded,
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
    deleted,
    terminated,
    terminated_bad,
    reset,
)
