"""Labels and annotations that pods have for as long as their version is the canary, or stable.

Source: argo-rollouts, ephemeral metadata: `canaryMetadata` and `stableMetadata` follow the role, not the version, and
are no part of the pod-template hash.
"""

from __future__ import annotations

from tidegate.canary.position import CanaryState
from tidegate.manifests.steps import PodTemplateMetadata

NOTHING = PodTemplateMetadata()


def role_metadata(hash_: str, at: CanaryState) -> PodTemplateMetadata:
    """Metadata of the version of a hash in its role: nothing once it is neither the canary nor stable.

    The first version is stable from its beginning. An aborted one remains the canary.
    """
    if hash_ == (at.stable_hash or at.desired_hash):
        return at.strategy.stable_metadata or NOTHING
    if hash_ == at.desired_hash:
        return at.strategy.canary_metadata or NOTHING
    return NOTHING
