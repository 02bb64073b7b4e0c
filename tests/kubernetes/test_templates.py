"""Versions are told apart by their templates, whatever an API server or a CRD fills in."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.kubernetes.client import DEPLOYMENTS, REPLICA_SETS, Object
from tests.kubernetes import crds as definitions
from tests.kubernetes import given
from tests.kubernetes.apps import App, version
from tests.kubernetes.installed import Installed
from tests.sandbox.kubernetes.kubectl import KUBECTL, run

pytestmark = pytest.mark.asyncio(loop_scope="session")

TIDEGATE = KUBECTL.with_name("tidegate")


async def started(tidegate: Installed, app: App, manifest: Object) -> tuple[int, str]:
    """`tidegate start -f`, as a pipeline runs it."""
    words = ("start", "-f", app.plane.file(*app.around(), manifest), "--cluster", tidegate.name)
    return await run(str(TIDEGATE), *words, TEMPORAL_ADDRESS=tidegate.temporal, HOME=str(app.plane.home))


async def test_a_start_of_what_stands_releases_nothing(app: App, tidegate: Installed) -> None:
    manifest = app.manifest()
    await app.create(manifest)
    stable = (await app.healthy())["stableRS"]
    pods = await app.pods()
    code, said = await started(tidegate, app, manifest)
    assert code == 0, said
    code, said = await started(tidegate, app, manifest)
    assert code == 0, said
    await app.patch('{"spec": {"progressDeadlineSeconds": 599}}')  # what comes after it is seen
    assert (await app.healthy())["stableRS"] == stable
    assert set(await app.sets()) == {stable}
    assert await app.pods() == pods


async def test_an_unrelated_edit_releases_nothing(app: App) -> None:
    await app.create()
    stable = (await app.healthy())["stableRS"]
    scale = ("scale", "rollouts.argoproj.io", app.name, "-n", app.namespace, "--replicas=3")
    await app.plane.kubectl(*scale)
    found = await app.until(lambda s: s["phase"] == "Healthy" and s.get("availableReplicas") == 3)
    assert found["stableRS"] == stable
    assert set(await app.sets()) == {stable}


async def test_a_change_of_the_definitions_releases_nothing(app: App, crds: Path) -> None:
    await app.create()
    stable = (await app.healthy())["stableRS"]
    other = (
        given.path(given.ARGO_CRDS, "a folder with Argo's definitions") if crds == definitions.OWN else definitions.OWN
    )
    await definitions.put(app.plane, other)
    try:
        await app.plane.kubectl("scale", "rollouts.argoproj.io", app.name, "-n", app.namespace, "--replicas=3")
        found = await app.until(lambda s: s["phase"] == "Healthy" and s.get("availableReplicas") == 3)
        assert found["stableRS"] == stable
        assert set(await app.sets()) == {stable}
    finally:
        await definitions.put(app.plane, crds)


async def test_the_template_of_a_deployment_is_released(app: App, tidegate: Installed) -> None:
    manifest = app.manifest()
    template = manifest["spec"].pop("template")
    selector = manifest["spec"].pop("selector")
    reference = {"apiVersion": DEPLOYMENTS.api_version, "kind": DEPLOYMENTS.kind, "name": app.name}
    manifest["spec"]["workloadRef"] = {**reference, "scaleDown": "onsuccess"}
    deployment = {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": {"name": app.name, "namespace": app.namespace},
        "spec": {"replicas": 2, "selector": selector, "template": template},
    }
    await app.plane.create([deployment])
    await app.create(manifest)
    stable = (await app.healthy())["stableRS"]
    await app.plane.wait(DEPLOYMENTS, *app.where, lambda found: found["spec"]["replicas"] == 0)
    image = f"app={version(7)}"
    await app.plane.kubectl("set", "image", f"deployment/{app.name}", image, "-n", app.namespace)
    found = await app.paused_at(1)
    assert found["currentPodHash"] != stable
    await app.weight_is(20)
    name = f"{app.name}-{found['currentPodHash']}"
    made = await app.plane.cluster.get(REPLICA_SETS, app.namespace, name)
    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == version(7)
