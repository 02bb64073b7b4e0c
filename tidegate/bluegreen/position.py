"""Where a release stands in its blue-green strategy.

Source: argo-rollouts, rollout/bluegreen.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.manifests.rollout import BlueGreen
from tidegate.rollouts.ephemeral import RoleMetadata


@dataclass(frozen=True)
class BlueGreenState:
    """One version of a Rollout on its way.

    `promoting` says that the version is to get the traffic: its gates before that are passed, and its pauses over.
    `held` leaves the Services alone, as the Rollout is paused. `undecided` keeps all pods, as an analysis was
    inconclusive.
    `revision` is the number of the release, which its ReplicaSet takes; 0 where that has its number already.
    """

    strategy: BlueGreen
    replicas: int
    desired_hash: str
    stable_hash: str = ""
    promoting: bool = False
    aborted: bool = False
    held: bool = False
    undecided: bool = False
    revision: int = 0

    @property
    def fully_promoted(self) -> bool:
        """True when this version is the stable one."""
        return self.desired_hash == self.stable_hash

    @property
    def given_up(self) -> bool:
        """True on the way back to a stable version; a first version has none, and nothing is taken from it."""
        return self.aborted and bool(self.stable_hash) and not self.fully_promoted

    @property
    def gets_traffic(self) -> bool:
        """True when `activeService` is to select this version as soon as it has its pods."""
        return not self.given_up and (self.promoting or not self.stable_hash or self.fully_promoted)

    @property
    def previews(self) -> bool:
        """True when the version is on trial beside the stable one."""
        return not self.gets_traffic and not self.given_up

    @property
    def keeps_old_sets(self) -> bool:
        """True while no older version may go: an analysis was inconclusive, or the one after the promotion is open.

        Source: argo-rollouts, which keeps them for an open one only where no scaleDownDelaySeconds are written.
        """
        if self.fully_promoted or self.aborted:
            return False
        strategy = self.strategy
        is_judged = self.promoting and strategy.post_promotion_analysis is not None
        return self.undecided or (is_judged and strategy.scale_down_delay_seconds is None)

    @property
    def metadata(self) -> RoleMetadata:
        """Metadata of the pods of each role. It follows the stable version, not `activeService`, as in Argo."""
        return RoleMetadata(self.strategy.preview_metadata, self.strategy.active_metadata)
