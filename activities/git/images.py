"""Images in the text of manifests and kustomizations, and the edits that put earlier ones back. Pure.

An edit changes the image's own characters; every other byte of the file stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import yaml

from activities.git.yaml_edits import Edit, NotEditableError, Setting, documents, edited, edits_of
from tidegate.contract import ImageChange, RevertRequest

__all__ = ["KUSTOMIZATIONS", "Edit", "Found", "NotEditableError", "edited", "find_images", "is_manifest"]

MAX_CHARACTERS = 256 * 1024  # of one file
KUSTOMIZATIONS = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})
_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Found:
    """Images of a Rollout in one file, and the edits that put back the bad ones."""

    images: tuple[str, ...]
    edits: tuple[Edit, ...]


def is_manifest(name: str) -> bool:
    """True when a file of that name can be a manifest."""
    return name in KUSTOMIZATIONS or name.endswith(_ENDINGS)


def find_images(name: str, text: str, request: RevertRequest) -> Found | None:
    """Images in the file `name`; None without any, or for no YAML (Helm templates are none).

    The edits were tried and their result was parsed: nothing but the images differs. Raises NotEditableError.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    read = _kustomized if name in KUSTOMIZATIONS else _contained

    def settings(found: Sequence[yaml.Node]) -> Iterator[Setting]:
        for document in found:
            for _, changes in read(document, request):
                yield from changes

    try:
        images = [image for document in documents(text) for image, _ in read(document, request)]
        return Found(tuple(dict.fromkeys(images)), edits_of(text, settings)) if images else None
    except (yaml.YAMLError, RecursionError):
        return None


_Read = Iterator[tuple[str, tuple[Setting, ...]]]


def _contained(document: yaml.Node, request: RevertRequest) -> _Read:
    """The images of the Rollout's own containers, or of the Deployment that lends it its template."""
    metadata = _get(document, "metadata")
    name, namespace = _text(_get(metadata, "name")), _text(_get(metadata, "namespace"))
    expected = {("Rollout", request.rollout), ("Deployment", request.workload)}
    if (_text(_get(document, "kind")), name) not in expected or namespace not in ("", request.namespace):
        return
    changes = {change.container: change for change in request.images}
    for container in _items(_get(document, "spec", "template", "spec", "containers")):
        change, image = changes.get(_text(_get(container, "name"))), _get(container, "image")
        if change is not None and isinstance(image, yaml.ScalarNode):
            yield image.value, ((image, change.good),) if image.value == change.bad else ()


def _kustomized(document: yaml.Node, request: RevertRequest) -> _Read:
    """The images that a kustomization sets, where they are those of the containers."""
    for entry in _items(_get(document, "images")):
        outcomes = _outcomes(entry)
        for change in request.images:
            if change.bad in outcomes:
                yield change.bad, _entry_settings(entry, change)
            elif outcomes and _parts(outcomes[0]).name == _parts(change.bad).name:
                yield outcomes[0], ()


def _outcomes(entry: yaml.Node) -> tuple[str, ...]:
    """The image that an entry of a kustomization leads to; none where it leaves the tag to the manifests.

    Of a tag and a digest side by side, kustomize writes both; before 5.0 it left the tag out.
    """
    name = _text(_get(entry, "newName")) or _text(_get(entry, "name"))
    tag, digest = _text(_get(entry, "newTag")), _text(_get(entry, "digest"))
    if tag and digest:
        return f"{name}:{tag}@{digest}", f"{name}@{digest}"
    return (f"{name}@{digest}",) if digest else (f"{name}:{tag}",) if tag else ()


def _entry_settings(entry: yaml.Node, change: ImageChange) -> tuple[Setting, ...]:
    bad, good = _parts(change.bad), _parts(change.good)
    tag, digest, new_name = _get(entry, "newTag"), _get(entry, "digest"), _get(entry, "newName")
    settings: list[Setting] = []
    if bad.name != good.name:
        if not isinstance(new_name, yaml.ScalarNode):
            raise _not_there(change, "there is no newName")
        settings.append((new_name, good.name))
    if isinstance(tag, yaml.ScalarNode) and isinstance(digest, yaml.ScalarNode):
        if bool(bad.tag) != bool(good.tag) or not good.digest:
            raise _not_there(change, "the entry has a newTag and a digest")
        settings += [(tag, good.tag)] if good.tag else []
        settings.append((digest, good.digest))
    elif isinstance(tag, yaml.ScalarNode):
        if not good.tag:
            raise _not_there(change, "one is a digest, and the entry has a newTag")
        settings.append((tag, f"{good.tag}@{good.digest}" if good.digest else good.tag))
    elif isinstance(digest, yaml.ScalarNode):
        if good.tag or not good.digest:
            raise _not_there(change, "the entry has a digest and no newTag")
        settings.append((digest, good.digest))
    return tuple(settings)


def _not_there(change: ImageChange, why: str) -> NotEditableError:
    return NotEditableError(f"{change.good} cannot be written where {change.bad} stands: {why}")


class _Parts(NamedTuple):
    name: str
    tag: str
    digest: str


def _parts(image: str) -> _Parts:
    """Parts of an image; the port of a registry belongs to the name."""
    reference, _, digest = image.partition("@")
    head, colon, tag = reference.rpartition(":")
    return _Parts(head, tag, digest) if colon and "/" not in tag else _Parts(reference, "", digest)


def _get(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if _text(name) == key), None)
    return node


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
