"""Versions of a release: their ReplicaSets, the image's tag of the new one, and of the one that it replaces."""

from __future__ import annotations

from tidegate.contract import Observation, ReleaseStatus, StrategyName
from tidegate.manifests.images import short_version
from tidegate.manifests.plain_text import one_line
from tidegate.rollouts.replica_sets import ReplicaSetState


def replica_sets(status: ReleaseStatus, observation: Observation | None) -> tuple[ReplicaSetState, ...]:
    """The latest ReplicaSets: from the read of the cluster when it found any, else from the release's status."""
    return (observation.replica_sets if observation is not None else ()) or status.replica_sets


def role(replica_set: ReplicaSetState, status: ReleaseStatus) -> str:
    """Part that a ReplicaSet plays in this release: `stable`, `canary`, `preview`, `active` or none."""
    if replica_set.hash == status.stable_hash:
        return "stable"
    if replica_set.hash != status.desired_hash:
        return ""
    if status.strategy is StrategyName.CANARY:
        return "canary"
    return "active" if status.actual_weight else "preview"


def versions(status: ReleaseStatus, observation: Observation | None = None) -> tuple[str, str]:
    """The version before and the new one; the first is empty where there was none or it is not known."""
    before = _before(status, replica_sets(status, observation))
    old = before.images if before is not None else {}
    changed = [name for name, image in status.images.items() if old.get(name) != image] or list(status.images)[:1]
    return _text({name: old[name] for name in changed if name in old}), _text(
        {name: status.images[name] for name in changed}
    )


def switched(status: ReleaseStatus, weight: int) -> bool | None:
    """True when the active Service leads to the new version at such a weight; None for a canary, which has weights."""
    return None if status.strategy is StrategyName.CANARY else weight > 0


def reach(status: ReleaseStatus, weight: int) -> str:
    """How far a version has come: `at 25 %`, or for blue-green `before the switch` or `after the switch`."""
    is_switched = switched(status, weight)
    if is_switched is None:
        return f"at {weight} %"
    return "after the switch" if is_switched else "before the switch"


def new_version(status: ReleaseStatus, observation: Observation | None = None) -> str:
    """Name of the new version, its revision where no image is known."""
    return versions(status, observation)[1] or f"revision {status.revision}"


def _before(status: ReleaseStatus, sets: tuple[ReplicaSetState, ...]) -> ReplicaSetState | None:
    """The stable ReplicaSet; after a promotion the one that was promoted before."""
    if status.stable_hash != status.desired_hash:
        return next((each for each in sets if each.hash == status.stable_hash), None)
    others = [each for each in sets if each.hash != status.desired_hash and each.promoted_at is not None]
    return max(others, key=lambda each: (each.promoted_at, each.revision), default=None)


def _text(images: dict[str, str]) -> str:
    if len(images) == 1:
        return short_version(one_line(next(iter(images.values()))))
    return ", ".join(f"{one_line(name)} {short_version(one_line(image))}" for name, image in images.items())
