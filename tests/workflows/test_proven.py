"""A release that compares its version with stable: pauses end once enough is proven, and full traffic comes after."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from tests.virtual.releases import World
from tests.workflows.edits import with_steps
from tests.workflows.watched import failure
from tidegate.contract import Document, ReleaseRequest

PAUSE: Document = {"pause": {"duration": "10h"}}
TEMPLATE: Document = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AnalysisTemplate",
    "metadata": {"name": "as-good-as-stable"},
    "spec": {
        "metrics": [
            {
                "name": "as-good-as-stable",
                "provider": {
                    "plugin": {
                        "tidegate/compare": {
                            "datadog": {"service": "checkout", "operation": "http.request"},
                            "versions": {"canary": "2", "stable": "1"},
                            "events": [{"name": "errors"}],
                        }
                    }
                },
            }
        ]
    },
}


def compared(world: World, tag: str, **annotations: str) -> ReleaseRequest:
    """Two weights, a pause of ten hours at each, and a comparison beside them."""

    def edit(rollout: dict[str, Any]) -> None:
        with_steps({"setWeight": 20}, PAUSE, {"setWeight": 50}, PAUSE)(rollout)
        rollout["spec"]["strategy"]["canary"]["analysis"] = {"templates": [{"templateName": "as-good-as-stable"}]}
        named = {name.replace("_", "-"): value for name, value in annotations.items()}
        rollout["metadata"].setdefault("annotations", {}).update({f"tidegate.io/{key}": named[key] for key in named})

    request = world.request(tag, edit)
    return request.model_copy(update={"templates": (*request.templates, TEMPLATE)})


async def test_a_pause_ends_once_enough_is_proven_and_full_traffic_comes_after_the_proof(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(compared(world, "1.1.0", advance="when-proven"))
    result = await handle.result()
    assert result.outcome == "Healthy"
    (run,) = result.status.analyses
    (metric,) = run.status.metrics
    assert (run.status.phase, metric.measurements[-1].metadata["ruling"]) == ("Successful", "clear")
    early = [event for event in result.status.events if "the pause ends early" in event.message]
    assert len(early) == 2
    weights = world.datadog.counting.read[-1].weights
    assert [(weight.share, weight.index, weight.last) for weight in weights] == [(0.2, 0, False), (0.5, 1, True)]
    assert world.datadog.counting.read[-1].concludes


@pytest.mark.long
async def test_a_version_with_more_errors_is_aborted_with_the_sentence(world: World) -> None:
    world.datadog.counting.times = 5.0
    await world.deploy_stable()
    handle = await world.start(compared(world, "1.1.0"))
    error, result = await failure(handle)
    assert "Harm, errors:" in error.message
    assert (result.status.actual_weight, result.status.phase) == (0, "Degraded")


@pytest.mark.parametrize(
    ("annotations", "text"),
    [
        ({"advance": "soon"}, "metadata.annotations['tidegate.io/advance']: 'soon': write when-proven"),
        ({"bake": "30m"}, "a comparison without the event errors has nothing to look at"),
    ],
)
async def test_what_a_comparison_cannot_do_is_refused(world: World, annotations: dict[str, str], text: str) -> None:
    await world.deploy_stable()
    request = compared(world, "1.1.0", **annotations)
    (metric,) = copy.deepcopy(TEMPLATE)["spec"]["metrics"]
    metric["provider"]["plugin"]["tidegate/compare"]["events"] = [{"name": "slow90"}]
    slow = {**TEMPLATE, "spec": {"metrics": [metric]}}
    handle = await world.start(request.model_copy(update={"templates": (*request.templates[:-1], slow)}))
    with pytest.raises(WorkflowFailureError, check=lambda error: text in str(error.cause)):
        await handle.result()
