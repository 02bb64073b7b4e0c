"""Everything that a step can be, in one release: it needs all the rights that a role has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from activities.kubernetes.client import ANALYSIS_RUNS, ANALYSIS_TEMPLATES, JOBS, PODS, VIRTUAL_SERVICES, Object
from activities.metrics.job.objects import RUN_NAME
from tests.kubernetes.apps import App, version
from tests.kubernetes.hands import Kubectl
from tests.kubernetes.plane import Plane

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def measured() -> AsyncIterator[str]:
    """Address of a server that says that all is well."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"errors": 0})

    server = web.Application()
    server.router.add_get("/", answer)
    runner = web.AppRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


def template(app: App, name: str, provider: Object, **metric: object) -> Object:
    return {
        "apiVersion": ANALYSIS_TEMPLATES.api_version,
        "kind": ANALYSIS_TEMPLATES.kind,
        "metadata": {"name": f"{app.name}-{name}", "namespace": app.namespace},
        "spec": {"metrics": [{"name": name, "provider": provider, **metric}]},
    }


async def test_a_release_with_all_kinds_of_steps_is_promoted(app: App, plane: Plane, measured: str) -> None:
    job = {"spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [_busybox()]}}}}
    web_metric = {"url": measured, "jsonPath": "{$.errors}"}
    await plane.create(
        [
            template(app, "job", {"job": job}),
            template(app, "web", {"web": web_metric}, successCondition="result == 0", interval="2s", count=2),
        ]
    )
    by_web = [{"templateName": f"{app.name}-web"}]
    experiment = {"templates": [{"name": "baseline", "specRef": "stable"}, {"name": "canary", "specRef": "canary"}]}
    steps: list[Object] = [
        {"setCanaryScale": {"replicas": 1}},
        {"setHeaderRoute": {"name": "qa", "match": [{"headerName": "x-qa", "headerValue": {"exact": "yes"}}]}},
        {"pause": {}},
        {"setCanaryScale": {"matchTrafficWeight": True}},
        {"setWeight": 20},
        {"experiment": {**experiment, "duration": "3s", "analyses": [{"name": "web", **by_web[0]}]}},
        {"analysis": {"templates": [{"templateName": f"{app.name}-job"}, *by_web]}},
        {"setWeight": 60},
    ]
    manifest = app.manifest(
        steps,
        analysis={"templates": by_web, "startingStep": 4},
        canaryMetadata={"labels": {"role": "canary"}},
        stableMetadata={"labels": {"role": "stable"}},
    )
    manifest["spec"]["strategy"]["canary"]["trafficRouting"]["managedRoutes"] = [{"name": "qa"}]
    await app.create(manifest)
    stable = (await app.healthy())["stableRS"]
    kubectl = Kubectl(plane)
    await kubectl.set_image(*app.where, version(7))
    new = (await app.paused_at(2))["currentPodHash"]
    routes = (await plane.cluster.get(VIRTUAL_SERVICES, *app.where))["spec"]["http"]
    assert routes[0]["name"] == "qa"
    assert await roles(app) == {new: {"canary"}, stable: {"stable"}}
    await kubectl.promote(*app.where)
    assert (await app.until(lambda s: s["phase"] == "Healthy" and s["stableRS"] == new, 120))["stableRS"] == new
    routes = (await plane.cluster.get(VIRTUAL_SERVICES, *app.where))["spec"]["http"]
    assert [each["name"] for each in routes] == ["primary"]
    assert [each["weight"] for each in routes[0]["route"]] == [100, 0]
    runs = await plane.cluster.select(ANALYSIS_RUNS, app.namespace, {})
    mine = [each for each in runs if each["metadata"]["name"].startswith(app.name)]
    assert len(mine) == 3
    assert {each["status"]["phase"] for each in mine} == {"Successful"}, json.dumps(mine)
    jobs = await plane.cluster.select(JOBS, app.namespace, {})
    names = {each["metadata"]["name"] for each in mine}
    measured_by = [each for each in jobs if (each["metadata"].get("annotations") or {}).get(RUN_NAME) in names]
    assert [each["status"].get("succeeded") for each in measured_by] == [1]


def _busybox() -> Object:
    return {"name": "job", "image": "registry.k8s.io/e2e-test-images/busybox:1.29-4", "command": ["true"]}


async def roles(app: App) -> dict[str, set[str]]:
    """By hash, what its pods have as their role."""
    found: dict[str, set[str]] = {}
    for pod in await app.plane.cluster.select(PODS, app.namespace, {"app": app.name}):
        labels = pod["metadata"]["labels"]
        found.setdefault(labels["rollouts-pod-template-hash"], set()).add(str(labels.get("role")))
    return found
