"""The ReplicaSets of a Rollout as they stand, and the sizes that they are to get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ReplicaSet:
    """Pods of one version: `wanted` is spec.replicas, `created` and `available` count the pods that there are.

    `kept` says that its pods may not go yet, whatever the steps want: a Service still selects them, or the delay before
    their scale-down has not passed. That takes a look at the clock and at the Services, which is the caller's.
    """

    name: str
    hash: str
    wanted: int
    created: int
    available: int
    kept: bool = False

    @property
    def standing(self) -> int:
        """Available pods that will stay: those beyond `wanted` are on their way out."""
        return min(self.wanted, self.available)


@dataclass(frozen=True)
class ReplicaSets:
    """By role: `canary` is the version of the template, `stable` the promoted one, `others` the rest, newest first."""

    canary: ReplicaSet | None
    stable: ReplicaSet | None
    others: tuple[ReplicaSet, ...] = ()

    @property
    def beside(self) -> ReplicaSet | None:
        """The stable ReplicaSet where it is another one than the canary's: before a promotion, not after it."""
        if self.stable is None or (self.canary is not None and self.canary.name == self.stable.name):
            return None
        return self.stable

    def __iter__(self) -> Iterator[ReplicaSet]:
        """Each ReplicaSet once."""
        yield from (each for each in (self.canary, self.beside, *self.others) if each is not None)


@dataclass(frozen=True)
class Sizes:
    """Number of pods for each role; `others` in the order of `ReplicaSets.others`.

    The number of a role that no ReplicaSet has means nothing.
    """

    canary: int
    stable: int
    others: tuple[int, ...] = ()
