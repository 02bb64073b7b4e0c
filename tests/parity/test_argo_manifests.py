"""Argo's own verdicts on the manifests of its repository, two of which stand in tests/data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.manifests.documents import load
from tidegate.manifests.findings import Severity
from tidegate.manifests.lint import lint
from tidegate.manifests.support import CODE as UNSUPPORTED

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "manifests"
MORE_MANIFESTS = ROOT.parent / "shared" / "argo-manifests"
# What Argo's lint looks at; the other findings are Tidegate's own.
LEFT_OUT = {"not supported by Tidegate: ping-pong"}  # of what these manifests ask for
ARGO_CODES = {"invalid", "reference", "pod-template"}


def manifests() -> Iterator[Any]:
    yield pytest.param(DATA / "argo" / "istio-subset-split.yaml", True, id="istio-subset-split")
    yield pytest.param(DATA / "argo" / "malformed-rollout.yaml", False, id="malformed-rollout")
    index = MORE_MANIFESTS / "index.yaml"
    entries = yaml.load(index.read_text(), Loader=yaml.CSafeLoader)["manifests"] if index.is_file() else []
    for entry in entries:
        accepted = entry["argo_lint"].startswith("accept")
        yield pytest.param(MORE_MANIFESTS / entry["path"], accepted, id=entry["path"])
    if not entries:
        yield pytest.param(index, True, id="index", marks=pytest.mark.skip(reason="no ../shared/argo-manifests here"))


@pytest.mark.parametrize(("path", "accepted"), list(manifests()))
def test_a_manifest_of_argos_repository_gets_argos_verdict(path: Path, accepted: bool) -> None:
    found = [each for each in lint(load([path])) if each.severity is Severity.ERROR]
    assert (not [each for each in found if each.code in ARGO_CODES]) == accepted, found
    assert {each.message for each in found if each.code == UNSUPPORTED} <= LEFT_OUT
    assert not accepted or {each.code for each in found} <= {UNSUPPORTED}
