"""All that is wrong with a file is said in one round, of whatever kind it is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from tests.workers.scripted_release import request
from tidegate.analysis.conditions import compile_condition
from tidegate.cli.app import run
from tidegate.manifests.documents import Manifests, in_one_round, load, loads
from tidegate.manifests.findings import Finding, ManifestError, errors
from tidegate.manifests.lint import lint
from tidegate.manifests.source import MAX_FAULTS
from workflows.admission import read_manifest

ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: checkout}
spec:
  replica: 3
  replicas: "4"
  minReadySeconds: -1
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: checkout}}
    spec: {containers: [{name: Up_Per, image: "app:1"}]}
  strategy:
    canary:
      stepz: []
      steps: [{setWeight: 120}, {setWeight: "x"}]
"""
TEMPLATE = """\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: rate}
spec:
  metrics:
  - {name: a, provider: {prometheus: {address: "http://p", query: up}}, failureCondition: "result <"}
  - {name: b, provider: {prometheus: {address: "http://p", qwery: up}}}
"""


def judge(manifests: Manifests) -> list[Finding]:
    return lint(manifests, compile_condition=compile_condition)


def found(text: str) -> list[Finding]:
    with pytest.raises(ManifestError) as refused:
        loads(text, "a.yaml")
    return errors(in_one_round(refused.value, judge))


def test_fields_that_do_not_fit_and_rules_that_are_broken_are_said_together() -> None:
    paths = {each.path for each in found(ROLLOUT)}
    assert {"spec.replica", "spec.replicas", "spec.strategy.canary.stepz"} <= paths
    assert "spec.minReadySeconds" in paths
    assert "spec.template.metadata.labels" in paths
    assert "spec.template.spec.containers[0].name" in paths


def test_each_document_of_a_file_is_judged() -> None:
    findings = found(f"{ROLLOUT}---\n{TEMPLATE}---\nkind: Rollout\nkind: Rollout\n")
    assert {"Rollout/checkout", "AnalysisTemplate/rate", ""} == {each.object for each in findings}
    assert any(each.code == "duplicate-key" for each in findings)
    assert any("failureCondition" in each.path for each in findings)


def test_what_stands_before_broken_text_is_judged() -> None:
    findings = found(f"{TEMPLATE}---\nkind: [\n")
    assert any(each.code == "yaml" for each in findings)
    assert any("failureCondition" in each.path for each in findings)


def test_what_stands_behind_broken_text_is_read_and_judged_at_its_lines() -> None:
    text = f"a: [\n---\n{ROLLOUT}--- ]\n---\nkind: 'x\n---\nb: {{c: d]\n--- # the last\n{TEMPLATE}"
    findings = found(text)
    lines = text.splitlines()
    assert [lines[each.line - 1] for each in findings if each.code == "yaml"] == ["---", "--- ]", "---", "b: {c: d]"]
    replica = next(each for each in findings if each.path == "spec.replica")
    condition = next(each for each in findings if "failureCondition" in each.path)
    assert lines[replica.line - 1] == "  replica: 3"
    assert "failureCondition" in lines[condition.line - 1]


def test_a_text_that_is_broken_over_and_over_is_given_up_soon() -> None:
    began = time.process_time()
    with pytest.raises(ManifestError) as refused:
        loads("--- ]\n" * 150_000, "a.yaml")
    assert len(refused.value.findings) == MAX_FAULTS
    assert time.process_time() - began < 5


def test_all_faults_of_a_document_are_said_and_what_is_wrong_beside_them() -> None:
    text = ROLLOUT.replace("  replica: 3\n", "  replicas: 4\n").replace("minReadySeconds: -1", "minReadySeconds: !s -1")
    text = text.replace("stepz: []", 'maxSurge: 1\n      maxSurge: "x"\n      ? [a]\n      : b\n      stepz: .inf')
    findings = found(text)
    by_code: dict[str, set[str]] = {}
    for each in findings:
        by_code.setdefault(each.code, set()).add(each.path)
        assert each.object == "Rollout/checkout"
    assert by_code["duplicate-key"] == {"spec.replicas", "spec.strategy.canary.maxSurge"}
    assert by_code["yaml-tag"] == {"spec.minReadySeconds"}
    assert by_code["yaml"] == {"spec.strategy.canary", "spec.strategy.canary.stepz"}
    assert "spec.template.metadata.labels" in {each.path for each in findings}
    assert not [each for each in findings if each.path == "spec.minReadySeconds" and each.code != "yaml-tag"]


def test_an_anchor_at_fault_is_said_once() -> None:
    text = "kind: Rollout\nmetadata: {name: a}\nx: &x {y: !t 1}\n" + "".join(f"x{n}: *x\n" for n in range(50))
    assert [each.code for each in found(text) if each.code == "yaml-tag"] == ["yaml-tag"]


def test_each_file_of_a_folder_and_each_resource_of_an_overlay_is_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("x: [\n")
    (tmp_path / "c.yaml").write_text(TEMPLATE)
    with pytest.raises(ManifestError) as refused:
        load([tmp_path])
    files = {Path(each.file).name for each in errors(in_one_round(refused.value, judge))}
    assert files == {"a.yaml", "b.yaml", "c.yaml"}
    (tmp_path / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml, b.yaml]\n"
    )
    with pytest.raises(ManifestError) as refused:
        load([tmp_path])
    assert {Path(each.file).name for each in refused.value.findings} == {"a.yaml", "b.yaml"}


def test_nothing_is_said_of_what_follows_from_another_fault() -> None:
    [finding] = found(
        ROLLOUT.replace("  replica: 3\n", "").replace('"4"', "4").split("  minReady")[0] + "  selector: 5\n"
    )[:1]
    assert finding.path == "spec.selector"


def test_lint_and_start_say_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(f"{ROLLOUT}---\n{TEMPLATE}")
    assert run(["lint", "-f", str(file)]) == 5
    linted = capsys.readouterr().out
    assert run(["start", "-f", str(file)]) == 5
    started = capsys.readouterr().err
    for text in (linted, started):
        for path in ("spec.replica:", "spec.minReadySeconds:", "failureCondition:", "qwery:"):
            assert path in text
    with pytest.raises(ManifestError):
        load([file])


def test_the_release_says_all_of_it() -> None:
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "checkout"},
        "spec": {"replica": 3, "minReadySeconds": -1, "strategy": {"canary": {}}},
    }
    with pytest.raises(ApplicationError) as refused:
        read_manifest(request(name="checkout", rollout=document))
    assert "spec.replica: " in refused.value.message
    assert "spec.minReadySeconds: " in refused.value.message
