"""An experiment step in the life of a release: every way in which it ends, and that nothing of it is left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from activities.kubernetes.ownership import PART_OF_EXPERIMENT
from sandbox.kubernetes_api.kinds import REPLICA_SETS, SERVICES, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import lookup, meta
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import IMAGE, World
from tests.workflows.test_proven import TEMPLATE as COMPARISON
from tidegate.contract import Accepted, ErrorType, ReleaseRequest, ReleaseResult, ReleaseStatus

BAD: dict[str, list[float | None]] = {"error-rate": [0.2]}
IN_THE_BAND: dict[str, list[float | None]] = {"error-rate": [0.02]}
NOTHING: dict[str, list[float | None]] = {"error-rate": [None]}
MEASURED = "3m"  # in which the analysis measures, and is not over
TEMPLATES: list[dict[str, Any]] = [
    {"name": "baseline", "specRef": "stable"},
    {"name": "trial", "specRef": "canary", "weight": 5},
]
ANALYSIS: dict[str, Any] = {
    "name": "compare",
    "templateName": "checkout-canary-datadog",
    "args": [
        {"name": "service-name", "value": "checkout"},
        {"name": "canary-hash", "value": "{{templates.trial.podTemplateHash}}"},
    ],
}

Edit = Callable[[dict[str, Any]], None]


def experiment(*, after: list[dict[str, Any]] | None = None, **fields: Any) -> Edit:
    """Steps of 10 percent, an experiment, 50 percent; no other analysis."""

    def edit(rollout: dict[str, Any]) -> None:
        canary = rollout["spec"]["strategy"]["canary"]
        canary.pop("analysis")
        canary["steps"] = [{"setWeight": 10}, {"experiment": {"templates": TEMPLATES, **fields}}]
        canary["steps"] += [{"setWeight": 50}] if after is None else after

    return edit


def left(world: World) -> list[str]:
    """Names of what stands of experiments, routes to them included."""
    store = world.cluster.api.store
    found = [each for kind in (REPLICA_SETS, SERVICES) for each in store.select(kind, NAMESPACE)]
    marked = [str(meta(each)["name"]) for each in found if PART_OF_EXPERIMENT in (meta(each).get("labels") or {})]
    routes = lookup(world.cluster.find(VIRTUAL_SERVICES, "checkout-vsvc") or {}, "spec", "http") or []
    hosts = [each["destination"]["host"] for route in routes for each in route["route"]]
    return marked + [host for host in hosts if host not in ("checkout-stable", "checkout-canary")]


def standing(status: ReleaseStatus) -> bool:
    return status.waiting is not None and status.waiting.what.startswith("experiment checkout-")


async def ended_badly(handle: WorkflowHandle[Any, Any]) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


async def test_it_lasts_as_long_as_it_says_and_then_the_release_goes_on(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", experiment(duration="10m")))
    status = await world.until(handle, standing)
    assert status.waiting is not None
    assert status.waiting.until is not None
    assert (status.waiting.until - status.waiting.since).total_seconds() == 600
    name = f"checkout-{status.desired_hash}-2-1"
    assert sorted(left(world)) == [f"{name}-baseline", *[f"{name}-trial"] * 3]
    result = await handle.result()
    assert result.outcome == "Healthy"
    step = result.status.steps[1]
    assert step.started_at is not None
    assert step.finished_at is not None
    assert (step.finished_at - step.started_at).total_seconds() >= 600
    assert left(world) == []


async def test_its_analyses_look_at_its_templates_and_end_it_when_they_are_required(world: World) -> None:
    await world.deploy_stable()
    analysis = {**ANALYSIS, "requiredForCompletion": True}
    result = await (await world.start(world.request("1.1.0", experiment(analyses=[analysis])))).result()
    assert result.outcome == "Healthy"
    (run,) = result.status.analyses
    assert (run.kind, run.step, run.status.phase) == ("Experiment", 1, "Successful")
    assert run.name == f"checkout-{result.hash}-2-1-compare"
    assert left(world) == []


async def test_an_analysis_that_is_not_required_does_not_keep_it(world: World) -> None:
    """It ends with the experiment, and what it has measured is its verdict."""
    await world.deploy_stable()
    request = world.request("1.1.0", experiment(duration=MEASURED, analyses=[ANALYSIS]))
    result = await (await world.start(request)).result()
    assert result.outcome == "Healthy"
    (run,) = result.status.analyses
    assert run.status.phase == "Successful"
    assert run.status.completed_at is not None
    assert run.status.completed_at - run.status.started_at < timedelta(minutes=10)
    assert left(world) == []


def comparing(world: World, tag: str, *templates: dict[str, Any]) -> ReleaseRequest:
    """An experiment that ends with the comparison of its two templates."""
    analysis = {"name": "compare", "templateName": "as-good-as-stable", "requiredForCompletion": True}
    request = world.request(tag, experiment(templates=list(templates), analyses=[analysis]))
    return request.model_copy(update={"templates": (*request.templates, COMPARISON)})


SIDES = ({"name": "baseline", "specRef": "stable", "weight": 5}, {"name": "trial", "specRef": "canary", "weight": 5})


async def test_two_templates_with_the_same_share_are_compared(world: World) -> None:
    await world.deploy_stable()
    stable = world.cluster.stable_hash
    handle = await world.start(comparing(world, "1.1.0", *SIDES))
    status = await world.until(handle, lambda s: any(run.status.phase.completed for run in s.analyses))
    await handle.terminate()  # its pods linger, and this server skips no time after a reading that was let go
    (run,) = status.analyses
    assert (run.kind, run.status.phase) == ("Experiment", "Successful")
    assert run.status.metrics[0].measurements[-1].value.startswith("Proven, errors:")
    (begun,) = world.datadog.counting.begun
    name = f"{status.desired_hash}-2-1"
    assert (begun.target.canary, begun.target.stable) == (f"{name}-trial", f"{name}-baseline")
    assert (begun.target.hour, begun.kind) == (stable, "Experiment")
    (weight,) = world.datadog.counting.read[-1].weights
    assert (weight.share, weight.canary_pods, weight.stable_pods, weight.last) == (0.5, 1, 1, True)


async def test_a_comparison_without_two_templates_is_refused(world: World) -> None:
    await world.deploy_stable()
    error = await ended_badly(await world.start(comparing(world, "1.1.0", *TEMPLATES)))
    assert error.type == ErrorType.INVALID_SPEC
    assert "as-good-as-stable has no two templates to compare" in error.message


@pytest.mark.parametrize("answers", [IN_THE_BAND, NOTHING])
async def test_one_that_has_lasted_without_a_word_of_its_analysis_holds_for_a_person(
    world: World, answers: dict[str, list[float | None]]
) -> None:
    """No data and readings that cannot tell are no success, however long it stood (law 4)."""
    await world.deploy_stable()
    world.datadog.answers = dict(answers)
    handle = await world.start(world.request("1.1.0", experiment(duration=MEASURED, analyses=[ANALYSIS])))
    status = await world.until(handle, lambda s: s.message == "InconclusiveExperiment")
    assert [run.status.phase for run in status.analyses] == ["Inconclusive"]
    await world.env.sleep(60)
    assert left(world) == []
    await handle.signal("promote")
    assert (await handle.result()).outcome == "Healthy"


async def test_a_failed_analysis_ends_the_release(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = dict(BAD)
    handle = await world.start(world.request("1.1.0", experiment(duration="1h", analyses=[ANALYSIS])))
    error = await ended_badly(handle)
    assert error.type == ErrorType.ROLLOUT_ABORTED
    assert 'Metric "error-rate" assessed Failed' in error.message
    assert left(world) == []
    assert world.cluster.wanted()[:1] == [8]


async def test_an_analysis_that_cannot_tell_holds_for_a_person_without_the_experiment(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = dict(IN_THE_BAND)
    handle = await world.start(world.request("1.1.0", experiment(duration="1h", analyses=[ANALYSIS])))
    status = await world.until(handle, lambda s: s.message == "InconclusiveExperiment")
    assert status.waiting is not None
    assert "operator" in status.waiting.who
    await world.env.sleep(60)
    assert left(world) == []
    await handle.signal("promote")
    assert (await handle.result()).outcome == "Healthy"


async def test_pods_that_do_not_come_end_the_release(world: World) -> None:
    await world.deploy_stable()
    templates = [{**TEMPLATES[1], "metadata": {"labels": {"trial": "yes"}}}]
    world.cluster.never_ready.add(f"{IMAGE}:1.1.0")

    def without_canary_pods(rollout: dict[str, Any]) -> None:
        experiment(templates=templates, duration="1h")(rollout)
        rollout["spec"]["strategy"]["canary"]["steps"].pop(0)

    error = await ended_badly(await world.start(world.request("1.1.0", without_canary_pods)))
    assert "Template 'trial' exceeded its progressDeadlineSeconds (600)" in error.message
    assert left(world) == []


@pytest.mark.parametrize("message", ["abort", "promote", "promote full", "supersede", "back", "cancel"])
async def test_whoever_ends_it_nothing_is_left(world: World, message: str) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", experiment(duration="1h", analyses=[ANALYSIS])))
    await world.until(handle, standing)
    assert left(world)
    if message == "cancel":
        await handle.cancel()
    elif message in ("supersede", "back"):
        newer = world.request("1.2.0" if message == "supersede" else "1.0.0", experiment(duration="1s"))
        await handle.execute_update("release", newer, result_type=Accepted)
    else:
        await handle.signal(message.split()[0], {"full": True} if message.endswith("full") else {})
    if message in ("abort", "cancel"):
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert world.cluster.wanted()[0] == 8
    else:
        result: ReleaseResult = await handle.result()
        assert result.outcome == "Healthy"
    assert left(world) == []


@pytest.mark.parametrize(("verb", "plural"), [("create", "services"), ("patch", "virtualservices")])
async def test_an_abort_while_it_is_being_raised_leaves_nothing(world: World, verb: str, plural: str) -> None:
    await world.deploy_stable()

    def alone(rollout: dict[str, Any]) -> None:
        experiment(duration="1h")(rollout)
        rollout["spec"]["strategy"]["canary"]["steps"].pop(0)

    hold = world.cluster.hold(verb, plural)
    handle = await world.start(world.request("1.1.0", alone))
    await hold.begun.wait()
    assert left(world)
    await handle.signal("abort")
    await world.until(handle, lambda s: s.phase == "Degraded", between_passes=False)
    hold.go_on.set()
    await ended_badly(handle)
    assert left(world) == []


async def test_two_of_them_in_a_row_each_have_their_own_pods(world: World) -> None:
    await world.deploy_stable()
    again = {"experiment": {"templates": TEMPLATES, "analyses": [{**ANALYSIS, "requiredForCompletion": True}]}}
    request = world.request("1.1.0", experiment(duration="1s", after=[again]))
    result = await (await world.start(request)).result()
    created = [value for what, value in world.cluster.writes if what == "create"]
    trials = [name for name in created if name.endswith("-trial")]
    assert trials == [f"checkout-{result.hash}-2-{step}-trial" for step in (1, 2)]
    assert left(world) == []


async def test_one_that_only_a_person_can_end_ends_at_the_limit_of_the_hold(world: World) -> None:
    await world.deploy_stable()

    def limited(rollout: dict[str, Any]) -> None:
        experiment()(rollout)
        rollout["metadata"]["annotations"] = {"tidegate.io/hold-limit": "30m"}

    error = await ended_badly(await world.start(world.request("1.1.0", limited)))
    assert error.type == ErrorType.ROLLOUT_INCONCLUSIVE
    assert left(world) == []


@pytest.mark.parametrize(
    ("analysis", "complaint"),
    [
        ({**ANALYSIS, "templateName": "nowhere"}, "nowhere"),
        ({**ANALYSIS, "args": [{"name": "service-name", "value": "checkout"}]}, "args.canary-hash was not resolved"),
        (
            {**ANALYSIS, "args": [*ANALYSIS["args"], {"name": "x", "value": "{{templates.other.podTemplateHash}}"}]},
            "failed to resolve {{templates.other.podTemplateHash}}",
        ),
    ],
)
async def test_analyses_that_cannot_be_made_are_refused_before_anything_is_touched(
    world: World, analysis: dict[str, Any], complaint: str
) -> None:
    await world.deploy_stable()
    error = await ended_badly(await world.start(world.request("1.1.0", experiment(analyses=[analysis]))))
    assert error.type == ErrorType.INVALID_SPEC
    assert complaint in error.message
    assert world.cluster.writes == []
