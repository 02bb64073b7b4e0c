"""Overlays: only what is understood is done, and everything else is refused by its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.manifests.documents import load
from tidegate.manifests.findings import ManifestError

SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: web, labels: {a/b: x}}, spec: {ports: [{port: 80}]}}"
HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [service.yaml]\n"
PATCHES = "patches: [{target: {kind: Service, name: web}, path: patch.yaml}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.yaml").write_text(SERVICE)
    (tmp_path / "kustomization.yaml").write_text(HEAD + PATCHES)
    (tmp_path / "patch.yaml").write_text("- {op: replace, path: /spec/ports/0/port, value: 8080}")
    return tmp_path


def test_replaces_by_json_pointer(folder: Path) -> None:
    (folder / "patch.yaml").write_text(
        "- {op: replace, path: /spec/ports/0/port, value: 8080}\n"
        "- {op: replace, path: /metadata/labels/a~1b, value: z}\n"
    )
    [service] = load([folder]).services
    assert service.document.value(("spec", "ports", 0, "port")) == 8080
    assert service.metadata.labels == {"a/b": "z"}


def test_an_overlay_of_an_overlay_is_read(folder: Path) -> None:
    (folder / "above").mkdir()
    (folder / "above" / "kustomization.yaml").write_text(HEAD.replace("service.yaml", ".."))
    [service] = load([folder / "above" / "kustomization.yaml"]).services
    assert service.document.value(("spec", "ports", 0, "port")) == 8080


@pytest.mark.parametrize("name", ["kustomization.yml", "Kustomization"])
def test_kustomize_has_three_names_for_its_file(folder: Path, name: str) -> None:
    (folder / "kustomization.yaml").rename(folder / name)
    for path in (folder, folder / name):
        [service] = load([path]).services
        assert service.document.value(("spec", "ports", 0, "port")) == 8080


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("kustomization.yaml", HEAD + "namespace: shop\n"),
        ("kustomization.yaml", HEAD + "images: [{name: shop, newTag: '2'}]\n"),
        ("kustomization.yaml", HEAD + "patches: [{target: {kind: Service, name: web}, patch: '- {}'}]\n"),
        ("kustomization.yaml", HEAD + "resource: [x.yaml]\n"),
        ("patch.yaml", "- {op: add, path: /spec/x, value: 1}"),
        ("patch.yaml", "{apiVersion: v1, kind: Service, metadata: {name: web}}"),
    ],
)
def test_what_is_not_understood_names_who_understands_it(folder: Path, file: str, content: str) -> None:
    (folder / file).write_text(content)
    with pytest.raises(ManifestError) as caught:
        load([folder])
    assert caught.value.findings
    for finding in caught.value.findings:
        assert f"kubectl kustomize {folder} | tidegate lint -f -" in finding.remedy


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("patch.yaml", "- {op: add, path: /spec/x, value: 1}", "replace"),
        ("patch.yaml", "- {op: replace, path: /spec/x, value: 1}", "not there to be replaced"),
        ("patch.yaml", "- {op: replace, path: /spec/ports/1/port, value: 1}", "not there to be replaced"),
        ("patch.yaml", "{op: replace}", "must be a list"),
        ("kustomization.yaml", HEAD + PATCHES.replace("web", "wob"), "no Service 'wob' to patch"),
        ("kustomization.yaml", HEAD + "namePrefix: x-", "unknown field"),
        ("kustomization.yaml", HEAD.replace("service.yaml", "."), "part of itself"),
        ("kustomization.yaml", HEAD.replace("service.yaml", "gone.yaml"), "No such file"),
        ("kustomization.yaml", f"{HEAD}---\n{HEAD}", "one object is expected"),
        ("kustomization.yaml", "", "Field required"),
        ("kustomization.yaml", HEAD.replace("service.yaml", "https://example.com/base"), "kubectl kustomize"),
    ],
)
def test_refuses_what_it_does_not_understand(folder: Path, file: str, content: str, message: str) -> None:
    (folder / file).write_text(content)
    with pytest.raises(ManifestError, match=message):
        load([folder])
