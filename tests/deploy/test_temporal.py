"""deploy/temporal/: the namespace on a real server, the values, and who may say what."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
import yaml

from sandbox.processes import LOOPBACK, Program, free_port
from tests.deploy.manifests import DEPLOY, documents, problems, render, workloads
from tidegate.contract import SEARCH_ATTRIBUTES, Query, Signal, Update
from workers.callers import Callers

BIN = Path(sysconfig.get_path("scripts"))
TEMPORAL = DEPLOY / "temporal"


class Bare:
    """A development server as it comes: no namespace and no attribute of ours."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.address = f"{LOOPBACK}:{port}"
        self.folder = folder
        command = [str(BIN / "temporal"), "server", "start-dev", "--headless", "--ip", LOOPBACK, "--port", str(port)]
        self.program = Program("temporal", command, log_file=folder / "temporal.log", env={"HOME": str(folder)})

    async def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "TEMPORAL_ADDRESS": self.address,
        }
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, env=env)

    async def answers(self) -> bool:
        return (await self.run("temporal", "operator", "cluster", "health")).returncode == 0

    async def attributes(self) -> dict[str, str]:
        listed = await self.run("temporal", "operator", "search-attribute", "list", "-n", "rollouts", "-o", "json")
        return dict(json.loads(listed.stdout)["customAttributes"])


@pytest_asyncio.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Bare]:
    server = Bare(tmp_path)
    await server.program.start(server.answers, timeout=30)
    yield server
    await server.program.stop()


async def test_the_namespace_has_its_retention_and_attributes_and_stays_so(bare: Bare) -> None:
    for _ in range(2):
        done = await bare.run("sh", str(TEMPORAL / "namespace.sh"))
        assert done.returncode == 0, done.stdout + done.stderr
        described = await bare.run("temporal", "operator", "namespace", "describe", "-n", "rollouts", "-o", "json")
        retention = json.loads(described.stdout)["config"]["workflowExecutionRetentionTtl"]
        assert retention in ("2592000s", "720h0m0s")
        found = await bare.attributes()
        assert {name.name: found[name.name] for name in SEARCH_ATTRIBUTES} == {
            "TidegateNamespace": "INDEXED_VALUE_TYPE_KEYWORD",
            "TidegateService": "INDEXED_VALUE_TYPE_KEYWORD",
            "TidegatePhase": "INDEXED_VALUE_TYPE_KEYWORD",
            "TidegateWeight": "INDEXED_VALUE_TYPE_INT",
            "TidegateRevision": "INDEXED_VALUE_TYPE_INT",
            "TidegateVersion": "INDEXED_VALUE_TYPE_KEYWORD",
            "TidegateBy": "INDEXED_VALUE_TYPE_KEYWORD",
            "TidegateWaitingFor": "INDEXED_VALUE_TYPE_KEYWORD",
            "TidegateOutcome": "INDEXED_VALUE_TYPE_KEYWORD",
        }


OVERLAY = render(DEPLOY / "kustomize" / "overlays" / "single-cluster-web")
VALUES = yaml.safe_load((TEMPORAL / "values.yaml").read_text())
SIZES = (50, 500, 5000)
ROLES = ("workflows", "cluster", "metrics", "follow-up", "watcher", "gateway", "web")
# Keys of the chart's values that are used here: https://github.com/temporalio/helm-charts, charts/temporal/values.yaml.
SERVICES = {"frontend", "history", "matching", "worker"}


def test_the_doors_are_all_in_the_table_of_access() -> None:
    rows = (TEMPORAL / "access.md").read_text().splitlines()
    named = {row.split("|")[1].strip().strip("`") for row in rows if row.startswith("| `")}
    assert {str(door) for kind in (Signal, Update, Query) for door in kind} <= named


def test_nobody_comes_in_without_a_certificate_and_a_token() -> None:
    for part in ("frontend", "internode"):
        tls = VALUES["server"]["tls"][part]
        assert tls["enabled"]
        assert tls["requireClientAuth"]
    authorization = VALUES["server"]["config"]["authorization"]
    assert (authorization["authorizer"], authorization["claimMapper"]) == ("default", "default")
    assert VALUES["web"]["service"]["type"] == "ClusterIP"
    assert VALUES["web"]["ingress"]["enabled"] is False


