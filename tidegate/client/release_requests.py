"""The request that a release makes of manifests."""

from __future__ import annotations

from pydantic import ValidationError

from tidegate.client.manifest_files import one_namespace
from tidegate.client.translation import malformed
from tidegate.contract import ReleaseRequest, Source
from tidegate.manifests.documents import Manifests


def release_request(
    manifests: Manifests,
    namespace: str | None,
    *,
    cluster: str,
    by: str,
    reason: str = "",
    source: Source | None = None,
) -> ReleaseRequest:
    """Request of the one Rollout among manifests, with their templates. Raises RefusedError and ManifestError."""
    rollout = manifests.rollout()
    try:
        return ReleaseRequest(
            cluster=cluster,
            namespace=one_namespace([(rollout.label, rollout.metadata.namespace)], namespace),
            name=rollout.metadata.name,
            rollout=rollout.raw,
            templates=tuple(template.raw for template in manifests.templates),
            by=by,
            reason=reason,
            source=source or Source(),
        )
    except ValidationError as error:
        raise malformed(error) from error
