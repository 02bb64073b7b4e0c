"""Labels and annotations that pods have for as long as their version has a role.

Source: argo-rollouts, ephemeral metadata: `canaryMetadata` and `stableMetadata`, or `previewMetadata` and
`activeMetadata`, follow the role, not the version, and are no part of the pod-template hash.
"""

from __future__ import annotations

from typing import NamedTuple

from tidegate.manifests.steps import PodTemplateMetadata

NOTHING = PodTemplateMetadata()


class RoleMetadata(NamedTuple):
    """Metadata of the version that is brought out, and of the stable one."""

    new: PodTemplateMetadata | None
    stable: PodTemplateMetadata | None

    def of(self, hash_: str, desired_hash: str, stable_hash: str) -> PodTemplateMetadata:
        """Metadata of the version of a hash: nothing once it is neither the new nor the stable one.

        The first version is stable from its beginning. An aborted one remains the new one.
        """
        if hash_ == (stable_hash or desired_hash):
            return self.stable or NOTHING
        if hash_ == desired_hash:
            return self.new or NOTHING
        return NOTHING
