"""The request of a release, from manifests and options."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from pydantic import ValidationError

from tidegate.cli.files import one_namespace
from tidegate.cli.options import assignments
from tidegate.client.translation import malformed
from tidegate.contract import ReleaseRequest, Source
from tidegate.manifests.documents import Manifests


def images_of(options: Sequence[str]) -> dict[str, str]:
    """Container -> image, from the option `--image`. Raises typer.BadParameter."""
    images = assignments(
        options, "--image", "CONTAINER=IMAGE, such as checkout=registry.internal/payments/checkout:1.1.0"
    )
    for container, image in images.items():
        if not image:
            raise typer.BadParameter(f"no image for container {container!r}", param_hint="--image")
    return images


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
