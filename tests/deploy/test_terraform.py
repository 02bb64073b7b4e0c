"""deploy/terraform/: formatted, each argument known, and what needs no provider tested by Terraform itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from tests.deploy.manifests import DEPLOY, SCHEMAS

TERRAFORM = DEPLOY / "terraform"
ARGUMENTS = json.loads((SCHEMAS / "terraform.json").read_text())
META = {"for_each", "count", "depends_on", "lifecycle", "provider"}
needs_terraform = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")


def parsed(file: Path) -> dict[str, Any]:
    with file.open() as text:
        return dict(hcl2.load(text))


def plain(name: str) -> str:
    return name.strip('"')


def resources(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (plain(kind), plain(name), body)
        for block in document.get("resource", [])
        for kind, named in block.items()
        for name, body in named.items()
    ]


def complaints(kind: str, body: dict[str, Any]) -> list[str]:
    given = {plain(key) for key in body if not key.startswith("__")} - META
    known = ARGUMENTS[kind]
    unknown = given - set(known["required"]) - set(known["optional"])
    missing = set(known["required"]) - given
    return [*(f"{kind}: unknown {name}" for name in unknown), *(f"{kind}: missing {name}" for name in missing)]


def test_each_resource_has_its_arguments_and_no_other() -> None:
    found = resources(parsed(TERRAFORM / "main.tf"))
    assert len(found) > 8
    assert [complaint for kind, _, body in found for complaint in complaints(kind, body)] == []


def test_an_argument_too_many_or_too_few_is_found() -> None:
    assert complaints("vault_policy", {"name": "a", "polciy": "b"}) == [
        "vault_policy: unknown polciy",
        "vault_policy: missing policy",
    ]


def test_versions_are_pinned_and_the_charts_are_those_that_the_values_are_for() -> None:
    variables = {
        plain(name): body for block in parsed(TERRAFORM / "variables.tf")["variable"] for name, body in block.items()
    }
    assert all("description" in body and "type" in body for body in variables.values())
    chart = plain(variables["temporal_chart_version"]["default"])
    assert chart in (DEPLOY / "temporal" / "values.yaml").read_text()
    for kind, name, body in resources(parsed(TERRAFORM / "main.tf")):
        assert kind != "helm_release" or "version" in body, name


def test_the_groups_are_those_of_the_table_of_access() -> None:
    table = (DEPLOY / "temporal" / "access.md").read_text()
    outputs = {
        plain(n): body for block in parsed(TERRAFORM / "inputs" / "main.tf")["output"] for n, body in block.items()
    }
    for group in outputs["groups"]["value"]:
        assert f"`{plain(group)}`" in table


@needs_terraform
def test_it_is_formatted() -> None:
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", "-diff", str(TERRAFORM)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@needs_terraform
def test_terraforms_own_tests_pass(tmp_path: Path) -> None:
    copy = tmp_path / "deploy"
    for name in ("terraform", "vault", "temporal", "argocd"):
        shutil.copytree(DEPLOY / name, copy / name, ignore=shutil.ignore_patterns(".terraform*"))
    env = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    for command in (["init", "-backend=false", "-input=false"], ["validate"], ["test"]):
        done = subprocess.run(
            ["terraform", *command, "-no-color"],
            cwd=copy / "terraform" / "inputs",
            capture_output=True,
            text=True,
            env=env,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout


def test_argo_cds_files_can_be_split_as_terraform_splits_them() -> None:
    for name in ("project.yaml", "applications.yaml"):
        for text in (DEPLOY / "argocd" / name).read_text().split("\n---\n"):
            assert isinstance(yaml.safe_load(text), dict)
