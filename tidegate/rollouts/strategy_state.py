"""Where a release stands, as far as every strategy has it."""

from __future__ import annotations

from typing import Protocol

from tidegate.rollouts.ephemeral import RoleMetadata


class StrategyState(Protocol):
    """One version of a Rollout on its way; each strategy adds what it decides by."""

    @property
    def replicas(self) -> int:
        """`spec.replicas`."""

    @property
    def desired_hash(self) -> str:
        """Hash of the version that is brought out."""

    @property
    def stable_hash(self) -> str:
        """Hash of the version that was promoted last, empty before the first promotion."""

    @property
    def aborted(self) -> bool:
        """True on the way back."""

    @property
    def revision(self) -> int:
        """Number of the release; 0 where its ReplicaSet has its number already."""

    @property
    def fully_promoted(self) -> bool:
        """True when this version is the stable one."""

    @property
    def metadata(self) -> RoleMetadata:
        """Metadata of the pods of each role."""
