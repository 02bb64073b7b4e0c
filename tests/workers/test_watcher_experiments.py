"""Experiment objects between an embedded Kubernetes API and a real Temporal server: started by the watcher alone."""

from __future__ import annotations

import pytest

from activities.kubernetes.client import EXPERIMENTS, REPLICA_SETS, Object
from tests.workers.watched import NAMESPACE, TERMINATES, Place
from tidegate.client import ExperimentRef, NotFoundError, RefusedError
from tidegate.contract.instances import INSTANCE_LABEL

pytestmark = [pytest.mark.asyncio(loop_scope="module"), TERMINATES]


def experiment(name: str, **metadata: object) -> Object:
    labels = {"app": name}
    template = {
        "name": "a",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "shop:1"}]}},
    }
    return {
        "apiVersion": EXPERIMENTS.api_version,
        "kind": EXPERIMENTS.kind,
        "metadata": {"name": name, **metadata},
        "spec": {"templates": [template], "scaleDownDelaySeconds": 0},
    }


async def phase(place: Place, name: str, wanted: str) -> Object:
    path = EXPERIMENTS.path(NAMESPACE, name)
    return await place.kube.eventually(path, lambda found: (found.get("status") or {}).get("phase") == wanted)


async def test_an_experiment_is_run_once_whoever_watches_and_dies(place: Place) -> None:
    await place.kube.create(EXPERIMENTS.path(NAMESPACE), experiment("alone"))
    await place.kube.create(EXPERIMENTS.path(NAMESPACE), experiment("other", labels={INSTANCE_LABEL: "argo"}))
    alone = ExperimentRef(NAMESPACE, "alone", place.name)
    async with place.watching(), place.watching():
        await phase(place, "alone", "Running")
    async with place.watching():  # sees everything once more, and has nothing to add
        await place.client.terminate_experiment(alone)
        await phase(place, "alone", "Successful")
        sets = await place.kube.eventually(
            REPLICA_SETS.path(NAMESPACE, "alone-a"), lambda found: found["spec"]["replicas"] == 0
        )
    assert sets["metadata"]["ownerReferences"][0]["kind"] == "Experiment"
    await place.kube.eventually(EXPERIMENTS.path(NAMESPACE, "other"), lambda found: "status" not in found)
    handle = place.temporal.get_workflow_handle(
        (await place.client.list_experiments(cluster=place.name))[-1].workflow_id
    )
    assert (await handle.result())["status"]["phase"] == "Successful"
    report = await place.client.experiment_status(alone)
    assert (report.name, report.status["phase"]) == ("alone", "Successful")
    with pytest.raises(RefusedError, match="it is over"):
        await place.client.terminate_experiment(alone)
    with pytest.raises(NotFoundError):
        await place.client.experiment_status(ExperimentRef(NAMESPACE, "none", place.name))
