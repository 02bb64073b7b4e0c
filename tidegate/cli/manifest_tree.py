"""Folders of manifests as parts that belong together: an overlay, a folder, or single files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tidegate.manifests.documents import SUFFIXES, Manifests, load
from tidegate.manifests.findings import Finding, ManifestError
from tidegate.manifests.kinds import ARGO_GROUP
from tidegate.manifests.overlay import is_overlay

Part = tuple[Manifests, tuple[Finding, ...]]


def parts(paths: Sequence[Path]) -> Iterator[Part]:
    """Yield the manifests of each part, with the errors of what could not be read.

    A folder is read with all folders below it. Files that do not name the group of Argo Rollouts are passed over where
    they cannot be read: a repository holds other YAML, too.
    """
    for path in paths:
        if str(path) == "-" or not path.is_dir():
            yield _read([path])
        else:
            for folder in (path, *sorted(each for each in path.rglob("*") if each.is_dir())):
                yield from _folder(folder)


def _folder(folder: Path) -> Iterator[Part]:
    """Yield a folder as one part; file by file where two of them hold the same object."""
    if is_overlay(folder):
        yield _read([folder])
        return
    files = [file for file in sorted(folder.iterdir()) if file.suffix in SUFFIXES and _is_meant(file)]
    whole = _read(files)
    if any(each.code == "duplicate-object" for each in whole[1]):
        yield from (_read([file]) for file in files)
    elif files:
        yield whole


def _is_meant(file: Path) -> bool:
    """True for a file that is about Argo Rollouts, or that can be read."""
    if ARGO_GROUP.encode() in file.read_bytes():
        return True
    return not _read([file])[1]


def _read(paths: Sequence[Path]) -> Part:
    try:
        return load(paths), ()
    except ManifestError as error:
        return error.rest if isinstance(error.rest, Manifests) else Manifests(), error.findings
