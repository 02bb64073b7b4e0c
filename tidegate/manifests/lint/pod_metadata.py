"""Metadata of the pods of each role: what Kubernetes would refuse on a pod, or what would not come back."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.labels import key_problems, value_problems
from tidegate.manifests.network import HASH_LABEL
from tidegate.manifests.pod_template.check import template_labels
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.steps import PodTemplateMetadata

CODE = "pod-metadata"


def pod_metadata_findings(rollout: Loaded[Rollout]) -> Iterator[Finding]:
    """Errors and surprises in the metadata of each role."""
    for path, metadata in _given(rollout.model):
        if metadata is not None:
            yield from _syntax(rollout, metadata, path)
            yield from _selection(rollout, metadata, path)
            yield from _replaced(rollout, metadata, path)


def _given(rollout: Rollout) -> Iterator[tuple[Path, PodTemplateMetadata | None]]:
    canary, blue_green = rollout.spec.strategy.canary, rollout.spec.strategy.blue_green
    if canary is not None:
        yield ("spec", "strategy", "canary", "canaryMetadata"), canary.canary_metadata
        yield ("spec", "strategy", "canary", "stableMetadata"), canary.stable_metadata
    if blue_green is not None:
        yield ("spec", "strategy", "blueGreen", "previewMetadata"), blue_green.preview_metadata
        yield ("spec", "strategy", "blueGreen", "activeMetadata"), blue_green.active_metadata


def _syntax(rollout: Loaded[Rollout], metadata: PodTemplateMetadata, path: Path) -> Iterator[Finding]:
    for section, given in (("labels", metadata.labels), ("annotations", metadata.annotations)):
        for key, value in given.items():
            at = (*path, section, key)
            for problem in key_problems(key):
                yield rollout.finding(Severity.ERROR, CODE, at, problem, value=key)
            for problem in value_problems(value) if section == "labels" else ():
                yield rollout.finding(Severity.ERROR, CODE, at, problem, value=value)


def _selection(rollout: Loaded[Rollout], metadata: PodTemplateMetadata, path: Path) -> Iterator[Finding]:
    """A ReplicaSet whose selector does not find its own pods is refused, and pods that leave it are made once more."""
    spec = rollout.model.spec
    labels = {**template_labels(spec.template), **metadata.labels}
    lost = spec.selector is not None and not spec.leaves_template_open and not spec.selector.matches(labels)
    if HASH_LABEL in metadata.labels or lost:
        message = "with these labels pods would not belong to their ReplicaSet any more"
        remedy = f"use labels that are neither in spec.selector nor {HASH_LABEL}"
        yield rollout.finding(Severity.ERROR, CODE, (*path, "labels"), message, remedy=remedy)


def _replaced(rollout: Loaded[Rollout], metadata: PodTemplateMetadata, path: Path) -> Iterator[Finding]:
    """Metadata of the template that a role overrides: it is removed with the role, as in Argo."""
    own = rollout.model.spec.template.get("metadata")
    for section, given in (("labels", metadata.labels), ("annotations", metadata.annotations)):
        there = own.get(section) if isinstance(own, dict) else None
        for key in given:
            if isinstance(there, dict) and key in there:
                message = f"the pod template has this one of its {section}, too, and loses it when the role ends"
                remedy = "remove it from the pod template, or give the other role one as well"
                yield rollout.finding(Severity.WARNING, CODE, (*path, section, key), message, remedy=remedy)
