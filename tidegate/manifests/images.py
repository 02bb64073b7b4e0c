"""Other images for a Rollout: what a CI job changes in a manifest that it does not own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import JsonValue

from tidegate.manifests.decode import decode
from tidegate.manifests.documents import Manifests
from tidegate.manifests.findings import Path
from tidegate.manifests.rollout import Rollout

_CONTAINERS: Path = ("spec", "template", "spec", "containers")


def apply_images(manifests: Manifests, images: Mapping[str, str]) -> Manifests:
    """The manifests with other images in their one Rollout: container name to image, `*` meaning every container.

    Raises ManifestError for a container that the pod template does not have, for an image that is empty, and where
    there is not exactly one Rollout.
    """
    rollout = manifests.rollout()
    document = rollout.document
    containers = _containers(document.value(_CONTAINERS))
    for name, image in images.items():
        if not image or (name != "*" and name not in containers):
            message = f"no container is called {name}" if image else f"the image of {name} is empty"
            remedy = f"containers: {', '.join(containers) or 'none'}, or * for all of them"
            raise document.refused("image", _CONTAINERS, message, value=f"{name}={image}", remedy=remedy)
    for name, (path, container) in containers.items():
        image = images.get(name, images.get("*", ""))
        if image:
            document = document.replaced(path, {**container, "image": image}, document.location(path))
    changed = replace(rollout, document=document, model=decode(Rollout, document, rollout.label))
    return replace(manifests, rollouts=(changed,))


def _containers(value: JsonValue) -> dict[str, tuple[Path, dict[str, JsonValue]]]:
    """Containers by name, each with its path."""
    return {
        str(container.get("name", "")): ((*_CONTAINERS, index), container)
        for index, container in enumerate(value if isinstance(value, list) else [])
        if isinstance(container, dict)
    }