def test_the_ui_offers_nothing_that_leaves_traffic_where_it_is() -> None:
    env = {each["name"]: each.get("value") for each in VALUES["web"]["additionalEnv"]}
    for guard in ("WORKFLOW_TERMINATE", "WORKFLOW_RESET", "BATCH_ACTIONS", "START_WORKFLOW"):
        assert env[f"TEMPORAL_{guard}_DISABLED"] == "true"
    assert env["TEMPORAL_AUTH_ENABLED"] == "true"
    assert env["TEMPORAL_AUTH_CLIENT_SECRET"] is None, "from a Secret"


def test_certificates_are_valid_and_are_those_that_are_mounted() -> None:
    objects = documents(TEMPORAL / "certificates.yaml")
    assert [problem for obj in objects for problem in problems(obj)] == []
    made = {obj["spec"]["secretName"] for obj in objects if obj["kind"] == "Certificate"}
    mounted = {part["secretName"] for part in VALUES["server"]["tls"].values()}
    # One for each process, and none that two of them share.
    own = {f"tidegate-{role}-temporal-tls" for role in ROLES}
    assert mounted | own | {"temporal-ui-tls"} == made - {"temporal-authority"}
    served = next(obj for obj in objects if obj["metadata"]["name"] == "temporal-frontend")
    assert VALUES["server"]["tls"]["frontend"]["serverName"] in served["spec"]["dnsNames"]


def test_a_larger_size_is_larger_and_never_changes_the_shards() -> None:
    sizes = [yaml.safe_load((TEMPORAL / f"values-{size}.yaml").read_text())["server"] for size in SIZES]
    for smaller, larger in itertools.pairwise(sizes):
        for service in SERVICES:
            assert smaller[service]["replicaCount"] <= larger[service]["replicaCount"]
    for each in sizes:
        assert set(each) == SERVICES | {"config"}
        assert "numHistoryShards" not in each["config"]["persistence"]
        processes = sum(each[service]["replicaCount"] for service in SERVICES)
        stores = each["config"]["persistence"]["datastores"].values()
        assert processes * sum(store["sql"]["maxConns"] for store in stores) <= 500
    assert VALUES["server"]["config"]["persistence"]["numHistoryShards"] == 512


def test_pipelines_have_no_way_to_temporal_and_each_process_is_somebody_of_its_own() -> None:
    text = (TEMPORAL / "access.md").read_text()
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines() if row.startswith("| ")]
    granted = {row[0]: row[2] for row in rows if len(row) == 3 and "`rollouts:" in row[2]}
    assert not any("pipeline" in who for who in granted), "a role in Temporal would be every door"
    processes = {match for who in granted for match in re.findall(r"`tidegate-([a-z-]+)`", who)}
    assert processes == set(ROLES)
    for role in ROLES:
        (secrets,) = {
            frozenset(each["secret"]["secretName"] for each in template["spec"]["volumes"] if "secret" in each)
            for component, template in workloads(OVERLAY)
            if component == role
        }
        own = {f"tidegate-{role}-temporal-token", f"tidegate-{role}-temporal-tls"}
        # The controller gives the workflow workers their certificate by the connection.
        assert {each for each in secrets if "-temporal-" in each} == own - (
            {"tidegate-workflows-temporal-tls"} if role == "workflows" else set()
        )


def test_the_pipelines_file_names_the_gateway_and_neither_temporal_nor_its_token() -> None:
    pipeline = (DEPLOY / "github" / "release.yml").read_text()
    assert "TEMPORAL_" not in pipeline
    assert "TIDEGATE_SERVER: https://tidegate.internal" in pipeline
    (route,) = [
        obj for obj in documents(DEPLOY / "security" / "pipeline-gateway.yaml") if obj["kind"] == "VirtualService"
    ]
    assert route["spec"]["hosts"] == ["tidegate.internal"]


async def test_the_rules_of_callers_can_be_read_and_name_the_pipelines_repository_and_branch() -> None:
    rules = await Callers(DEPLOY / "kustomize" / "base" / "release-plane" / "callers.yaml").rules()
    assert rules
    for rule in rules:
        assert {"repository", "ref"} <= rule.claims.keys()
        assert not rule.any_manifest
