"""Files into manifests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, JsonValue

from tidegate.manifests.analysis_template import AnalysisTemplate
from tidegate.manifests.decode import decode
from tidegate.manifests.deployment import Deployment
from tidegate.manifests.experiment import Experiment
from tidegate.manifests.findings import Finding, ManifestError, Path, Severity, errors
from tidegate.manifests.kinds import model_for
from tidegate.manifests.limits import excesses
from tidegate.manifests.lists import in_all, unpacked
from tidegate.manifests.model import ObjectMeta
from tidegate.manifests.network import DestinationRule, RouterObject, Service, VirtualService
from tidegate.manifests.overlay import is_overlay, read_overlay
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.source import Document, read_documents, read_file, read_stdin

M = TypeVar("M", bound=BaseModel)

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Loaded(Generic[M]):
    """A manifest: `model` is what Tidegate reads of it, `document` all of it with the place of every field."""

    kind: str
    metadata: ObjectMeta
    model: M
    document: Document

    @property
    def label(self) -> str:
        """Short name such as `Rollout/checkout`."""
        return f"{self.kind}/{self.metadata.name or self.metadata.generate_name}"

    @property
    def raw(self) -> dict[str, JsonValue]:
        """The object as it was written, with the fields that Tidegate does not know."""
        data = self.document.data
        return dict(data) if isinstance(data, dict) else {}

    def finding(
        self, severity: Severity, code: str, path: Path, message: str, *, value: object = None, remedy: str = ""
    ) -> Finding:
        """A finding about one field of this object."""
        return self.document.finding(severity, code, path, message, value=value, remedy=remedy, object=self.label)


@dataclass(frozen=True)
class Manifests:
    """Everything that was read. `notes` names the documents that were left alone."""

    rollouts: tuple[Loaded[Rollout], ...] = ()
    templates: tuple[Loaded[AnalysisTemplate], ...] = ()
    experiments: tuple[Loaded[Experiment], ...] = ()
    services: tuple[Loaded[Service], ...] = ()
    virtual_services: tuple[Loaded[VirtualService], ...] = ()
    destination_rules: tuple[Loaded[DestinationRule], ...] = ()
    routed: tuple[Loaded[RouterObject], ...] = ()
    deployments: tuple[Loaded[Deployment], ...] = ()
    notes: tuple[Finding, ...] = ()

    def rollout(self) -> Loaded[Rollout]:
        """The one Rollout. Raises ManifestError where there is none or more than one."""
        if len(self.rollouts) == 1:
            return self.rollouts[0]
        names = ", ".join(loaded.metadata.name for loaded in self.rollouts)
        message = f"expected one Rollout, found {len(self.rollouts)}{f': {names}' if names else ''}"
        raise ManifestError([Finding(severity=Severity.ERROR, code="one-rollout", message=message)])


def load(paths: Iterable[str | FilePath]) -> Manifests:
    """Manifests from files and folders, `-` being the standard input.

    A folder with a kustomization is read as an overlay (see `overlay`), a list as its items. Raises ManifestError,
    holding every finding, for files that cannot be read, kinds that are unknown and fields that are unknown or of
    another type. Nothing is checked beyond that: `lint` does.
    """
    documents: list[Document] = []
    findings: list[Finding] = []
    for path in paths:
        documents += _readable(partial(_read_path, path), findings)
    return _manifests(documents, findings)


def loads(text: str, file: str = "<text>") -> Manifests:
    """As `load`, for text; `file` is its name in findings."""
    findings: list[Finding] = []
    return _manifests(_readable(lambda: read_documents(text, file), findings), findings)


def from_objects(objects: Iterable[Mapping[str, Any]]) -> Manifests:
    """As `load`, for objects from the cluster or from the wire; findings about them name no file."""
    return _manifests([Document(dict(each)) for each in objects], [])


def _readable(read: Callable[[], list[Document]], findings: list[Finding]) -> list[Document]:
    """The documents that could be read, lists unpacked; what is wrong with the others is added to `findings`."""
    try:
        documents = read()
    except ManifestError as error:
        findings += error.findings
        documents = error.rest if isinstance(error.rest, list) else []
    found: list[Document] = []
    for document in documents:
        try:
            found += unpacked([document])
        except ManifestError as error:
            findings += error.findings
    return found


def _read_path(path: str | FilePath) -> list[Document]:
    return read_stdin() if str(path) == "-" else _read(FilePath(path))


def _read(path: FilePath, within: tuple[FilePath, ...] = ()) -> list[Document]:
    if is_overlay(path):
        return read_overlay(path, _read, within)
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.suffix in SUFFIXES]
        return in_all(files, read_file)
    return in_all([path], read_file)


def _manifests(documents: Sequence[Document], findings: list[Finding]) -> Manifests:
    loaded: list[Loaded[Any]] = []
    notes: list[Finding] = []
    unreadable = _at_fault(findings)
    for document in documents:
        try:
            if model := model_for(document):
                loaded.append(_loaded(document, model))
            else:
                message = "this kind is not read: a release neither needs nor changes such an object"
                kind = document.value(("kind",))
                notes.append(document.finding(Severity.NOTE, "not-read", ("kind",), message, value=kind))
        except ManifestError as error:
            findings.extend(each for each in error.findings if not _follows(each, unreadable))
            loaded += _without_faults(document, error.faults)
    findings.extend(_duplicates(loaded))
    if findings:
        raise ManifestError(findings, rest=_sorted(loaded, notes))
    return _sorted(loaded, notes)


def in_one_round(error: ManifestError, judge: Callable[[Manifests], list[Finding]]) -> list[Finding]:
    """The errors of manifests that could not be read, and those that `judge` finds in the rest of them.

    A field that did not fit has no other finding, nor has one around or below it: that may follow from it.
    """
    if not isinstance(error.rest, Manifests):
        return list(error.findings)
    at_fault = _at_fault(error.findings)
    return [*error.findings, *(each for each in errors(judge(error.rest)) if not _follows(each, at_fault))]


def _at_fault(findings: Iterable[Finding]) -> set[tuple[str, str, str]]:
    return {(each.file, each.object, each.path) for each in findings}


def _follows(finding: Finding, at_fault: Iterable[tuple[str, str, str]]) -> bool:
    """True when it may follow from an unreadable field around it, below it or the same one."""
    return any(
        (file, label) == (finding.file, finding.object)
        and (path.startswith(finding.path) or finding.path.startswith(path))
        for file, label, path in at_fault
    )


def _without_faults(document: Document, faults: Sequence[Path]) -> list[Loaded[Any]]:
    """The object without the fields at fault; nothing where it has none, or is no object without them."""
    if not faults:
        return []
    for path in sorted(faults, key=len, reverse=True):
        document = document.without(path)
    try:
        model = model_for(document)
        return [_loaded(document, model)] if model else []
    except ManifestError:
        return []


def _sorted(loaded: Sequence[Loaded[Any]], notes: Sequence[Finding]) -> Manifests:
    def of(model: type[M]) -> tuple[Loaded[M], ...]:
        return tuple(each for each in loaded if isinstance(each.model, model))

    return Manifests(
        rollouts=of(Rollout),
        templates=of(AnalysisTemplate),
        experiments=of(Experiment),
        services=of(Service),
        virtual_services=of(VirtualService),
        destination_rules=of(DestinationRule),
        routed=of(RouterObject),
        deployments=of(Deployment),
        notes=tuple(notes),
    )


def _loaded(document: Document, model: type[M]) -> Loaded[M]:
    kind, name = str(document.value(("kind",))), document.value(("metadata", "name"))
    label = f"{kind}/{name or ''}"
    data, worked_through = document.data, issubclass(model, Rollout | AnalysisTemplate | Experiment)
    if too_much := list(excesses(data if isinstance(data, dict) else {}, listed=worked_through)):
        raise ManifestError(
            document.finding(Severity.ERROR, "too-much", path, message, remedy=remedy, object=label)
            for path, message, remedy in too_much
        )
    decoded = decode(model, document, label)
    return Loaded(kind, getattr(decoded, "metadata", ObjectMeta()), decoded, document)


def _duplicates(loaded: Sequence[Loaded[Any]]) -> list[Finding]:
    """Objects that are given twice: it is unknown which of them would count."""
    seen: dict[tuple[str, str, str], Loaded[Any]] = {}
    findings = []
    for each in loaded:
        key = (each.kind, each.metadata.namespace, each.metadata.name)
        if each.metadata.name and key in seen:
            first = seen[key].document.location()
            message = f"{each.label} is given twice, first at {first.file}:{first.line}"
            findings.append(each.finding(Severity.ERROR, "duplicate-object", ("metadata", "name"), message))
        seen.setdefault(key, each)
    return findings
