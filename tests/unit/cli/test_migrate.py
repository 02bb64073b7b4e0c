"""`tidegate migrate` over folders, and over a cluster by kubectl.

`TIDEGATE_WRITE_SNAPSHOTS=1 pytest tests/unit/cli/test_migrate.py` writes the numbers of the page anew.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from tests.unit.manifests.test_migration import rollout
from tidegate.cli.app import run
from tidegate.cli.manifest_tree import parts
from tidegate.cli.migrate import counts
from tidegate.client.manifest_files import findings_of
from tidegate.manifests.migration import assess

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "migrate-from-argo-rollouts.md"
SHARED = ROOT.parent / "shared"
COUNTED = {
    "Argo Rollouts' examples, documents and tests": SHARED / "argo-manifests",
    "files with faults": SHARED / "found" / "wild-cases",
}

Tidegate = Callable[..., int]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def write(folder: Path, name: str, *objects: Any) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump_all(objects))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "manifests"
    write(found, "web/rollout.yaml", rollout())
    write(found, "cart/rollout.yaml", rollout(metadata={"name": "cart"}, maxSurge=0))
    write(found, "cart/values.yaml", {"replicas": 3})  # of something else
    write(found, "old/rollout.yml", rollout(metadata={"name": "old"}, trafficRouting={"smi": {}}))
    return found


def test_each_rollout_below_a_folder_has_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "-f", str(folder)]) == 5
    out = capsys.readouterr().out
    assert re.search(r"payments/web +goes as it is +\S+/web/rollout\.yaml:1", out)
    assert re.search(r"payments/cart +differs here", out)
    assert re.search(r"payments/old +is refused", out)
    assert "Argo Rollouts: Without a router, a weight of which half a pod" in out
    assert "Tidegate:      where no surge is allowed" in out
    assert "trafficRouting.smi" in out
    assert out.splitlines()[-1] == "Rollouts: 3 (1 as it is, 1 differs, 1 refused)"


def test_what_goes_is_0_and_json_has_all_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "-f", str(folder / "cart"), "-f", str(folder / "web"), "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["kind"]) == (1, "Migration")
    assert document["counts"] == {"as it is": 1, "differs": 1, "refused": 0}
    assert [each["name"] for each in document["items"]] == ["cart", "web"]
    assert document["items"][0]["differences"][0]["locations"] == ["spec.strategy.canary.maxSurge"]


def test_the_same_name_in_two_files_of_a_folder_is_two_rollouts(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", rollout())
    write(tmp_path, "b.yaml", rollout(maxSurge=0))
    found = [each for part in parts([tmp_path]) for each in assess(part[0], findings_of, part[1]).rollouts]
    assert counts(found) == {"as it is": 1, "differs": 1, "refused": 0}


def test_a_file_about_argo_rollouts_that_cannot_be_read_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "web" / "chart.yaml").write_text("apiVersion: argoproj.io/v1alpha1\nkind: {{ .Values.kind }}\n")
    assert run(["migrate", "-f", str(folder / "web")]) == 5
    assert re.search(r"not read: \S+/chart\.yaml:2", capsys.readouterr().out)


def test_a_folder_without_a_rollout_is_7(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "-f", str(tmp_path)]) == 7
    assert "there is no Rollout" in capsys.readouterr().err


KUBECTL = """#!/bin/sh
echo "$@" >>"{folder}/calls"
case $1 in
  api-resources) cat "{folder}/served" ;;
  get) cat "{folder}/objects" ;;
esac
exit "$(cat "{folder}/code" 2>/dev/null || echo 0)"
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a stand-in for kubectl finds what it answers, and notes how it was called."""
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL.format(folder=tmp_path))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    live = rollout(metadata={"managedFields": [{"manager": "rollouts-controller"}], "uid": "7"})
    status = {"phase": "Paused", "stableRS": "a", "currentPodHash": "b", "currentStepIndex": 1}
    (tmp_path / "served").write_text("services\nrollouts.argoproj.io\nanalysistemplates.argoproj.io\npods\n")
    (tmp_path / "objects").write_text(json.dumps({"kind": "List", "items": [{**live, "status": status}]}))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_cluster_is_read_by_kubectl(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "-A", "--context", "prod"]) == 0
    assert re.search(r"payments/web +goes as it is +Paused, step 2 of 2", capsys.readouterr().out)
    assert (cluster / "calls").read_text().splitlines() == [
        "api-resources --output=name --context=prod",
        "get rollouts.argoproj.io,analysistemplates.argoproj.io,services --output=json --all-namespaces --context=prod",
    ]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [("served", "pods\n", "the cluster serves no rollouts.argoproj.io"), ("code", "1", "kubectl api-resources")],
)
def test_a_cluster_that_cannot_be_read_is_5(
    cluster: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, said: str
) -> None:
    (cluster / file).write_text(text)
    assert run(["migrate", "-n", "payments"]) == 5
    assert said in capsys.readouterr().err


def test_without_kubectl_the_remedy_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["migrate"]) == 5
    assert "give manifests with -f" in capsys.readouterr().err


@pytest.mark.parametrize("name", COUNTED)
def test_the_page_counts_what_there_is(name: str) -> None:
    folder = COUNTED[name]
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    found = [each for part in parts([folder]) for each in assess(part[0], findings_of, part[1]).rollouts]
    wanted = f"| {name} | {' | '.join(map(str, [len(found), *counts(found).values()]))} |"
    if os.environ.get("TIDEGATE_WRITE_SNAPSHOTS"):
        PAGE.write_text(re.sub(rf"^\| {name} \|.*$", wanted, PAGE.read_text(), flags=re.MULTILINE))
    assert wanted in PAGE.read_text().splitlines()
