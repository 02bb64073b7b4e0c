"""Other images for a Rollout: what a CI job changes in a manifest that it does not own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import JsonValue

from tidegate.manifests.version_tag import VERSION_LABEL, VERSION_VARIABLE

if TYPE_CHECKING:
    from tidegate.manifests.documents import Manifests
    from tidegate.manifests.findings import Path
    from tidegate.manifests.source import Document

_TEMPLATE: Path = ("spec", "template")
_CONTAINERS: Path = (*_TEMPLATE, "spec", "containers")
_DIGEST_SHOWN = 12


def apply_images(manifests: Manifests, images: Mapping[str, str]) -> Manifests:
    """The manifests with other images in their one Rollout: container name to image, `*` meaning every container.

    A version that the pod template says of itself changes with the image whose tag it was: else both versions would
    have one value, by which a source of metrics could not tell them apart.

    Raises ManifestError for a container that the pod template does not have, for an image that is empty, and where
    there is not exactly one Rollout.
    """
    # Here, as others ask for the tags of images alone.
    from tidegate.manifests.decode import decode
    from tidegate.manifests.rollout import Rollout

    rollout = manifests.rollout()
    document = rollout.document
    containers = _containers(document.value(_CONTAINERS))
    for name, image in images.items():
        if not image or (name != "*" and name not in containers):
            message = f"no container is called {name}" if image else f"the image of {name} is empty"
            remedy = f"containers: {', '.join(containers) or 'none'}, or * for all of them"
            raise document.refused("image", _CONTAINERS, message, value=f"{name}={image}", remedy=remedy)
    tags: dict[str, str] = {}  # of the images before -> of those that replace them
    for name, (path, container) in containers.items():
        image = images.get(name, images.get("*", ""))
        if image:
            tags[tag_of(str(container.get("image", "")))] = tag_of(image)
            document = document.replaced(path, {**container, "image": image}, document.location(path))
    document = _retagged(document, tags)
    changed = replace(rollout, document=document, model=decode(Rollout, document, rollout.label))
    return replace(manifests, rollouts=(changed,))


def version_changes(before: Manifests, after: Manifests) -> list[str]:
    """Sentences on the versions that pod templates say of themselves and that changed with an image."""
    pairs = zip(_versions(before.rollout().document), _versions(after.rollout().document), strict=True)
    return [f"{name} goes from {old} to {new}, with the image" for (_, name, old), (_, _, new) in pairs if old != new]


def tag_of(image: str) -> str:
    """Tag of an image, empty without one: `1.1.0` of `registry:5000/checkout:1.1.0@sha256:...`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def short_version(image: str) -> str:
    """Tag of an image, or the beginning of its digest; its name where it has neither."""
    name, _, digest = image.partition("@")
    return tag_of(name) or digest.removeprefix("sha256:")[:_DIGEST_SHOWN] or name.rpartition("/")[2]


def short_versions(images: Mapping[str, str]) -> str:
    """The short versions of images by container, in one string: `1.1.0`, or `1.1.0,2.0.3`."""
    return ",".join(map(short_version, images.values()))


def _retagged(document: Document, tags: Mapping[str, str]) -> Document:
    for path, _, version in _versions(document):
        if version and tags.get(version):
            document = document.replaced(path, tags[version], document.location(path))
    return document


def _versions(document: Document) -> list[tuple[Path, str, str]]:
    """The label and the variables by which a pod template names its version: path, name and value of each."""
    label: Path = (*_TEMPLATE, "metadata", "labels", VERSION_LABEL)
    found: list[tuple[Path, str, str]] = [(label, VERSION_LABEL, _text(document.value(label)))]
    for path, container in _containers(document.value(_CONTAINERS)).values():
        env = container.get("env")
        for index, variable in enumerate(env if isinstance(env, list) else []):
            if isinstance(variable, dict) and variable.get("name") == VERSION_VARIABLE:
                at: Path = (*path, "env", index, "value")
                found.append((at, VERSION_VARIABLE, _text(variable.get("value"))))
    return found


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _containers(value: JsonValue) -> dict[str, tuple[Path, dict[str, JsonValue]]]:
    """Containers by name, each with its path."""
    return {
        str(container.get("name", "")): ((*_CONTAINERS, index), container)
        for index, container in enumerate(value if isinstance(value, list) else [])
        if isinstance(container, dict)
    }
