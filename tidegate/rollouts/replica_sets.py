"""The ReplicaSets of a Rollout as they were read, their roles in a release, and the sizes that they are to get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from tidegate.manifests.steps import PodTemplateMetadata


class _Observed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class PodState(_Observed):
    """One pod, as much of it as the tree shows."""

    name: str
    phase: str
    ready: bool
    restarts: int = 0
    created_at: datetime | None = None
    message: str = ""


class ReplicaSetState(_Observed):
    """One ReplicaSet of a Rollout, read once from the API object: the rules, the status and the clients all use this.

    Fields with `exclude` are for the pass that read them. They are left out of every payload, so that a history does
    not grow with them; a ReplicaSet that came in a payload has their defaults.
    """

    name: str
    hash: str  # value of its label `rollouts-pod-template-hash`
    revision: int
    desired: int  # spec.replicas
    current: int = 0  # pods that were created
    ready: int = 0
    available: int = 0  # 0 while pods were not counted since the last change: nothing is proved then
    images: dict[str, str] = Field(default_factory=dict)  # container -> image
    created_at: datetime | None = None
    scale_down_at: datetime | None = None  # when its pods may go, None without a deadline
    promoted_at: datetime | None = None  # when its version was last promoted
    pods: tuple[PodState, ...] = ()
    version_tag: str = ""  # by which sources of metrics know its pods, where its template says so
    counted: bool = Field(default=True, exclude=True)  # whether pods were counted since its last change
    no_pods: str = Field(default="", exclude=True)  # why its controller can create no pods, in the server's words
    fence: tuple[int, int] = Field(default=(0, 0), exclude=True)  # epoch and sequence of the last write to it
    # Metadata of its role on its pods; None while some pods are still to get it.
    ephemeral: PodTemplateMetadata | None = Field(default_factory=PodTemplateMetadata, exclude=True)

    @property
    def promoted(self) -> bool:
        """True when its version was ever promoted."""
        return self.promoted_at is not None

    @property
    def complete(self) -> bool:
        """True when it has pods, and all of them are available."""
        return 0 < self.desired <= self.available

    @property
    def standing(self) -> int:
        """Available pods that will stay: those beyond `desired` are on their way out."""
        return min(self.desired, self.available)


@dataclass(frozen=True)
class ReplicaSets:
    """By role: `canary` is the version of the template, `stable` the promoted one, `others` the rest, newest first."""

    canary: ReplicaSetState | None
    stable: ReplicaSetState | None
    others: tuple[ReplicaSetState, ...] = ()
    # Names of those whose pods may not go yet, whatever the steps want: a Service still selects them, or the delay
    # before their scale-down has not passed.
    kept: frozenset[str] = frozenset()

    @property
    def beside(self) -> ReplicaSetState | None:
        """The stable ReplicaSet where it is another one than the canary's: before a promotion, not after it."""
        if self.stable is None or (self.canary is not None and self.canary.name == self.stable.name):
            return None
        return self.stable

    def keeps(self, one: ReplicaSetState) -> bool:
        """True when the pods of a ReplicaSet may not go yet."""
        return one.name in self.kept

    def __iter__(self) -> Iterator[ReplicaSetState]:
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
