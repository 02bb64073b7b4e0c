"""Images in the text of manifests and kustomizations: which stand there, and the edits that put others back. Pure.

An edit changes the image's own characters; every other byte of the file stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from tidegate.contract import ImageChange, RevertRequest

MAX_CHARACTERS = 256 * 1024  # of one file
KUSTOMIZATIONS = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})
_ENDINGS = (".yaml", ".yml")
# What YAML of any version takes for a number where no quotes say otherwise.
_NUMBER = re.compile(r"[-+]?(0[xob][0-9a-fA-F_]+|(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?)")


class NotEditableError(ValueError):
    """The bad image stands where the good one cannot be written; the text says what is in the way."""


@dataclass(frozen=True)
class Edit:
    """`text` in the place of the characters from `start` to before `end`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Found:
    """What one file says of a Rollout's images: those it names, and the edits that put back the bad ones."""

    images: tuple[str, ...]
    edits: tuple[Edit, ...]


def is_manifest(name: str) -> bool:
    """Whether a file of that name can hold a manifest."""
    return name in KUSTOMIZATIONS or name.endswith(_ENDINGS)


def look(name: str, text: str, request: RevertRequest) -> Found | None:
    """What the file `name` says; None if it has nothing to say, or is no YAML (templates of Helm are none).

    Raises NotEditableError.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        documents = [node for node in yaml.compose_all(text, yaml.SafeLoader) if node is not None]
    except (yaml.YAMLError, RecursionError):
        return None
    read = _kustomized if name in KUSTOMIZATIONS else _contained
    images: list[str] = []
    edits: dict[int, Edit] = {}  # by where they begin: an anchor may be used more than once
    for document in documents:
        for image, found in read(document, request):
            images.append(image)
            edits.update({edit.start: edit for edit in found})
    return Found(tuple(dict.fromkeys(images)), tuple(edits[start] for start in sorted(edits))) if images else None


def edited(text: str, edits: Sequence[Edit]) -> str:
    """The text with all edits made."""
    for edit in sorted(edits, key=lambda each: each.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


_Read = Iterator[tuple[str, tuple[Edit, ...]]]


def _contained(document: yaml.Node, request: RevertRequest) -> _Read:
    """The images of the Rollout's own containers, or of the Deployment that lends it its template."""
    metadata = _get(document, "metadata")
    name, namespace = _text(_get(metadata, "name")), _text(_get(metadata, "namespace"))
    wanted = {("Rollout", request.rollout), ("Deployment", request.workload)}
    if (_text(_get(document, "kind")), name) not in wanted or namespace not in ("", request.namespace):
        return
    changes = {change.container: change for change in request.images}
    for container in _items(_get(document, "spec", "template", "spec", "containers")):
        change, image = changes.get(_text(_get(container, "name"))), _get(container, "image")
        if change is not None and isinstance(image, yaml.ScalarNode):
            yield image.value, (_edit(image, change.good),) if image.value == change.bad else ()


def _kustomized(document: yaml.Node, request: RevertRequest) -> _Read:
    """The images that a kustomization sets, where they are those of the containers."""
    for entry in _items(_get(document, "images")):
        image = _outcome(entry)
        for change in request.images:
            if image == change.bad:
                yield image, _entry_edits(entry, change)
            elif image and _parts(image)[0] == _parts(change.bad)[0]:
                yield image, ()


def _outcome(entry: yaml.Node) -> str:
    """The image that an entry of a kustomization leads to; empty where it leaves the tag to the manifests."""
    name = _text(_get(entry, "newName")) or _text(_get(entry, "name"))
    tag, digest = _text(_get(entry, "newTag")), _text(_get(entry, "digest"))
    return f"{name}@{digest}" if digest else f"{name}:{tag}" if tag else ""


def _entry_edits(entry: yaml.Node, change: ImageChange) -> tuple[Edit, ...]:
    (bad, mark, _), (good, good_mark, version) = _parts(change.bad), _parts(change.good)
    new_name, field = _get(entry, "newName"), _get(entry, "digest" if mark == "@" else "newTag")
    if mark != good_mark or not isinstance(field, yaml.ScalarNode):
        raise NotEditableError(f"{change.good} cannot be written where {change.bad} stands: one is a digest")
    if bad == good:
        return (_edit(field, version),)
    if not isinstance(new_name, yaml.ScalarNode):
        raise NotEditableError(f"{change.good} cannot be written where {change.bad} stands: there is no newName")
    return (_edit(new_name, good), _edit(field, version))


def _parts(image: str) -> tuple[str, str, str]:
    """Name, '@' or ':' or nothing, and what follows it; the port of a registry belongs to the name."""
    name, at, digest = image.partition("@")
    if at:
        return name, at, digest
    head, colon, tag = image.rpartition(":")
    return (head, colon, tag) if colon and "/" not in tag else (image, "", "")


def _edit(node: yaml.ScalarNode, value: str) -> Edit:
    if node.style in ("|", ">"):
        raise NotEditableError(f"line {node.start_mark.line + 1}: an image in a block of text")
    quote = node.style or ("" if _is_plain(value) else '"')
    return Edit(node.start_mark.index, node.end_mark.index, f"{quote}{value}{quote}")


def _is_plain(value: str) -> bool:
    return isinstance(yaml.safe_load(value), str) and not _NUMBER.fullmatch(value)


def _get(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if _text(name) == key), None)
    return node


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
