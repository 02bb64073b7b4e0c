"""deploy/argocd/: what may be synced, what is no drift, and that a bad manifest stops before the cluster."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

from tests.deploy.argocd import ARGOCD, compared, health
from tests.deploy.manifests import ROOT, Object, documents, of_kind, problems, render
from tests.deploy.test_kustomize import violations

CHECKOUT = ROOT / "examples" / "checkout" / "corrected"
TIDEGATE = Path(sysconfig.get_path("scripts")) / "tidegate"
FILES = ("rollout.yaml", "analysis-template.yaml", "background-template.yaml")


def test_every_object_is_valid() -> None:
    for name in ("project.yaml", "applications.yaml", "argocd-cm.yaml"):
        assert [problem for obj in documents(ARGOCD / name) for problem in problems(obj)] == []


def test_an_application_stays_in_its_project() -> None:
    projects = {obj["metadata"]["name"]: obj["spec"] for obj in documents(ARGOCD / "project.yaml")}
    for application in documents(ARGOCD / "applications.yaml"):
        spec = application["spec"]
        project = projects[spec["project"]]
        assert spec["source"]["repoURL"] in project["sourceRepos"]
        assert spec["destination"] in project["destinations"]
        if spec["source"]["repoURL"].endswith("tidegate.git"):
            assert (ROOT / spec["source"]["path"]).is_dir()
    for project in projects.values():
        assert "*" not in str(project["clusterResourceWhitelist"]) + str(project["sourceRepos"])


def test_what_tidegate_is_made_of_may_be_synced() -> None:
    (project,) = [obj for obj in documents(ARGOCD / "project.yaml") if obj["metadata"]["name"] == "platform"]
    allowed = {each["kind"] for each in project["spec"]["clusterResourceWhitelist"]}
    objects = render(ROOT / "deploy" / "kustomize" / "overlays" / "single-cluster")
    at_cluster_scope = {obj["kind"] for obj in objects if "namespace" not in obj["metadata"]}
    assert at_cluster_scope <= allowed


def test_the_text_in_the_configmap_is_that_of_the_file() -> None:
    (config,) = documents(ARGOCD / "argocd-cm.yaml")
    (text,) = config["data"].values()
    assert text == (ARGOCD / "health.lua").read_text()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, "Progressing"),
        ({}, "Progressing"),
        ({"phase": "Healthy", "observedGeneration": "2"}, "Progressing"),
        ({"phase": "Healthy", "observedGeneration": "3"}, "Healthy"),
        ({"phase": "Paused", "observedGeneration": "3"}, "Suspended"),
        ({"phase": "Degraded", "observedGeneration": "3", "message": "RolloutAborted"}, "Degraded"),
        ({"phase": "Unheard of", "observedGeneration": "3"}, "Unknown"),
    ],
)
def test_health_is_what_the_release_says(status: Object | None, expected: str) -> None:
    obj = {"metadata": {"generation": 3}} | ({"status": status} if status is not None else {})
    assert health(obj)[0] == expected


def virtual_service() -> Object:
    (found,) = of_kind(documents(CHECKOUT.parent / "services-and-virtualservice.yaml"), "VirtualService")
    return found


def test_what_a_release_writes_is_no_drift() -> None:
    before = virtual_service()
    after = copy.deepcopy(before)
    (route,) = after["spec"]["http"]
    route["route"][0]["weight"], route["route"][1]["weight"] = 75, 25
    after["spec"]["http"].insert(
        0, {"name": "canary-header", "match": [{"headers": {"x": {"exact": "y"}}}], "route": []}
    )
    assert compared(before) == compared(after)
    service = {"apiVersion": "v1", "kind": "Service", "spec": {"selector": {"app": "checkout"}}}
    chosen = copy.deepcopy(service)
    chosen["spec"]["selector"]["rollouts-pod-template-hash"] = "7d9c"
    assert compared(service) == compared(chosen)
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "spec": {"host": "checkout", "subsets": [{"name": "canary", "labels": {"app": "checkout"}}]},
    }
    labelled = copy.deepcopy(rule)
    labelled["spec"]["subsets"][0]["labels"]["rollouts-pod-template-hash"] = "7d9c"
    assert compared(rule) == compared(labelled)


def test_what_a_person_changes_is() -> None:
    before = virtual_service()
    for change in (
        lambda spec: spec["hosts"].append("another"),
        lambda spec: spec["http"][0]["route"][1]["destination"].update(host="elsewhere"),
        lambda spec: spec["http"].append({"name": "mine", "route": []}),
    ):
        after = copy.deepcopy(before)
        change(after["spec"])
        assert compared(before) != compared(after)


def config_repository(folder: Path, edit: dict[str, str]) -> list[Object]:
    """A team's folder with the component in it, as Argo CD renders it."""
    for name in FILES:
        text = (CHECKOUT / name).read_text()
        for old, new in edit.items():
            text = text.replace(old, new)
        (folder / name).write_text(text)
    shutil.copytree(ARGOCD / "presync-lint", folder / "presync-lint")
    hook = {"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/sync-wave": "-2"}
    generated = {"name": "tidegate-lint", "files": list(FILES), "options": {"annotations": hook}}
    kustomization = {"resources": list(FILES), "components": ["presync-lint"], "configMapGenerator": [generated]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)


def run_hook(objects: list[Object], mounted: Path) -> subprocess.CompletedProcess[str]:
    """What the Job's container does, with the ConfigMap's files where they are mounted."""
    (job,), (config,) = of_kind(objects, "Job"), of_kind(objects, "ConfigMap")
    volume = job["spec"]["template"]["spec"]["volumes"][0]
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    mounted.mkdir()
    for name, text in config["data"].items():
        (mounted / name).write_text(text)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["tidegate"]
    arguments = [str(mounted) if each == "/manifests" else each for each in container["args"]]
    return subprocess.run([str(TIDEGATE), *arguments], capture_output=True, text=True, timeout=60)


def test_a_sync_is_preceded_by_a_lint_of_its_very_files(tmp_path: Path) -> None:
    objects = config_repository(tmp_path, {})
    assert [problem for obj in objects for problem in problems(obj)] == []
    (job,) = of_kind(objects, "Job")
    assert violations(job["spec"]["template"]["spec"]) == []
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PreSync"
    done = run_hook(objects, tmp_path / "manifests")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_manifest_that_a_release_would_refuse_stops_the_sync(tmp_path: Path) -> None:
    objects = config_repository(tmp_path, {"setWeight: 25": "setWeight: 250"})
    done = run_hook(objects, tmp_path / "manifests")
    assert done.returncode != 0
    assert "250" in done.stdout + done.stderr
