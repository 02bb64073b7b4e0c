"""An Experiment object from its first look to its last pod: every way in which it ends, and what its status says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from sandbox.kubernetes_api.kinds import ANALYSIS_RUNS, EXPERIMENTS, PODS, REPLICA_SETS, SERVICES
from sandbox.kubernetes_api.objects import lookup, meta
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import IMAGE, World
from tidegate.contract import (
    EXPERIMENT_WORKFLOW,
    RELEASES_QUEUE,
    Document,
    ExperimentReport,
    ExperimentRequest,
    experiment_id,
)
from tidegate.contract.instances import INSTANCE_LABEL

NAME = "compare"
ANALYSIS: Document = {
    "name": "errors",
    "templateName": "checkout-canary-datadog",
    "args": [
        {"name": "service-name", "value": "checkout"},
        {"name": "canary-hash", "value": "{{templates.trial.podTemplateHash}}"},
    ],
}
REQUIRED = {**ANALYSIS, "requiredForCompletion": True}
BAD: list[float | None] = [0.2]
NOTHING: list[float | None] = [None]
MEASURED = "200s"  # in which the analysis measures; no reading is under way at its end, which this server takes ill


def template(name: str, tag: str = "1.0.0", **fields: Any) -> Document:
    """One template with a port, and labels of its own."""
    labels = {"app": "checkout", "side": name}
    container = {"name": "checkout", "image": f"{IMAGE}:{tag}", "ports": [{"name": "http", "containerPort": 8080}]}
    return {
        "name": name,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        **fields,
    }


def experiment(*templates: Document, **spec: Any) -> Document:
    """An Experiment of a baseline and a trial, unless other templates are given."""
    sides = templates or (template("baseline"), template("trial", replicas=2, service={}))
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"templates": list(sides), **spec},
    }


class Trial:
    """An Experiment in the cluster, and its workflow."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.handle: WorkflowHandle[Any, ExperimentReport]

    async def begin(self, document: Document) -> WorkflowHandle[Any, ExperimentReport]:
        """Apply it, and start its workflow as the watcher does."""
        self.world.cluster.apply(document)
        self.uid = str(meta(self.found)["uid"])
        self.handle = await self.start()
        return self.handle

    async def start(self) -> WorkflowHandle[Any, ExperimentReport]:
        return await self.world.client.start_workflow(
            EXPERIMENT_WORKFLOW,
            ExperimentRequest(namespace=NAMESPACE, name=NAME, uid=self.uid),
            id=experiment_id("default", NAMESPACE, NAME, self.uid),
            task_queue=RELEASES_QUEUE,
            result_type=ExperimentReport,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def carried_out(self, document: Document) -> Document:
        """Its status after its end."""
        return (await (await self.begin(document)).result()).status

    async def until(self, holds: Callable[[Document], bool]) -> Document:
        """Let time pass until the status in the cluster says so."""
        for _ in range(3600):
            if self.world.cluster.find(EXPERIMENTS, NAME) is not None and holds(self.status):
                return self.status
            await self.world.env.sleep(1)
        raise AssertionError(f"never came: {self.status}")

    @property
    def found(self) -> Document:
        found = self.world.cluster.find(EXPERIMENTS, NAME)
        assert found is not None
        return found

    @property
    def status(self) -> Document:
        return dict(self.found.get("status") or {})

    def edit(self, **spec: Any) -> None:
        """Change fields of the spec, as somebody with kubectl does."""
        self.world.cluster.change(EXPERIMENTS, NAME, lambda found: {**found, "spec": {**found["spec"], **spec}})

    def select(self, kind: Any) -> dict[str, Document]:
        """What it owns of a kind, by name."""
        owned = self.world.cluster.api.store.select(kind, NAMESPACE)
        uids = {str(meta(each)["name"]): lookup(each, "metadata", "ownerReferences") or [] for each in owned}
        return {
            str(meta(each)["name"]): each
            for each in owned
            if any(owner["uid"] == self.uid for owner in uids[str(meta(each)["name"])])
        }

    def pods(self) -> int:
        """How many pods there are."""
        return len(self.world.cluster.api.store.select(PODS, NAMESPACE))


@pytest.fixture
def trial(world: World) -> Trial:
    return Trial(world)


def phase(wanted: str) -> Callable[[Document], bool]:
    return lambda status: status.get("phase") == wanted


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def states(status: Document) -> dict[str, str]:
    return {each["name"]: each["status"] for each in status["templateStatuses"]}


async def test_it_runs_for_its_duration_and_nothing_is_left_running(trial: Trial) -> None:
    await trial.begin(experiment(duration="10m", scaleDownDelaySeconds=60))
    running = await trial.until(phase("Running"))
    assert states(running) == {"baseline": "Running", "trial": "Running"}
    one = next(each for each in running["templateStatuses"] if each["name"] == "trial")
    assert (one["replicas"], one["availableReplicas"], one["serviceName"]) == (2, 2, "compare-trial")
    service = trial.select(SERVICES)["compare-trial"]
    assert service["spec"]["selector"] == {"rollouts-pod-template-hash": one["podTemplateHash"]}
    assert service["spec"]["ports"][0]["port"] == 8080
    assert sorted(trial.select(REPLICA_SETS)) == ["compare-baseline", "compare-trial"]
    started = at(running["availableAt"])
    over = await trial.until(phase("Successful"))
    now = await trial.world.env.get_current_time()
    assert timedelta(minutes=10) <= now - started < timedelta(minutes=10, seconds=5)
    assert trial.pods() == 3  # the delay
    assert states(over) == {"baseline": "Successful", "trial": "Successful"}
    report = await trial.handle.result()
    assert await trial.world.env.get_current_time() - now >= timedelta(seconds=55)
    assert (trial.pods(), trial.select(SERVICES)) == (0, {})
    assert sorted(trial.select(REPLICA_SETS)) == ["compare-baseline", "compare-trial"]
    assert report.status == trial.status
    assert [each["replicas"] for each in trial.status["templateStatuses"]] == [0, 0]
    (condition,) = trial.status["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "Progressing",
        "False",
        "ExperimentCompleted",
    )


async def test_a_required_analysis_ends_it_well(trial: Trial) -> None:
    status = await trial.carried_out(experiment(analyses=[REQUIRED]))
    assert (status["phase"], status["message"]) == ("Successful", "Required AnalysisRuns completed")
    assert status["analysisRuns"] == [{"name": "errors", "analysisRun": "compare-errors", "phase": "Successful"}]
    run = trial.select(ANALYSIS_RUNS)["compare-errors"]
    assert run["status"]["phase"] == "Successful"
    hash_ = trial.select(REPLICA_SETS)["compare-trial"]["metadata"]["labels"]["rollouts-pod-template-hash"]
    assert {each["name"]: each.get("value") for each in run["spec"]["args"]}["canary-hash"] == hash_


async def test_a_failed_analysis_ends_all(trial: Trial) -> None:
    trial.world.datadog.answers["error-rate"] = BAD
    status = await trial.carried_out(experiment(duration="24h", analyses=[ANALYSIS]))
    assert status["phase"] == "Failed"
    assert "error-rate" in status["message"]
    assert [each["phase"] for each in status["analysisRuns"]] == ["Failed"]
    assert all("is running" not in each["message"] for each in status["conditions"])
    assert trial.pods() == 0


async def test_without_a_word_of_its_analysis_it_is_inconclusive(trial: Trial) -> None:
    trial.world.datadog.answers["error-rate"] = NOTHING
    status = await trial.carried_out(experiment(duration=MEASURED, analyses=[ANALYSIS]))
    assert status["phase"] == "Inconclusive"
    assert trial.pods() == 0


async def test_an_analysis_without_its_template_ends_it_before_any_pod_is_waited_for(trial: Trial) -> None:
    status = await trial.carried_out(experiment(duration="3m", analyses=[{"name": "a", "templateName": "none"}]))
    assert status["phase"] == "Error"
    assert status["message"] == (
        "AnalysisTemplate verification failed for analysis 'a': analysistemplate.argoproj.io \"none\" not found"
    )


async def test_terminate_ends_it(trial: Trial) -> None:
    await trial.begin(experiment(analyses=[ANALYSIS]))
    await trial.until(lambda status: bool(status.get("analysisRuns", [{}])[0].get("analysisRun")))
    report = await trial.handle.query("status", result_type=ExperimentReport)
    assert report.waiting_for == "somebody to end it: tidegate terminate experiment compare"
    await trial.world.env.sleep(timedelta(seconds=20))  # no reading is under way
    trial.edit(terminate=True)
    status = (await trial.handle.result()).status
    assert status["phase"] == "Successful"
    assert (trial.pods(), [each["phase"] for each in status["analysisRuns"]]) == (0, ["Successful"])


@pytest.mark.parametrize("by", ["signal", "cancellation"])
async def test_a_message_ends_it_as_well(trial: Trial, by: str) -> None:
    await trial.begin(experiment(duration="24h"))
    await trial.until(phase("Running"))
    await (trial.handle.signal("terminate") if by == "signal" else trial.handle.cancel())
    assert (await trial.handle.result()).status["phase"] == "Successful"
    assert trial.pods() == 0


async def test_pods_that_do_not_come_fail_it_at_the_deadline(trial: Trial) -> None:
    trial.world.cluster.never_ready.add(f"{IMAGE}:9.9.9")
    sides = (template("baseline"), template("trial", "9.9.9"))
    await trial.begin(experiment(*sides, duration="10m", progressDeadlineSeconds=120))
    began = await trial.world.env.get_current_time()
    status = await trial.until(phase("Failed"))
    assert await trial.world.env.get_current_time() - began >= timedelta(seconds=119)
    assert status["message"] == "Template 'trial' exceeded its progressDeadlineSeconds (120)"
    assert states(status) == {"baseline": "Successful", "trial": "Failed"}
    await trial.handle.result()
    assert trial.pods() == 0


async def test_its_deletion_ends_the_workflow(trial: Trial) -> None:
    await trial.begin(experiment(duration="24h", analyses=[ANALYSIS]))
    await trial.until(phase("Running"))
    trial.world.cluster.delete(EXPERIMENTS, NAME)
    assert (await trial.handle.result()).left == "its object was deleted"
    assert (trial.select(REPLICA_SETS), trial.pods()) == ({}, 0)


async def test_one_that_is_given_to_another_controller_is_left_as_it_is(trial: Trial) -> None:
    await trial.begin(experiment(duration="24h"))
    status = await trial.until(phase("Running"))
    labels = {INSTANCE_LABEL: "argo"}
    trial.world.cluster.change(
        EXPERIMENTS, NAME, lambda found: {**found, "metadata": {**meta(found), "labels": labels}}
    )
    assert "the controller of this Experiment is" in (await trial.handle.result()).left
    assert (trial.pods(), trial.status) == (3, status)


async def test_a_second_start_changes_nothing(trial: Trial) -> None:
    first = await trial.begin(experiment(duration="10m"))
    await trial.until(phase("Running"))
    second = await trial.start()
    assert second.first_execution_run_id == first.first_execution_run_id
    await first.result()
    before = trial.status
    third = await trial.start()  # from a stale list
    assert (await third.result()).status == before == trial.status


async def test_another_run_goes_on_where_one_was_terminated(trial: Trial) -> None:
    await trial.begin(experiment(duration="10m"))
    running = await trial.until(phase("Running"))
    await trial.world.env.sleep(timedelta(minutes=4))
    await trial.handle.terminate()
    trial.handle = await trial.start()
    over = await trial.until(phase("Successful"))
    assert over["availableAt"] == running["availableAt"]
    now = await trial.world.env.get_current_time()
    assert now - at(running["availableAt"]) < timedelta(minutes=10, seconds=5)
    await trial.handle.result()
    assert trial.pods() == 0


async def test_edits_of_a_running_one_count(trial: Trial) -> None:
    await trial.begin(experiment(duration="24h", scaleDownDelaySeconds=0))
    await trial.until(phase("Running"))
    trial.edit(templates=[template("trial", replicas=3), template("third")])
    await trial.until(lambda status: states(status) == {"trial": "Running", "third": "Running"})
    assert trial.pods() == 4  # without those of the template that was taken out
    trial.edit(duration="1s")
    assert (await trial.handle.result()).status["phase"] == "Successful"
    assert trial.pods() == 0


async def test_an_edit_that_is_not_valid_is_named_and_the_experiment_goes_on(trial: Trial) -> None:
    await trial.begin(experiment(duration="10m"))
    await trial.until(phase("Running"))
    trial.edit(duration="ten")
    status = await trial.until(lambda status: any(each["type"] == "InvalidSpec" for each in status["conditions"]))
    assert 'invalid duration "ten"' in status["conditions"][-1]["message"]
    assert (status["phase"], trial.pods()) == ("Running", 3)
    over = (await trial.handle.result()).status
    assert over["phase"] == "Successful"
    assert trial.pods() == 0


async def test_a_spec_that_is_not_valid_is_named_and_carried_out_once_it_is(trial: Trial) -> None:
    good = experiment(duration="1m")
    bad = experiment(template("a"), template("a"))
    await trial.begin(bad)
    status = await trial.until(lambda status: bool(status.get("conditions")))
    (condition,) = status["conditions"]
    assert (condition["type"], condition["reason"]) == ("InvalidSpec", "InvalidSpec")
    assert condition["message"] == "Experiment compare has repeated template name 'a' in templates"
    assert "phase" not in status
    trial.edit(**good["spec"])
    status = (await trial.handle.result()).status
    assert status["phase"] == "Successful"
    assert [each["type"] for each in status["conditions"]] == ["Progressing"]


async def test_what_the_cluster_refuses_is_named_and_tried_again(trial: Trial) -> None:
    trial.world.cluster.deny("create", "replicasets", "exceeded quota: pods")
    await trial.begin(experiment(duration="1m"))
    status = await trial.until(lambda status: "quota" in status.get("templateStatuses", [{}])[0].get("message", ""))
    assert status["phase"] == "Pending"
    trial.world.cluster.deny("create", "replicasets", "")
    assert (await trial.handle.result()).status["phase"] == "Successful"


async def test_a_name_that_another_object_has_is_an_error(trial: Trial) -> None:
    trial.world.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "taken", "namespace": NAMESPACE},
            "spec": {"ports": [{"port": 80}]},
        }
    )
    status = await trial.carried_out(experiment(template("a", service={"name": "taken"}), duration="1m"))
    assert status["phase"] == "Error"
    assert "exists and does not belong to Experiment compare" in status["message"]
    assert trial.pods() == 0
    assert trial.world.cluster.find(SERVICES, "taken") is not None


async def test_a_status_that_is_taken_away_is_another_try(trial: Trial) -> None:
    await trial.carried_out(experiment(analyses=[REQUIRED]))
    trial.world.cluster.change(EXPERIMENTS, NAME, lambda found: {**found, "status": None})
    trial.handle = await trial.start()
    running = await trial.until(phase("Running"))
    assert states(running) == {"baseline": "Running", "trial": "Running"}
    status = (await trial.handle.result()).status
    assert status["phase"] == "Successful"
    assert status["analysisRuns"][0]["analysisRun"] == "compare-errors.1"
    assert trial.pods() == 0
