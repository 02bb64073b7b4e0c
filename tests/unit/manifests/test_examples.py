"""The checkout example: verbatim, corrected, and an overlay that is only faster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.manifests.documents import Manifests, load
from tidegate.manifests.durations import parse_duration
from tidegate.manifests.findings import Severity
from tidegate.manifests.lint import lint

ROOT = Path(__file__).parents[3]
CHECKOUT = ROOT / "examples" / "checkout"
BASKET = ROOT / "examples" / "basket"
ORIGINAL = ROOT.parent / "shared" / "seed"
KUBECTL = Path(sys.executable).with_name("kubectl")


def objects(manifests: Manifests) -> dict[tuple[str, str], Any]:
    groups = (manifests.rollouts, manifests.templates, manifests.services, manifests.virtual_services)
    return {(each.kind, each.metadata.name): each.raw for group in groups for each in group}


def codes(folder: Path, severity: Severity) -> set[str]:
    return {finding.code for finding in lint(load([folder])) if finding.severity is severity}


@pytest.mark.skipif(not ORIGINAL.is_dir(), reason="no ../shared/seed here")
def test_the_originals_are_verbatim() -> None:
    for original in (path for path in ORIGINAL.iterdir() if path.suffix in (".yaml", ".yml")):
        [copy] = [path for path in (CHECKOUT / original.name, CHECKOUT / "ci" / original.name) if path.exists()]
        assert copy.read_bytes() == original.read_bytes()


def test_the_originals_are_accepted_and_every_trap_in_them_is_explained() -> None:
    assert not codes(CHECKOUT, Severity.ERROR)
    assert codes(CHECKOUT, Severity.WARNING) == {
        "background-ends",
        "hash-from-rollout-label",
        "inconclusive-band",
        "seconds-as-milliseconds",
        "unwatched-weight",
    }
    assert codes(CHECKOUT, Severity.NOTE) == {"ratio-of-counters", "service-selector"}


@pytest.mark.parametrize("folder", [CHECKOUT / "corrected", CHECKOUT / "fast", BASKET], ids=lambda folder: folder.name)
def test_the_corrected_ones_step_into_no_trap(folder: Path) -> None:
    findings = lint(load([folder]), complete=True)
    assert not [finding for finding in findings if finding.severity is not Severity.NOTE]


def test_kubectl_renders_the_overlay_as_it_is_loaded_here() -> None:
    rendered = subprocess.run([KUBECTL, "kustomize", CHECKOUT / "fast"], capture_output=True, check=True, text=True)
    expected = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(rendered.stdout)}
    assert objects(load([CHECKOUT / "fast"])) == expected


def test_the_overlay_changes_times_only_and_shortens_them() -> None:
    corrected, fast = objects(load([CHECKOUT / "corrected"])), objects(load([CHECKOUT / "fast"]))
    changed = dict(differences(corrected, fast))
    assert {path[-1] for path in changed} == {
        "duration",
        "scaleDownDelaySeconds",
        "abortScaleDownDelaySeconds",
        "initialDelay",
        "interval",
    }
    assert all(seconds(new) < seconds(old) for old, new in changed.values())


def test_an_overlay_says_where_a_value_comes_from() -> None:
    rollout = load([CHECKOUT / "fast"]).rollout().document
    assert rollout.location(("spec", "strategy", "canary", "steps", 1, "pause", "duration")).file.endswith(
        "rollout-patch.yaml"
    )
    assert rollout.location(("spec", "replicas")).file.endswith("corrected/rollout.yaml")


def seconds(value: str | int) -> float:
    return float(value) if isinstance(value, int) else parse_duration(value).total_seconds()


def differences(old: Any, new: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], tuple[Any, Any]]]:
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        return [found for key in old for found in differences(old[key], new[key], (*path, key))]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [found for index in range(len(old)) for found in differences(old[index], new[index], (*path, index))]
    return [] if old == new else [(path, (old, new))]
