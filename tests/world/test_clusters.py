"""One release plane and two clusters, whose processes may do what their service accounts' roles grant, nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from sandbox.apply import apply
from sandbox.kubernetes_api import KubernetesApi
from sandbox.kubernetes_api.kinds import PODS, ROLLOUTS
from sandbox.processes import free_port, until
from sandbox.tidegate_process import WATCHER, TidegateProcess
from tests.deploy.argocd import health
from tests.deploy.manifests import DEPLOY, of_kind, render
from tests.workers.test_detections import signed
from tests.world.planes import Plane, checkout, open_plane, wanted
from tidegate.contract import ReleaseStatus
from workers.watch.detections import HASH_LABEL

pytestmark = [pytest.mark.world, pytest.mark.asyncio(loop_scope="module")]
ROLES = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "RoleBinding")
FALCON = "secret/tidegate/falcon"
SIGNING_KEY = "f" * 40
ACCOUNTS = "/api/v1/namespaces/tidegate/serviceaccounts"


async def token_of(api: KubernetesApi, account: str) -> str:
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(f"{api.url}{ACCOUNTS}/{account}/token", json={"spec": {}}) as answer,
    ):
        return str((await answer.json())["status"]["token"])


async def kubeconfig(api: KubernetesApi, account: str, file: Path) -> str:
    """What stands in a pod of this service account, as a file."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": api.url}}],
        "users": [{"name": "it", "user": {"token": await token_of(api, account)}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    await asyncio.to_thread(file.write_text, yaml.safe_dump(config))
    return str(file)


def _write_key(folder: Path) -> None:
    file = folder / FALCON / "signing_key"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SIGNING_KEY)


class Clusters:
    """The plane, and the worker of each cluster by the cluster's name."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.workers: dict[str, TidegateProcess] = {}
        self.detections: dict[str, int] = {}  # port of the watcher, by cluster

    async def serve(self, name: str) -> None:
        """Start the two processes that stand in a cluster, with the rights of the rendered roles."""
        api = self.plane.clusters[name]
        rights = of_kind(render(DEPLOY / "kustomize" / "overlays" / "per-cluster-worker"), *ROLES)
        await apply(api.url, rights)
        folder = self.plane.state / "secrets"
        await asyncio.to_thread(_write_key, folder)
        self.detections[name] = free_port()
        receives = {
            "SECRETS__FOLDER": str(folder),
            "DETECTIONS__SECRET_PATH": FALCON,
            "DETECTIONS__PORT": str(self.detections[name]),
        }
        for process, role, module in (("cluster", {"ROLE": "cluster"}, None), ("watcher", receives, WATCHER)):
            file = self.plane.state / f"{name}-{process}.yaml"
            reached = {"KUBERNETES__KUBECONFIG": await kubeconfig(api, f"tidegate-{process}", file), "CLUSTER": name}
            namespaces = {"WATCHER__NAMESPACES": "payments"}
            started = await self.plane.start(
                f"{name}-{process}", **({"module": module} if module else {}), **reached, **namespaces, **role
            )
            if process == "cluster":
                self.workers[name] = started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clusters(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clusters]:
    async with open_plane(tmp_path_factory.mktemp("plane"), "eu", "us") as plane:
        found = Clusters(plane)
        await plane.start("workflows", ROLE="workflows")
        await plane.start("follow-up", ROLE="follow-up")
        await asyncio.gather(*(found.serve(name) for name in ("eu", "us")))
        for name in ("eu", "us"):
            await plane.client.wait(await plane.release(name, "1.0.0"))
        yield found


async def argo_cd_shows(api: KubernetesApi, expected: str) -> None:
    """Wait until Argo CD would show this health of the Rollout."""

    async def shown() -> bool:
        found = api.store.get(ROLLOUTS, "payments", "checkout")
        return found is not None and health(found)[0] == expected

    await until(shown, 20, f"Argo CD shows {expected}")


def at_20(status: ReleaseStatus) -> bool:
    return status.actual_weight == 20 and status.phase == "Paused"


async def test_a_cluster_without_its_worker_delays_only_its_own_releases(clusters: Clusters) -> None:
    plane = clusters.plane
    in_eu, in_us = [await plane.release(name, "1.1.0") for name in ("eu", "us")]
    for name in ("eu", "us"):
        await plane.until(name, at_20)
        await argo_cd_shows(plane.clusters[name], "Suspended")
    await clusters.workers["eu"].stop()
    for name in ("eu", "us"):
        await plane.client.promote(checkout(name), by="a test")
    assert (await plane.client.wait(in_us)).outcome == "Healthy"
    await argo_cd_shows(plane.clusters["us"], "Healthy")
    delayed = await plane.client.status(checkout("eu"))
    assert (delayed.actual_weight, delayed.finished_at) == (20, None)
    await clusters.workers["eu"].start()
    assert (await plane.client.wait(in_eu)).outcome == "Healthy"


async def test_what_a_person_changes_in_a_cluster_is_released_and_aborted_with_these_rights(clusters: Clusters) -> None:
    plane = clusters.plane
    await apply(plane.clusters["us"].url, [wanted("1.2.0")])
    status = await plane.until("us", lambda status: at_20(status) and "1.2.0" in str(status.images))
    await plane.client.abort(checkout("us"), by="a test", reason="smells")
    status = await plane.until("us", lambda status: status.finished_at is not None)
    assert (status.phase, status.actual_weight) == ("Degraded", 0)
    await argo_cd_shows(plane.clusters["us"], "Degraded")


async def test_a_detection_on_a_canary_pod_ends_its_release_with_the_detection_as_reason(clusters: Clusters) -> None:
    plane = clusters.plane
    api = plane.clusters["us"]
    await plane.release("us", "1.3.0")
    status = await plane.until("us", lambda status: at_20(status) and "1.3.0" in str(status.images))
    pods = [pod for pod in api.store.select(PODS, "payments") if pod["status"].get("phase") == "Running"]
    by_hash = {pod["metadata"]["labels"][HASH_LABEL]: pod["metadata"]["name"] for pod in pods}
    answers = []
    for hash_ in (status.stable_hash, status.desired_hash):
        seen = {"id": "ldt:1", "namespace": "payments", "pod": by_hash[hash_], "description": "Reverse shell"}
        body = json.dumps(seen).encode()
        url = f"http://127.0.0.1:{clusters.detections['us']}/detections"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=signed(body, SIGNING_KEY)) as answer,
        ):
            answers.append((answer.status, (await answer.json())["message"]))
    assert answers[0] == (
        200,
        f"pod payments/{by_hash[status.stable_hash]} is not of the version that is being released",
    )
    assert answers[1][0] == 200
    assert answers[1][1].startswith("release aborted")
    status = await plane.until("us", lambda status: status.finished_at is not None)
    assert (status.phase, status.actual_weight) == ("Degraded", 0)
    assert f"detection ldt:1 on canary pod {by_hash[status.desired_hash]}: Reverse shell" in status.message
    assert "CrowdStrike Falcon" in status.message


async def call(api: KubernetesApi, account: str, method: str, path: str, body: Any = None) -> int:
    headers = {"Authorization": f"Bearer {await token_of(api, account)}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{api.url}{path}", json=body) as answer,
    ):
        return answer.status


PAYMENTS = "/api/v1/namespaces/payments"
POD = {"metadata": {"name": "mine"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
BINDING = {
    "metadata": {"name": "mine"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "ServiceAccount", "name": "tidegate-cluster", "namespace": "tidegate"}],
}
FORBIDDEN = [
    ("GET", f"{PAYMENTS}/secrets", None),
    ("GET", f"{PAYMENTS}/secrets/datadog", None),
    ("GET", "/api/v1/namespaces/argo-rollouts/secrets/datadog", None),
    ("GET", "/api/v1/namespaces/tidegate/secrets", None),
    ("GET", f"{PAYMENTS}/configmaps", None),
    ("POST", f"{PAYMENTS}/pods", POD),
    ("DELETE", f"{PAYMENTS}/pods", None),
    ("POST", f"{PAYMENTS}/serviceaccounts/default/token", {"spec": {}}),
    ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", BINDING),
    ("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/payments/rolebindings", BINDING),
    ("GET", "/api/v1/namespaces/kube-system/pods", None),
    ("GET", "/apis/argoproj.io/v1alpha1/namespaces/orders/rollouts/checkout", None),
    ("GET", "/api/v1/nodes", None),
    ("GET", "/api/v1/namespaces", None),
    ("POST", "/apis/argoproj.io/v1alpha1/namespaces/payments/rollouts", {}),
    ("DELETE", "/apis/argoproj.io/v1alpha1/namespaces/payments/rollouts/checkout", None),
    ("DELETE", "/apis/networking.istio.io/v1beta1/namespaces/payments/virtualservices/checkout-vsvc", None),
]


@pytest.mark.parametrize(("method", "path", "body"), FORBIDDEN, ids=lambda each: str(each)[:60])
@pytest.mark.parametrize("account", ["tidegate-cluster", "tidegate-watcher"])
async def test_a_stolen_token_is_turned_away(
    clusters: Clusters, account: str, method: str, path: str, body: Any
) -> None:
    assert await call(clusters.plane.clusters["us"], account, method, path, body) == 403


async def test_a_stolen_watchers_token_changes_nothing(clusters: Clusters) -> None:
    api = clusters.plane.clusters["us"]
    rollout = "/apis/argoproj.io/v1alpha1/namespaces/payments/rollouts/checkout"
    assert await call(api, "tidegate-watcher", "GET", rollout) == 200
    assert await call(api, "tidegate-watcher", "PATCH", rollout, []) == 403
    assert await call(api, "tidegate-watcher", "DELETE", f"{PAYMENTS}/pods/x") == 403


WORKER = "system:serviceaccount:tidegate:tidegate-cluster"


async def patch(api: KubernetesApi, path: str, *operations: dict[str, Any]) -> tuple[int, str]:
    """Status and message of a JSON Patch with the worker's token."""
    headers = {
        "Authorization": f"Bearer {await token_of(api, 'tidegate-cluster')}",
        "Content-Type": "application/json-patch+json",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.patch(f"{api.url}{path}", data=json.dumps(operations), headers=headers) as answer,
    ):
        return answer.status, str((await answer.json()).get("message", ""))


def put(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


async def test_what_a_worker_writes_into_pods_and_rollouts_passes_the_policies(clusters: Clusters) -> None:
    plane = clusters.plane
    labelled = wanted("1.4.0")
    labelled["spec"]["strategy"]["canary"]["canaryMetadata"] = {"labels": {"role": "canary"}}
    labelled["spec"]["strategy"]["canary"]["steps"] = [{"setWeight": 20}]
    await apply(plane.clusters["us"].url, [labelled])
    done = await plane.until("us", lambda status: "1.4.0" in str(status.images) and status.finished_at is not None)
    assert done.phase == "Healthy"
    await plane.client.undo(checkout("us"), by="a test")
    await plane.until("us", lambda status: "1.4.0" not in str(status.images))
    assert {name for name, user in plane.policies.judged if user == WORKER} == {
        "tidegate-patches-metadata-of-pods",
        "tidegate-asks-for-templates-of-rollouts",
    }


async def test_a_stolen_workers_token_changes_no_image_and_no_gate(clusters: Clusters) -> None:
    api = clusters.plane.clusters["eu"]
    pod = next(each for each in api.store.select(PODS, "payments") if each["status"].get("phase") == "Running")
    path = f"{PAYMENTS}/pods/{pod['metadata']['name']}"
    code, message = await patch(api, path, put("/spec/containers/0/image", "registry.internal/evil:1"))
    assert code == 422
    assert "tidegate-patches-metadata-of-pods" in message
    assert "nothing of its spec" in message
    assert (await patch(api, f"{path}/status", put("/status/phase", "Failed")))[0] in (403, 422)
    assert (await patch(api, path, put("/metadata/labels/role", "stable")))[0] == 200
    rollout = "/apis/argoproj.io/v1alpha1/namespaces/payments/rollouts/checkout"
    for changed in (put("/spec/strategy/canary/steps", []), put("/metadata/annotations", {"tidegate.io/bake": "0s"})):
        code, message = await patch(api, rollout, changed)
        assert (code, "tidegate-asks-for-templates-of-rollouts" in message) == (422, True)
    pods = {
        "metadata": {"labels": {"app": "lent"}},
        "spec": {"containers": [{"name": "a", "image": "registry.internal/a:1"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "lent"}}, "template": pods}
    lent = {"metadata": {"name": "lent", "namespace": "payments"}, "spec": spec}
    await apply(api.url, [{"apiVersion": "apps/v1", "kind": "Deployment", **lent}])
    path = "/apis/apps/v1/namespaces/payments/deployments/lent"
    code, message = await patch(api, path, put("/spec/template/spec/containers/0/image", "registry.internal/evil:1"))
    assert (code, "tidegate-scales-deployments" in message) == (422, True)
    assert (await patch(api, path, put("/spec/replicas", 1)))[0] == 200
    stands = api.store.get(PODS, "payments", pod["metadata"]["name"])
    assert stands is not None
    assert stands["spec"]["containers"] == pod["spec"]["containers"]


async def test_accounts_of_processes_that_ask_no_api_server_may_ask_nothing(clusters: Clusters) -> None:
    api = clusters.plane.clusters["eu"]
    await apply(api.url, of_kind(render(DEPLOY / "kustomize" / "overlays" / "release-plane"), "ServiceAccount"))
    for account in ("tidegate-workflows", "tidegate-metrics", "tidegate-follow-up", "tidegate-codec"):
        assert await call(api, account, "GET", f"{PAYMENTS}/pods") == 403
