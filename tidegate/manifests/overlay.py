"""Overlays: the small part of kustomize that says "the same manifests with other values".

A folder with a `kustomization.yaml` that has `resources` and `patches`, each patch a list of JSON Patch `replace`
operations for the one object that its target names. Anything else in it is refused by name: `kubectl kustomize` can
render it, and its output is a manifest like any other.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Literal, TypeAlias

from pydantic import JsonValue, RootModel

from tidegate.manifests.decode import decode
from tidegate.manifests.findings import ManifestError, Path
from tidegate.manifests.lists import in_all
from tidegate.manifests.model import Items, Model
from tidegate.manifests.source import Document, SourceLocation, read_file

Read: TypeAlias = Callable[[FilePath, tuple[FilePath, ...]], list[Document]]

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""What kustomize looks for in a folder, in its order."""


class OverlayTarget(Model):
    """The object that a patch changes."""

    kind: str
    name: str

    def names(self, document: Document) -> bool:
        """True when a document is the object."""
        return document.value(("kind",)) == self.kind and document.value(("metadata", "name")) == self.name


class Operation(Model):
    """Another value for a field that is there; `path` is a JSON pointer."""

    op: Literal["replace"]
    path: str
    value: JsonValue


class PatchFile(RootModel[Items[Operation]]):
    """Content of a patch file."""


class Patch(Model):
    """File with the operations, and what they are done to."""

    target: OverlayTarget
    path: str


class Kustomization(Model):
    """The part of kustomize's format that is understood."""

    api_version: Literal["kustomize.config.k8s.io/v1beta1"]
    kind: Literal["Kustomization"]
    resources: Items[str] = ()
    patches: Items[Patch] = ()


def is_overlay(path: FilePath) -> bool:
    """True for a kustomization, or a folder that holds one."""
    return path.name in FILE_NAMES or _file_in(path) is not None


def read_overlay(path: FilePath, read: Read, within: tuple[FilePath, ...] = ()) -> list[Document]:
    """Documents of the resources with the patches applied.

    `read` reads a resource, with the overlays around it. Raises ManifestError for an unsupported field, a missing
    target, a missing path, and an overlay that is part of itself.
    """
    file = path if path.name in FILE_NAMES else _file_in(path) or path / FILE_NAMES[0]
    found = read_file(file)
    document = found[0] if found else Document({}, {(): SourceLocation(str(file), 1)})
    if len(found) > 1:
        raise found[1].refused("overlay", (), "one object is expected in this file")
    if file.resolve() in within:
        raise document.refused("overlay", (), "the overlay is part of itself")
    with _rendered_instead(file.parent):
        kustomization = decode(Kustomization, document, file.name)
    inside = (*within, file.resolve())
    try:
        documents = in_all(kustomization.resources, lambda name: _resource(name, file.parent, read, inside))
    except ManifestError as error:  # what is left of them is not what it would be with the patches
        raise ManifestError(error.findings) from error
    for patch in kustomization.patches:
        for source in read_file(file.parent / patch.path):
            with _rendered_instead(file.parent):
                operations = decode(PatchFile, source, file.name)
            documents = _patched(documents, patch.target, operations, source)
    return documents


def _file_in(folder: FilePath) -> FilePath | None:
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def _resource(name: str, folder: FilePath, read: Read, inside: tuple[FilePath, ...]) -> list[Document]:
    path = FilePath(os.path.normpath(folder / name))
    if path.exists():
        return read(path, inside)
    with _rendered_instead(folder):  # it may be an address of something far away
        return read(path, inside)


@contextmanager
def _rendered_instead(folder: FilePath) -> Iterator[None]:
    """Say of everything that is not understood who understands it."""
    try:
        yield
    except ManifestError as error:
        render = f"let kustomize build it: kubectl kustomize {shlex.quote(str(folder))} | tidegate lint -f -"
        raise ManifestError(
            finding.model_copy(update={"remedy": f"{_meant(finding.remedy)}{render}"}) for finding in error.findings
        ) from error


def _meant(remedy: str) -> str:
    """The remedy for a word that was misspelt; what else there is is of no use to whom kustomize builds for."""
    return f"{remedy} Else " if remedy.startswith("did you mean") else ""


def _patched(documents: list[Document], target: OverlayTarget, patch: PatchFile, source: Document) -> list[Document]:
    if not any(map(target.names, documents)):
        raise source.refused("overlay", (), f"the overlay has no {target.kind} {target.name!r} to patch")
    return [_patched_document(found, patch, source) if target.names(found) else found for found in documents]


def _patched_document(document: Document, patch: PatchFile, source: Document) -> Document:
    for index, operation in enumerate(patch.root):
        path = _path(operation.path, document)
        try:
            document = document.replaced(path, operation.value, source.location((index, "value")))
        except KeyError as error:
            raise source.refused("overlay", (index, "path"), f"{operation.path} is not there to be replaced") from error
    return document


def _path(pointer: str, document: Document) -> Path:
    """Path of a JSON pointer (RFC 6901): a number is an index where the document has a list."""
    path: Path = ()
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        path = (*path, int(name) if isinstance(document.value(path), list) and name.isdecimal() else name)
    return path
