"""Each single example, played in virtual time: a good version comes to its end, with a person where it asks for one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml

from activities.kubernetes.replica_sets import hash_of
from sandbox.kubernetes_api.kinds import ROLLOUTS
from tests.virtual.cluster import NAMESPACE, tag_of
from tests.virtual.life import Life
from tests.virtual.simulation import Simulation
from tests.virtual.stage import in_virtual_time
from tests.virtual.temporal.chances import Chances
from tidegate.analysis.reading import Reading
from tidegate.contract import Document
from tidegate.manifests.documents import load
from tidegate.manifests.findings import Severity
from tidegate.manifests.lint import lint

SINGLE = Path(__file__).parents[2] / "examples" / "single"
GUARD = SINGLE / "http-errors.yaml"
FILES = sorted(path for path in SINGLE.glob("*.yaml") if path != GUARD)
NEVER_PLAYED = {
    "job-gate.yaml": "the double of metrics runs no Job: tests/workflows/test_analysis_jobs.py",
    "when-proven.yaml": "a comparison needs counts of requests: tests/workflows/test_proven.py",
    "workload-ref.yaml": "a new version is one of the Deployment: tests/workflows/test_workload.py",
}
BESIDE = ("Rollout", "HorizontalPodAutoscaler")  # the first one comes last, the other one is nobody's here
ANSWERS: dict[str, Any] = {
    "datadog": 0.001,
    "prometheus": [0.001],
    "quotes-health": {"ok": True, "lag": 1},
    "health": {"ok": True, "lag": 1},
    "differences": 0,
    "selftest": "ok",
}


def measured(_: str, metric: Mapping[str, Any], now: datetime) -> Reading:
    """The answer of a provider about a good version."""
    [provider] = metric["provider"]
    result = ANSWERS.get(metric["name"], ANSWERS.get(provider))
    return Reading(metric=metric["name"], result=result, started_at=now, finished_at=now)


def here(found: Document) -> Document:
    """The same object in the namespace of the world."""
    return found | {"metadata": found["metadata"] | {"namespace": NAMESPACE}}


async def played(objects: list[Document]) -> tuple[Document, str]:
    """The status two hours after version v2 came, and the version that is stable; a person promotes what waits."""
    [rollout] = [here(found) for found in objects if found["kind"] == "Rollout"]
    life = Life(Chances(0), measured, ready_after=5)
    try:
        life.cluster.apply(*(here(each) for each in objects if each["kind"] not in BESIDE))
        simulation = Simulation(life, rollout)
        rollout["spec"].setdefault("replicas", 4)  # the autoscaler's part
        await simulation.play([{"at": 60, "set_image": "v2"}, {"at": 2400, "promote": True}], 7800)
        found = life.cluster.find(ROLLOUTS, rollout["metadata"]["name"])
        assert found is not None
        assert not life.temporal.troubles
        versions = {hash_of(each): tag_of(each) for each in life.cluster.replica_sets()}
        return found["status"], versions[found["status"]["stableRS"]]
    finally:
        await life.close()


def test_the_folder_steps_into_no_trap() -> None:
    findings = lint(load([SINGLE]))
    assert [str(finding) for finding in findings if finding.severity is not Severity.NOTE] == []


def test_the_page_lists_each_file_in_its_own_words() -> None:
    rows = [row for row in (SINGLE.parent / "README.md").read_text("utf-8").splitlines() if row.startswith("| `")]
    assert {f"| `{path.name}` | {comment_of(path)} |" for path in SINGLE.glob("*.yaml")} <= set(rows)


def comment_of(file: Path) -> str:
    lines = takewhile(lambda line: line.startswith("# "), file.read_text("utf-8").splitlines())
    return " ".join(line.removeprefix("# ") for line in lines)


@pytest.mark.parametrize("file", [path for path in FILES if path.name not in NEVER_PLAYED], ids=lambda path: path.stem)
@in_virtual_time
async def test_a_good_version_comes_to_its_end(file: Path) -> None:
    objects = [found for path in (file, GUARD) for found in yaml.safe_load_all(path.read_text("utf-8"))]
    status, stable = await played(objects)
    assert (status["phase"], stable) == ("Healthy", "v2")
    assert str(status.get("currentStepIndex", "")) == str(steps_of(objects))


def steps_of(objects: list[Document]) -> int | str:
    """The number of the steps of the Rollout; nothing where it has none."""
    [strategy] = [found["spec"]["strategy"] for found in objects if found["kind"] == "Rollout"]
    return len(strategy["canary"]["steps"]) if "canary" in strategy else ""
