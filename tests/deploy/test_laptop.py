"""deploy/laptop: valid, at one with what it stands in for, its application run."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from sandbox.processes import Program, free_port
from tests.deploy.manifests import DEPLOY, Object, of_kind, problems, render, workloads
from tests.deploy.test_kustomize import environment, violations
from tests.installed import CLIENT, run_command
from tidegate.contract import SEARCH_ATTRIBUTES
from workers.settings import load_settings


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return render(DEPLOY / "laptop")


def of_checkout(objects: list[Object]) -> Any:
    (rollout,) = of_kind(objects, "Rollout")
    return rollout["spec"]


def test_every_object_is_valid_for_each_supported_version(objects: list[Object]) -> None:
    assert [problem for obj in objects for problem in problems(obj)] == []


def test_it_needs_nothing_that_a_plain_cluster_has_not(objects: list[Object]) -> None:
    own = {"Rollout", "AnalysisTemplate"}
    others = {each["apiVersion"] for each in objects if "." in each["apiVersion"] and each["kind"] not in own}
    assert {version for version in others if not re.search(r"\.k8s\.io/", version)} == set()
    mounted = [volume for _, template in ours(objects) for volume in template["spec"]["volumes"]]
    assert [set(volume) for volume in mounted] == [{"name", "emptyDir"}] * 2
    assert re.findall(r"vault\.internal|[\w-]+-temporal-(?:tls|token)", json.dumps(objects)) == []


def ours(objects: list[Object]) -> list[tuple[str, Object]]:
    return workloads([each for each in objects if each["metadata"].get("namespace") == "tidegate"])


def test_our_pods_are_restricted_and_their_variables_are_settings(
    objects: list[Object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {component for component, _ in ours(objects)} == {"cluster", "watcher"}
    for _, template in ours(objects):
        assert violations(template["spec"]) == []
        with monkeypatch.context() as patched:
            for name, value in environment(objects, template["spec"]).items():
                patched.setenv(name, value)
            settings = load_settings()
        assert (settings.vault, settings.detections) == (None, None)


def test_the_server_is_where_it_is_looked_for_and_knows_the_search_attributes(objects: list[Object]) -> None:
    (server,) = (each for each in of_kind(objects, "Deployment") if each["metadata"]["name"] == "temporal")
    (container,) = server["spec"]["template"]["spec"]["containers"]
    given = dict(
        each.removeprefix("--search-attribute=").split("=") for each in container["args"] if "-attribute" in each
    )
    assert given == {key.name: key.indexed_value_type.name.title().replace("_", "") for key in SEARCH_ATTRIBUTES}
    (variables,) = (each["data"] for each in of_kind(objects, "ConfigMap") if "TEMPORAL_ADDRESS" in each["data"])
    (service,) = (each for each in of_kind(objects, "Service") if each["metadata"]["name"] == "temporal")
    assert variables["TEMPORAL_ADDRESS"] == f"temporal.temporal.svc:{service['spec']['ports'][0]['port']}"
    assert f"--namespace={variables['TEMPORAL_NAMESPACE']}" in container["args"]


def test_the_example_is_one_that_a_release_can_be_made_of(objects: list[Object], tmp_path: Path) -> None:
    file = tmp_path / "laptop.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    done = run_command(CLIENT, "tidegate", "lint", "-f", str(file))
    assert done.returncode == 0, done.stdout
    assert "0 errors, 0 warnings" in done.stdout + done.stderr
    (template,) = of_kind(objects, "AnalysisTemplate")
    asked = {
        each["templateName"]
        for step in of_checkout(objects)["strategy"]["canary"]["steps"]
        for each in step.get("analysis", {}).get("templates", [])
    }
    assert asked == {template["metadata"]["name"]}


@pytest.mark.parametrize(("rate", "passes", "fails"), [("0", True, False), ("0.5", False, True)])
async def test_the_application_gives_the_gate_what_it_judges(
    objects: list[Object], tmp_path: Path, rate: str, passes: bool, fails: bool
) -> None:
    (app,) = (each["data"] for each in of_kind(objects, "ConfigMap") if "checkout.py" in each["data"])
    (tmp_path / "checkout.py").write_text(app["checkout.py"])
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ = {"CHECKOUT_ERROR_RATE": rate, "PORT": str(port)}
    program = Program("checkout", [sys.executable, "checkout.py"], log_file=tmp_path / "log", env=environ, cwd=tmp_path)
    await program.start(lambda: answers(f"{url}/healthz"), 20)
    try:
        share = json.loads(await text(f"{url}/errors"))["share"]
    finally:
        await program.stop()
    assert (share < 0.01, share >= 0.05) == (passes, fails)


async def text(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.text()


async def answers(url: str) -> bool:
    return bool(await text(url))
