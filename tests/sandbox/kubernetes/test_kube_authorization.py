from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.kubernetes_api import KubernetesApi
from sandbox.kubernetes_api.audit import VARIABLE
from tests.sandbox.kubernetes.kube import CORE, Kube, pod, serving

RBAC = "/apis/rbac.authorization.k8s.io/v1"
HERE = f"{RBAC}/namespaces/default"
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
READER = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


@pytest_asyncio.fixture
async def kube() -> AsyncIterator[Kube]:
    async with serving(KubernetesApi(rbac=True)) as kube:
        await kube.create("/api/v1/namespaces", {"metadata": {"name": "other"}})
        await kube.create(f"{CORE}/serviceaccounts", {"metadata": {"name": "worker"}})
        yield kube


class Worker:
    """Requests with the token of the service account `worker`."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def __call__(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, dict[str, Any]]:
        issued = await self._kube.create(f"{CORE}/serviceaccounts/worker/token", {"spec": {}})
        headers = {"Authorization": f"Bearer {token or issued['status']['token']}"}
        async with httpx.AsyncClient(base_url=self._kube.api.url, headers=headers) as http:
            answer = await http.request(method, path, json=body)
        return answer.status_code, answer.json()


@pytest.fixture
def worker(kube: Kube) -> Worker:
    return Worker(kube)


async def grant(kube: Kube, *rules: dict[str, Any], everywhere: bool = False) -> None:
    scope, prefix = (RBAC, "cluster") if everywhere else (HERE, "")
    kind = "ClusterRole" if everywhere else "Role"
    await kube.create(f"{scope}/{prefix}roles", {"metadata": {"name": "reader"}, "rules": list(rules)})
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "worker"}],
    }
    await kube.create(f"{scope}/{prefix}rolebindings", binding)


async def test_what_no_role_grants_is_forbidden(kube: Kube, worker: Worker) -> None:
    code, answer = await worker("GET", f"{CORE}/pods")
    assert (code, answer["reason"]) == (403, "Forbidden")
    assert answer["message"] == (
        'pods is forbidden: User "system:serviceaccount:default:worker" cannot list resource "pods" in API group ""'
        ' in the namespace "default"'
    )
    assert (await kube.call("GET", f"{CORE}/pods"))[0] == 200  # the administrator


async def test_a_role_grants_in_its_namespace_and_a_cluster_role_everywhere(kube: Kube, worker: Worker) -> None:
    await grant(kube, READER)
    assert (await worker("GET", f"{CORE}/pods"))[0] == 200
    assert (await worker("POST", f"{CORE}/pods", pod("a")))[0] == 403
    assert (await worker("GET", "/api/v1/namespaces/other/pods"))[0] == 403
    assert (await worker("GET", "/api/v1/pods"))[0] == 403
    await grant(kube, READER, everywhere=True)
    assert (await worker("GET", "/api/v1/namespaces/other/pods"))[0] == 200
    assert (await worker("GET", "/api/v1/pods"))[0] == 200
    assert (await worker("GET", "/api/v1/pods?watch=true"))[0] == 403


async def test_names_and_subresources_are_granted_by_themselves(kube: Kube, worker: Worker) -> None:
    await kube.create(f"{CORE}/pods", pod("a"))
    await kube.create(f"{CORE}/pods", pod("b"))
    named = {"apiGroups": [""], "resources": ["pods", "pods/status"], "resourceNames": ["a"], "verbs": ["get"]}
    await grant(kube, named)
    assert (await worker("GET", f"{CORE}/pods/a"))[0] == 200
    assert (await worker("GET", f"{CORE}/pods/a/status"))[0] == 200
    assert (await worker("GET", f"{CORE}/pods/b"))[0] == 403
    assert (await worker("GET", f"{CORE}/pods"))[0] == 403


async def test_credentials_of_somebody_else_are_refused(kube: Kube, worker: Worker) -> None:
    await grant(kube, READER)
    for_vault = await kube.create(f"{CORE}/serviceaccounts/worker/token", {"spec": {"audiences": ["vault"]}})
    for token in ("nonsense", for_vault["status"]["token"]):
        assert (await worker("GET", f"{CORE}/pods", token=token))[0] == 401


async def test_a_review_says_what_would_be_allowed(kube: Kube, worker: Worker) -> None:
    await grant(kube, READER)
    ask = {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews"], "verbs": ["create"]}
    await grant(kube, ask, everywhere=True)
    for verb, allowed in (("list", True), ("delete", False)):
        attributes = {"verb": verb, "resource": "pods", "namespace": "default"}
        code, answer = await worker("POST", REVIEW, {"spec": {"resourceAttributes": attributes}})
        assert (code, answer["status"]["allowed"]) == (201, allowed)


async def test_the_audit_log_has_each_kind_of_request_of_each_client_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "audit.jsonl"
    monkeypatch.setenv(VARIABLE, str(log))
    async with serving(KubernetesApi()) as kube:
        for _ in range(2):
            async with httpx.AsyncClient(base_url=kube.api.url, headers={"User-Agent": "tidegate-worker/1"}) as http:
                await http.get(f"{CORE}/pods")
                await http.get("/api/v1/pods")
    entry = {"client": "tidegate-worker", "verb": "list", "group": "", "resource": "pods", "subresource": ""}
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines == [{**entry, "namespaced": True}, {**entry, "namespaced": False}]
