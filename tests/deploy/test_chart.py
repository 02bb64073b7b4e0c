"""The Helm chart: written from the overlays, and rendered by helm into the same objects."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHART, HASHED, TEMPLATES, files, identity, overlay
from tests.deploy.manifests import Object, problems

ELSEWHERE = {
    "releasePlane.enabled": "false",
    "cluster.name": "prod-eu",
    "temporal.address": "temporal.internal:7233",
    "temporal.serverName": "temporal.internal",
    "temporal.cidr": "10.20.0.20/32",
}
# Overlay -> what is set for it.
CHOICES: dict[str, dict[str, str]] = {
    "single-cluster": {},
    "single-cluster-encrypted": {"encryption.enabled": "true"},
    "single-cluster-injected": {"codec.injector": "true"},
    "single-cluster-without-vault": {"vault.enabled": "false"},
    "single-cluster-beside-argo": {"besideArgo.enabled": "true"},
    "single-cluster-web": {"page.enabled": "true"},
    "release-plane": {"cluster.enabled": "false"},
    "per-cluster-worker": ELSEWHERE,
}
HASHED_HERE = re.compile(r"^(tidegate-(?:temporal|cluster))-[0-9a-f]{10}$")


@pytest.fixture(scope="module")
def helm() -> str:
    program = shutil.which("helm")
    if program is None:
        pytest.skip("helm is not on the path")
    return program


def rendered(helm: str, *options: str) -> list[Object]:
    command = [
        helm,
        "template",
        "tidegate",
        str(CHART),
        "--namespace",
        "tidegate",
        "--kube-version",
        "1.36.0",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if each]


def chosen(choices: dict[str, str]) -> list[str]:
    return [option for name, value in choices.items() for option in ("--set", f"{name}={value}")]


def plain(value: Any) -> Any:
    """An object without what a generator adds to names, its texts of JSON and YAML read, what has names by name."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted(map(plain, value), key=lambda each: each.get("name", "") if isinstance(each, dict) else "")
    if isinstance(value, str):
        for hashed in (HASHED, HASHED_HERE):
            if found := hashed.match(value):
                return found[1]
        if value.startswith("{\n"):
            return json.loads(value)
        return yaml.safe_load(value) if "callers:\n" in value else value
    return value


def by_identity(objects: list[Object]) -> dict[tuple[str, ...], Any]:
    return {identity(each): each for each in map(plain, objects)}


def test_the_templates_are_written_from_the_overlays() -> None:
    assert files() == {file.name: file.read_text() for file in TEMPLATES.glob("*.yaml")}


def test_the_versions_are_those_of_the_package() -> None:
    chart, values = (yaml.safe_load((CHART / name).read_text()) for name in ("Chart.yaml", "values.yaml"))
    project = (CHART.parents[2] / "pyproject.toml").read_text()
    assert {f'version = "{chart[name]}"' in project for name in ("version", "appVersion")} == {True}
    assert values["image"]["tag"] == chart["appVersion"]


@pytest.mark.parametrize("name", CHOICES)
def test_a_rendering_is_that_of_the_overlay(helm: str, name: str) -> None:
    found, wanted = by_identity(rendered(helm, *chosen(CHOICES[name]))), by_identity(list(overlay(name).values()))
    assert found.keys() == wanted.keys()
    for own, each in wanted.items():
        assert found[own] == each, own


def test_a_rendering_is_valid_for_each_supported_version(helm: str) -> None:
    assert [problem for obj in rendered(helm) for problem in problems(obj)] == []


def test_no_address_is_left_but_those_of_the_values(helm: str, tmp_path: Path) -> None:
    values = (CHART / "values.yaml").read_text()
    file = tmp_path / "values.yaml"
    file.write_text(re.sub(r"\b(\w+)\.internal\b", r"\1.example.com", values).replace("10.", "192."))
    objects = rendered(helm, "--values", str(file), "--set", "teams={orders,carts}")
    text = json.dumps(objects)
    assert re.findall(r"[\w.-]+\.internal\b|\b10\.\d+\.\d+\.\d+", text) == []
    namespaces = {each["metadata"].get("namespace") for each in objects if each["kind"] == "RoleBinding"}
    assert namespaces == {"orders", "carts"}


def test_a_changed_setting_is_another_name_so_that_pods_begin_anew(helm: str) -> None:
    names = {
        each["metadata"]["name"]
        for cluster in ("one", "two")
        for each in rendered(helm, "--set", f"cluster.name={cluster}")
        if each["kind"] == "ConfigMap" and HASHED_HERE.match(each["metadata"]["name"])
    }
    assert len(names) == 4


def test_helm_lint_finds_nothing(helm: str) -> None:
    done = subprocess.run([helm, "lint", "--strict", str(CHART)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout
