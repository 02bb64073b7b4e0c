"""`tidegate doctor` in a world of embedded systems, in which one thing after the other is broken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from aiohttp import web
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from sandbox.apply import apply
from sandbox.datadog.server import DatadogApi
from sandbox.datadog.traffic import Traffic
from sandbox.kubernetes_api import KubernetesApi
from sandbox.processes import until
from sandbox.servicenow.server import ServiceNowApi
from sandbox.slack.server import SlackApi
from sandbox.vault import Vault
from tests.activities.outside import Answering
from tests.aftermath.gate import Gate, Trouble, behind
from tests.deploy.manifests import DEPLOY, of_kind, render
from tests.workers.conftest import Terminal
from workers.outside_settings import (
    DatadogVariables,
    KubernetesSettings,
    PrometheusVariables,
    ServiceNowVariables,
    SlackVariables,
    VaultVariables,
)
from workers.settings import Settings
from workers.wiring import open_workers

pytestmark = pytest.mark.asyncio(loop_scope="module")
ACCOUNTS = "/api/v1/namespaces/tidegate/serviceaccounts"
RIGHTS = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "RoleBinding")
DATADOG, SERVICENOW, SLACK = "argo-rollouts/datadog", "tidegate/servicenow", "tidegate/slack"
GOOD = {
    DATADOG: {"api-key": "api-key-of-a-test", "app-key": "app-key-of-a-test"},
    SERVICENOW: {"username": "tidegate", "password": "password-of-a-test"},
    SLACK: {"token": "token-of-a-test"},
}


@dataclass
class Door:
    """A system that answers what begins with a path by a status of its own instead."""

    system: Answering
    refused: dict[str, int] = field(default_factory=dict)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        for path, status in self.refused.items():
            if request.path.startswith(path):
                return web.json_response({"errors": ["refused"], "message": "refused"}, status=status)
        return await self.system(request)


@dataclass
class Systems:
    """The embedded systems, each behind a gate, and the worker that reaches them."""

    vault: Vault
    gates: dict[str, Gate]
    doors: dict[str, Door]

    async def mend(self) -> None:
        for gate in self.gates.values():
            gate.trouble = None
        for door in self.doors.values():
            door.refused.clear()
        for path, secret in GOOD.items():
            await self.vault.seed(path, secret)


async def _prometheus(request: web.Request) -> web.StreamResponse:
    return web.json_response(
        {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}]}}
    )


async def _kubeconfig(api: KubernetesApi, reached: str, file: Path) -> str:
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(f"{api.url}{ACCOUNTS}/tidegate-cluster/token", json={"spec": {}}) as answer,
    ):
        token = str((await answer.json())["status"]["token"])
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": reached}}],
        "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    await asyncio.to_thread(file.write_text, yaml.safe_dump(config))
    return str(file)


@asynccontextmanager
async def _open(folder: Path, temporal: Client) -> AsyncIterator[Systems]:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        kubernetes = KubernetesApi(rbac=True)
        datadog = DatadogApi(Traffic("checkout", []), api_key="api-key-of-a-test", app_key="app-key-of-a-test")
        servicenow = ServiceNowApi(username="tidegate", password="password-of-a-test", client_id="x", client_secret="y")
        slack = SlackApi(token="token-of-a-test", webhook_key="z")
        vault = Vault(folder, paths=list(GOOD))
        for server in (kubernetes, datadog, servicenow, slack, vault):
            await server.start()
            stack.push_async_callback(server.stop)
        await apply(kubernetes.url, of_kind(render(DEPLOY / "kustomize" / "overlays" / "single-cluster"), *RIGHTS))
        doors = {
            "kubernetes": Door(behind(kubernetes.url, session)),
            "datadog": Door(behind(datadog.url, session)),
            "servicenow": Door(behind(servicenow.url, session)),
            "slack": Door(behind(slack.url.removesuffix("/api"), session)),
            "vault": Door(behind(vault.address, session)),
            "prometheus": Door(_prometheus),
        }
        gates = {name: await stack.enter_async_context(Gate(door)) for name, door in doors.items()}
        settings = Settings(
            kubernetes=KubernetesSettings(
                kubeconfig=await _kubeconfig(kubernetes, gates["kubernetes"].url, folder / "kubeconfig")
            ),
            vault=VaultVariables(
                address=gates["vault"].url,
                auth="approle",
                role_id_file=vault.role_id_file,
                secret_id_file=vault.secret_id_file,
            ),
            datadog=DatadogVariables(address=gates["datadog"].url),
            prometheus=PrometheusVariables(address=gates["prometheus"].url),
            servicenow=ServiceNowVariables(url=gates["servicenow"].url),
            slack=SlackVariables(secret_path=f"secret/{SLACK}", api_url=f"{gates['slack'].url}/api"),
        )
        for worker in await stack.enter_async_context(open_workers(temporal, settings)):
            await stack.enter_async_context(worker)
        yield Systems(vault, gates, doors)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded(tmp_path_factory: pytest.TempPathFactory, temporal: Client) -> AsyncIterator[Systems]:
    async with _open(tmp_path_factory.mktemp("systems"), temporal) as systems:
        yield systems


@pytest_asyncio.fixture(loop_scope="module")
async def systems(embedded: Systems) -> Systems:
    await embedded.mend()
    return embedded


async def wrong(tidegate: Terminal, *options: str) -> dict[str, dict[str, str]]:
    """What is wrong, by the name of its line; the exit code says the same."""
    code = await tidegate("doctor", "-o", "json", *options)
    checks = json.loads(tidegate.out())["checks"]
    found = {each["name"]: each for each in checks if each["state"] == "wrong"}
    assert code == (1 if found else 0)
    assert all(each["remedy"] for each in found.values()), "each fault has its command"
    return found


async def test_all_is_fine_and_each_system_has_its_line(systems: Systems, tidegate: Terminal) -> None:
    while found := await wrong(tidegate):  # the server knows of a poll when it has begun
        assert all(name.startswith("workers of ") for name in found), found
    assert await tidegate("doctor") == 0
    shown = tidegate.out()
    for line in ("Temporal namespace default", "workers of tidegate.default", "Kubernetes", "CRDs of Argo"):
        assert f"✔ {line} " in shown
    for line in ("rights in payments", "Datadog API key", "Datadog application key", "Prometheus", "ServiceNow"):
        assert f"✔ {line} " in shown
    assert "- Git " in shown, "it is not set up, which is no fault"
    assert shown.endswith("everything is fine\n")


@pytest.mark.parametrize(
    ("system", "trouble", "name", "remedy"),
    [
        ("kubernetes", Trouble.DOWN, "Kubernetes", "kubectl cluster-info"),
        ("vault", Trouble.DOWN, "secret of Slack", "vault status"),
        ("prometheus", Trouble.BROKEN, "Prometheus", "set TIDEGATE_PROMETHEUS__ADDRESS"),
        ("datadog", Trouble.DOWN, "Datadog", "TIDEGATE_DATADOG__ADDRESS"),
        ("servicenow", Trouble.DOWN, "ServiceNow", "TIDEGATE_SERVICENOW__URL"),
    ],
)
async def test_a_system_that_is_away_is_found(
    systems: Systems, tidegate: Terminal, system: str, trouble: Trouble, name: str, remedy: str
) -> None:
    systems.gates[system].trouble = trouble
    assert remedy in (await wrong(tidegate))[name]["remedy"]


@pytest.mark.parametrize(
    ("path", "secret", "name", "remedy"),
    [
        (DATADOG, {"api-key": "old", "app-key": "app-key-of-a-test"}, "Datadog API key", "api-key="),
        (DATADOG, {"api-key": "api-key-of-a-test", "app-key": "old"}, "Datadog application key", "app-key="),
        (SERVICENOW, {"username": "tidegate", "password": "old"}, "ServiceNow", "vault kv put secret/tidegate/serv"),
        (SLACK, {"token": "revoked"}, "Slack", "vault kv put secret/tidegate/slack token="),
    ],
)
async def test_a_credential_that_does_not_hold_is_found(
    systems: Systems, tidegate: Terminal, path: str, secret: dict[str, str], name: str, remedy: str
) -> None:
    await systems.vault.seed(path, secret)
    found = await wrong(tidegate)
    assert list(found) == [name], "and nothing else is wrong"
    assert remedy in found[name]["remedy"]
    assert not any(value in json.dumps(found) for value in secret.values() if value not in ("old", "tidegate"))


async def test_a_role_that_nobody_bound_in_a_namespace_is_found(systems: Systems, tidegate: Terminal) -> None:
    found = await wrong(tidegate, "-n", "shipping")
    [line] = found.values()
    assert (line["name"], "get rollouts.argoproj.io" in line["detail"]) == ("rights in shipping", True)
    assert line["remedy"].startswith("kubectl create rolebinding tidegate-cluster -n shipping")


@pytest.mark.parametrize(
    ("path", "name", "remedy"),
    [
        ("/apis/argoproj.io/v1alpha1", "CRDs of Argo", "kubectl apply -f deploy/crds"),
        ("/apis/networking.istio.io/v1beta1", "router istio", "istioctl install"),
    ],
)
async def test_crds_that_are_not_installed_are_found(
    systems: Systems, tidegate: Terminal, path: str, name: str, remedy: str
) -> None:
    systems.doors["kubernetes"].refused[path] = 404
    found = await wrong(tidegate)
    assert list(found) == [name]
    assert remedy in found[name]["remedy"]


async def test_a_policy_that_forbids_a_secret_is_found(systems: Systems, tidegate: Terminal) -> None:
    systems.doors["vault"].refused["/v1/secret/data/tidegate/slack"] = 403
    found = await wrong(tidegate)
    assert (list(found), found["secret of Slack"]["remedy"]) == (["secret of Slack"], "deploy/vault/apply.sh")


async def test_a_cluster_without_a_worker_is_found(systems: Systems, tidegate: Terminal) -> None:
    found = await wrong(tidegate, "--cluster", "eu")
    assert list(found) == ["workers of tidegate.eu"]
    assert found["workers of tidegate.eu"]["remedy"] == "TIDEGATE_CLUSTER=eu tidegate-worker --role cluster"


async def test_a_namespace_of_temporal_that_is_not_prepared_is_found(
    temporal: Client, tidegate: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "releases")
    missing = await wrong(tidegate)
    assert missing["Temporal namespace releases"]["remedy"].startswith("temporal operator namespace create")
    request = RegisterNamespaceRequest(namespace="releases")
    request.workflow_execution_retention_period.FromTimedelta(timedelta(days=1))
    await temporal.workflow_service.register_namespace(request)
    found: dict[str, Any] = {}

    async def registered() -> bool:
        if await tidegate("doctor", "-o", "json") != 1:  # not every part of the server knows of it yet
            return False
        found.update({each["name"]: each for each in json.loads(tidegate.out())["checks"]})
        return found.get("Temporal search attributes", {}).get("state") == "wrong"

    await until(registered, 30.0, "the namespace is known everywhere")
    remedy = found["Temporal search attributes"]["remedy"]
    assert remedy.startswith("temporal operator search-attribute create --namespace releases --name Tidegate")
    assert found["workers of tidegate"]["remedy"] == "tidegate-worker --role workflows"


async def test_a_temporal_that_does_not_answer_is_found(tidegate: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    found = await wrong(tidegate)
    assert list(found) == ["Temporal"]
    assert "TEMPORAL_ADDRESS" in found["Temporal"]["remedy"]
