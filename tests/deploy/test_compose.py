"""docker-compose.yml: valid, ordered by health, limited, without a secret; its scripts run where their tools are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.deploy.manifests import ROOT, SCHEMAS
from tidegate.client import file_keys
from workers.callers import Callers
from workers.settings import load_settings

FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("worker", "watcher", "gateway", "web", "codec")
ONE_SHOT = {name for name, each in SERVICES.items() if str(each["restart"]).startswith("on-failure")}


def problems(document: dict[str, Any]) -> list[str]:
    schema = json.loads((SCHEMAS / "compose-spec.json").read_text())
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]


def test_it_is_valid_by_the_compose_specification() -> None:
    assert problems(COMPOSE) == []


def test_a_mistake_is_refused() -> None:
    broken = json.loads(json.dumps(COMPOSE))
    broken["services"]["worker"]["heathcheck"] = {}
    broken["services"]["vault"]["depends_on"] = {"postgresql": {"condition": "healthy"}}
    assert len(problems(broken)) >= 2


@pytest.mark.skipif(
    subprocess.run(["docker", "compose", "version"], capture_output=True).returncode != 0
    if shutil.which("docker")
    else True,
    reason="the docker compose plugin is not installed",
)
def test_docker_compose_understands_it(tmp_path: Path) -> None:
    env = {**os.environ, "KUBECONFIG": str(tmp_path / "config")}
    done = subprocess.run(
        ["docker", "compose", "-f", str(FILE), "config", "--quiet"], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr


def test_what_is_waited_for_says_when_it_is_there() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how["condition"] == expected, (name, other)
            assert other in ONE_SHOT or "healthcheck" in SERVICES[other]
        assert name in ONE_SHOT or "healthcheck" in service


def test_each_service_is_limited_and_pinned() -> None:
    for name, service in SERVICES.items():
        assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys(), name
        assert re.search(r":\d+\.\d+\.\d+|:\d+\.\d+-", service["image"]), name
        assert service["security_opt"] == ["no-new-privileges:true"]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "nothing is open to others than this machine"


def test_our_own_are_read_only_and_have_no_capability() -> None:
    for name in OURS:
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_no_secret_stands_in_the_file() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|PWD|TOKEN|KEY", variable) and not variable.endswith("_URL"):
                assert str(value).startswith("/run/"), f"{name}: {variable}"
    for secret in COMPOSE["secrets"].values():
        assert set(secret) == {"file"}
    assert "deploy/compose/.secrets/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", ["worker", "watcher"])
def test_variables_are_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    assert settings.vault is not None
    assert settings.kubernetes.kubeconfig == "/run/secrets/kubeconfig"


async def test_the_gateway_is_given_rules_and_no_way_to_a_cluster_or_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    service = SERVICES["gateway"]
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    assert settings.gateway is not None
    assert (settings.vault, settings.kubernetes.kubeconfig) == (None, "")
    assert service["ports"] == [f"127.0.0.1:{settings.gateway.port}:8083"]
    assert service["secrets"] == ["codec-keys"]
    (mounted,) = service["volumes"]
    source, target, mode = mounted.split(":")
    assert (target, mode) == (str(settings.gateway.callers_file), "ro")
    assert await Callers(ROOT / source).rules()


def test_every_process_of_ours_is_there() -> None:
    commands = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])
    image = re.findall(r'ENTRYPOINT \["([^"]+)"', (ROOT / "Dockerfile").read_text())
    run = {(service.get("entrypoint") or image)[0] for name, service in SERVICES.items() if name in OURS}
    assert {command for command in commands if command.startswith("tidegate")} - {"tidegate-sandbox"} == run


def test_mounted_files_exist() -> None:
    for name, service in SERVICES.items():
        for argument in [*service.get("entrypoint", []), *service.get("command", [])]:
            if str(argument).startswith("/deploy/"):
                assert (ROOT / argument.removeprefix("/")).exists(), name


async def test_the_secrets_are_made_once_and_can_be_used(tmp_path: Path) -> None:
    script = shutil.copy(ROOT / "deploy" / "compose" / "secrets.sh", tmp_path)
    for _ in range(2):
        subprocess.run(["sh", script], check=True, timeout=30)  # noqa: ASYNC221
        folder = tmp_path / ".secrets"
        made = {file.name: file.read_text() for file in folder.iterdir()}
        assert set(made) == {"postgres-password", "temporal.env", "vault.env", "codec-token", "codec-keys.json"}
    assert made == {file.name: file.read_text() for file in folder.iterdir()}
    assert f"POSTGRES_PWD={made['postgres-password']}\n" in made["temporal.env"]
    assert folder.stat().st_mode & 0o077 == 0
    keys = file_keys(folder / "codec-keys.json")
    assert (await keys.keyring()).current == "k1"


def make_databases(folder: Path, tool: str) -> subprocess.CompletedProcess[str]:
    """Run schema.sh with a script in the place of Temporal's tool."""
    (folder / "temporal-sql-tool").write_text(f"#!/bin/sh\n{tool}\n")
    (folder / "temporal-sql-tool").chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "POSTGRES_SEEDS": "db", "POSTGRES_USER": "u", "DB_PORT": "5432"}
    script = str(ROOT / "deploy" / "compose" / "schema.sh")
    return subprocess.run(["sh", script], capture_output=True, text=True, env=env, timeout=30)


def test_the_databases_are_made_empty_and_then_brought_up_to_date(tmp_path: Path) -> None:
    """`setup-schema` with a schema makes every table as version 0.0, which `update-schema` then finds in its way."""
    done = make_databases(tmp_path, 'echo "$*"; case $* in *create-database*) exit 1 ;; esac')
    assert done.returncode == 0, "that a database is there already is no error"
    assert [line.partition(" --database ")[2] for line in done.stdout.splitlines()] == [
        f"{database} {command}"
        for database, schema in (("temporal", "temporal"), ("temporal_visibility", "visibility"))
        for command in (
            "create-database",
            "setup-schema --version 0.0",
            f"update-schema --schema-name postgresql/v12/{schema}",
        )
    ]


def test_a_database_that_is_not_up_to_date_stops_what_waits_for_it(tmp_path: Path) -> None:
    assert make_databases(tmp_path, "case $* in *update-schema*) exit 3 ;; esac").returncode == 3
