"""The judge of the chaos rounds can fail: forged journals, each with one thing in it that is against a law."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from activities.kubernetes.client import FENCE_ANNOTATION
from activities.kubernetes.replica_sets import HASH_LABEL, PROMOTED_AT
from tests.chaos.effects import Abort, Heard
from tests.chaos.effects import judge as judge_effects
from tests.chaos.laws import Judge, Line, Reader, Request
from tests.chaos.manifests import NAMESPACE, Shape, around, rollout, sides, version
from tests.chaos.scene import Outcome, Wanted
from tests.chaos.stands import complaints

NAME, STABLE, CANARY = "plain0", "aaa", "bbb"
BEGAN = 1_000.0  # of the release, in seconds


class Forger:
    """Writes a journal of a release from `1.0.0` to another tag, a second for each write."""

    def __init__(self, tag: str = "1.1.0") -> None:
        self.tag = tag
        self.lines: list[Line] = []
        self.rollout = rollout(NAME, tag, "file:///nowhere")
        self.rollout["metadata"]["generation"] = 2
        services, self.route = around(NAME, "http://x")[:2], around(NAME, "http://x")[2]
        self._sequence = 0
        self._at = BEGAN
        self.set(STABLE, "1.0.0", 3, promoted="2026-01-01T00:00:00Z")
        for service, hash_ in zip(services, (STABLE, CANARY), strict=True):
            self.select(service, hash_)
        self.weigh(0)
        self.say(observedGeneration="2", currentPodHash=CANARY)
        self.set(CANARY, tag, 3)

    def _write(self, kind: str, found: dict[str, Any], what: str = "MODIFIED") -> None:
        self._at += 1.0
        self.lines.append(Line(self._at, what, kind, json.loads(json.dumps(found))))

    def delete(self, kind: str, found: dict[str, Any]) -> None:
        self._write(kind, found, "DELETED")

    def say(self, **status: Any) -> None:
        self.rollout["status"] = {**self.rollout.get("status", {}), **status}
        self._write("Rollout", self.rollout)

    def select(self, service: dict[str, Any], hash_: str) -> None:
        service["spec"]["selector"][HASH_LABEL] = hash_
        self._write("Service", service)

    def weigh(self, canary: int, *, epoch: float = BEGAN, sequence: int | None = None) -> None:
        self._sequence = self._sequence + 1 if sequence is None else sequence
        rows = self.route["spec"]["http"][0]["route"]
        rows[0]["weight"], rows[1]["weight"] = 100 - canary, canary
        self.route["metadata"]["annotations"] = {FENCE_ANNOTATION: f"{int(epoch * 1000)}.{self._sequence}"}
        self._write("VirtualService", self.route)

    def set(self, hash_: str, tag: str, pods: int, *, available: int | None = None, promoted: str = "") -> None:
        """A ReplicaSet as it stands from now on."""
        document = rollout(NAME, tag, "file:///nowhere")
        found = {
            "metadata": {
                "name": f"{NAME}-{hash_}",
                "namespace": NAMESPACE,
                "labels": {HASH_LABEL: hash_},
                "annotations": {PROMOTED_AT: promoted} if promoted else {},
                "ownerReferences": [{"kind": "Rollout", "name": NAME}],
            },
            "spec": {"replicas": pods, "template": document["spec"]["template"]},
            "status": {"availableReplicas": pods if available is None else available},
        }
        self._write("ReplicaSet", found)

    @property
    def at(self) -> float:
        """When the last write was."""
        return self._at

    def judged(self, *by_hand: str) -> Judge:
        judge = Judge()
        judge.take(self.lines[:1])
        judge.lives[NAME].by_hand.update(by_hand)
        judge.take(self.lines[1:])
        return judge


def healthy(forger: Forger) -> None:
    """From 20 % to the end, as it should be."""
    for weight in (20, 60, 100):
        forger.weigh(weight)
    forger.set(CANARY, forger.tag, 3, promoted="2026-01-02T00:00:00Z")
    forger.select(around(NAME, "http://x")[0], CANARY)
    forger.weigh(0)
    forger.set(STABLE, "1.0.0", 0, promoted="2026-01-01T00:00:00Z")
    forger.say(phase="Healthy")


def aborted(forger: Forger) -> None:
    """From 20 % back, as it should be."""
    forger.weigh(20)
    forger.weigh(0)
    forger.say(abort=True, phase="Degraded")
    forger.set(CANARY, forger.tag, 0)


def test_a_release_as_it_should_be_breaks_nothing() -> None:
    for life in (healthy, aborted):
        forger = Forger()
        life(forger)
        assert forger.judged().broken() == []


def without_pods(forger: Forger) -> None:
    forger.set(CANARY, forger.tag, 3, available=1)
    forger.weigh(60)


def scaled_under_traffic(forger: Forger) -> None:
    forger.weigh(100)
    forger.set(CANARY, forger.tag, 1)


def deleted_under_traffic(forger: Forger) -> None:
    forger.weigh(60)
    forger.set(CANARY, forger.tag, 3)
    forger.delete("ReplicaSet", forger.lines[-1].object)


def forward_after_abort(forger: Forger) -> None:
    aborted(forger)
    forger.set(CANARY, forger.tag, 3)
    forger.weigh(20)


def fence_goes_back(forger: Forger) -> None:
    forger.weigh(20)
    forger.weigh(0, sequence=1)


@pytest.mark.parametrize(
    ("life", "law"),
    [
        (without_pods, "law 1: 60 %"),
        (scaled_under_traffic, "law 2: 1.1.0 (bbb) to 1 pods"),
        (deleted_under_traffic, "law 2: 1.1.0 (bbb) to 0 pods"),
        (forward_after_abort, "law 3: 20 % to 1.1.0 (bbb) after its abort"),
        (fence_goes_back, "law 3: VirtualService plain0 went back"),
    ],
)
def test_one_write_against_a_law_is_told(life: Any, law: str) -> None:
    forger = Forger()
    life(forger)
    [told] = forger.judged().broken()
    assert law in told


def test_a_newer_release_may_bring_an_aborted_version_out_again() -> None:
    forger = Forger()
    aborted(forger)
    forger.set(CANARY, forger.tag, 3)
    forger.weigh(20, epoch=forger.at + 1, sequence=1)
    assert forger.judged().broken() == []


def test_a_person_who_asks_for_an_abort_may_be_heard_a_moment_later() -> None:
    forger = Forger()
    forger.weigh(20)
    forger.say(abort=True, phase="Progressing")
    forger.weigh(60)
    assert forger.judged().broken() == []


def test_a_bad_version_gets_everything_from_a_named_person_only() -> None:
    forger = Forger("1.1.0-bad")
    healthy(forger)
    [told] = forger.judged().broken()
    assert "law 4: all of the traffic to 1.1.0-bad" in told
    assert forger.judged("1.1.0-bad").broken() == []


# ------------------------------------------------------------------------------------------------------- the requests


def requests(forger: Forger, after: float, hash_: str = CANARY, status: int = 200) -> list[Request]:
    return [Request(forger.at + after, NAME, hash_, status)]


def test_requests_after_weight_0_are_told_and_those_on_their_way_are_not() -> None:
    forger = Forger()
    forger.weigh(20)
    forger.weigh(0)
    judge = forger.judged()
    assert judge.judge_requests(requests(forger, 1.5), []) == []
    [told] = judge.judge_requests(requests(forger, 2.5), [])
    assert "1.1.0 (bbb) had no weight" in told
    assert judge.judge_requests(requests(forger, 60.0, STABLE), []) == []


def test_a_mesh_that_could_not_hear_has_its_time_afterwards() -> None:
    forger = Forger()
    forger.weigh(20)
    forger.weigh(0)
    judge, away = forger.judged(), [(forger.at + 0.5, forger.at + 5.0)]
    assert judge.judge_requests(requests(forger, 6.5), away) == []
    assert judge.judge_requests(requests(forger, 7.5), away) != []
    assert judge.judge_requests(requests(forger, 2.5), [(forger.at - 9.0, forger.at - 8.0)]) != []


def test_a_rollout_that_is_deleted_takes_its_pods_along_and_nobody_can_answer() -> None:
    forger = Forger()
    forger.weigh(20)
    gone = forger.at + 1.0
    forger.delete("Rollout", forger.rollout)
    for hash_, tag in ((STABLE, "1.0.0"), (CANARY, forger.tag)):
        forger.set(hash_, tag, 3)
        forger.delete("ReplicaSet", forger.lines[-1].object)
    forger.weigh(0)
    judge = forger.judged()
    assert judge.broken() == []
    absent = [Request(gone + 1.0, NAME, "", 503)]
    assert judge.judge_requests(absent, []) == []
    assert judge.lives[NAME].asked == ""
    forger.say()
    forger.set(STABLE, "1.0.0", 3, promoted="2026-01-03T00:00:00Z")
    judge = forger.judged()
    assert judge.judge_requests(absent, []) == []
    [told] = judge.judge_requests(requests(forger, 3.0, "", 503), [])
    assert "503" in told


def test_a_503_is_told() -> None:
    forger = Forger()
    [told] = forger.judged().judge_requests(requests(forger, 0.0, "", 503), [])
    assert "503" in told


# ------------------------------------------------------------------------------------------------ how things stand


@pytest.fixture
def stands() -> Forger:
    return Forger()


def wrong(forger: Forger, *outcomes: Outcome, tag: str = "1.1.0") -> list[str]:
    return complaints(forger.judged().lives[NAME], Wanted.of(tag, *outcomes))


def test_what_stands_as_it_was_asked_for_is_right(stands: Forger) -> None:
    healthy(stands)
    assert wrong(stands, Outcome.HEALTHY) == []
    assert wrong(stands, Outcome.HEALTHY, Outcome.ABORTED) == []
    assert "status.abort is False" in wrong(stands, Outcome.ABORTED)


def test_an_aborted_version_is_right_where_that_was_asked_for(stands: Forger) -> None:
    aborted(stands)
    assert wrong(stands, Outcome.ABORTED) == []
    assert "1.0.0 is stable" in wrong(stands, Outcome.HEALTHY)


def test_another_version_than_the_one_asked_for_is_told(stands: Forger) -> None:
    healthy(stands)
    assert wrong(stands, Outcome.HEALTHY, tag="1.2.0") == ["the Rollout asks for 1.1.0"]


def test_a_version_that_was_to_be_aborted_and_is_stable_is_told(stands: Forger) -> None:
    healthy(stands)
    assert "1.1.0 became stable" in wrong(stands, Outcome.ABORTED)


def test_pods_and_traffic_that_were_left_are_told(stands: Forger) -> None:
    aborted(stands)
    stands.set(CANARY, "1.1.0", 1)
    assert wrong(stands, Outcome.ABORTED) == ["1.1.0 has 1 pods"]
    stands.weigh(20)
    assert any(each.startswith("traffic: ") for each in wrong(stands, Outcome.ABORTED))


def test_a_generation_that_nobody_saw_is_told(stands: Forger) -> None:
    healthy(stands)
    stands.rollout["metadata"]["generation"] = 3
    stands.say()
    assert wrong(stands, Outcome.HEALTHY) == ["generation 2 was observed last"]


def journal_of(name: str, tag: str) -> list[Line]:
    """A first version of a Rollout of that name, with its surroundings."""
    documents = [*around(name, "http://x"), *version(name, tag, "file:///nowhere")]
    for document in documents:
        document["metadata"] |= {"generation": 1}
    documents[-1]["status"] = {"observedGeneration": "1", "workloadObservedGeneration": "1", "phase": "Healthy"}
    pods = {
        "metadata": {
            "name": f"{name}-{STABLE}",
            "labels": {HASH_LABEL: STABLE},
            "annotations": {PROMOTED_AT: "2026-01-01T00:00:00Z"},
            "ownerReferences": [{"kind": "Rollout", "name": name}],
        },
        "spec": {"replicas": 3, "template": rollout(name, tag, "")["spec"]["template"]},
        "status": {"availableReplicas": 3},
    }
    for document in documents:
        for subset in document["spec"].get("subsets") or []:
            subset["labels"][HASH_LABEL] = STABLE
        if document["kind"] == "Service":
            document["spec"]["selector"][HASH_LABEL] = STABLE
    named = [("ReplicaSet", pods), *((each["kind"], each) for each in (*reversed(documents), documents[-1]))]
    return [Line(float(at), "ADDED", kind, found) for at, (kind, found) in enumerate(named)]


@pytest.mark.parametrize("shape", list(Shape))
def test_each_shape_of_a_rollout_is_understood(shape: Shape) -> None:
    name = f"{shape}7"
    judge = Judge()
    judge.take(line for line in journal_of(name, "1.0.0") if line.kind != "AnalysisTemplate")
    life = judge.lives[name]
    assert (life.asked, life.share_of(), judge.broken()) == ("1.0.0", {STABLE: 100}, [])
    assert complaints(life, Wanted.of("1.0.0", Outcome.HEALTHY)) == []
    assert life.routes[0][0] == sides(name)[0]


def test_a_version_of_a_deployment_that_nobody_saw_is_told() -> None:
    judge = Judge()
    lines = journal_of("workload7", "1.0.0")
    deployment = next(line.object for line in lines if line.kind == "Deployment")
    deployment["metadata"]["generation"] = 2
    judge.take(line for line in lines if line.kind != "AnalysisTemplate")
    told = complaints(judge.lives["workload7"], Wanted.of("1.0.0", Outcome.HEALTHY))
    assert told == ["generation 1 of the Deployment was observed last"]


# ------------------------------------------------------------------------------------------------ what people heard

ABORT = Abort("rollout/default/payments/plain0", "run", 2, told=True, compensations={"git revert": "done"})
NOTICE = "notice/default/payments/plain0/2/on-rollout-aborted/digest"
ONCE = {"rollout/default/payments/plain0/2/run/aborted": 1}


def heard(**more: dict[str, int]) -> Heard:
    given = {"incidents": ONCE, "commits": {"run": 1}, "messages": {NOTICE: 1}, **more}
    found = Heard()
    for name, counts in given.items():
        getattr(found, name).update(counts)
    return found


def test_an_abort_that_everybody_heard_of_once_is_right() -> None:
    assert judge_effects([ABORT], heard()) == []


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"incidents": {next(iter(ONCE)): 2}}, "2 incidents of"),
        ({"commits": {"run": 2}}, "2 commits by run run"),
        ({"messages": {NOTICE: 2}}, f"2 messages of {NOTICE}"),
    ],
)
def test_what_was_told_twice_is_told(more: dict[str, dict[str, int]], told: str) -> None:
    assert any(told in each for each in judge_effects([ABORT], heard(**more)))


def test_an_abort_that_nobody_heard_of_is_told() -> None:
    found = heard()
    found.incidents.clear()
    assert any("0 incidents of the abort" in each for each in judge_effects([ABORT], found))
    found = heard()
    found.messages.clear()
    assert any("0 messages" in each for each in judge_effects([ABORT], found))


def test_an_effect_that_did_not_succeed_is_told() -> None:
    abort = Abort(ABORT.workflow_id, "run", 2, told=True, compensations={"traffic to stable": "failed"})
    assert any("did not succeed with: traffic to stable" in each for each in judge_effects([abort], heard()))


# ----------------------------------------------------------------------------------------------------- the journal


def test_the_half_of_a_line_is_passed_over(tmp_path: Path) -> None:
    file, forger = tmp_path / "journal", Forger()
    lines = [json.dumps(line._asdict()) for line in forger.lines[:2]]
    reader = Reader(file)
    assert reader.read() == []
    file.write_text(lines[0] + "\n" + lines[1][:20])
    assert len(reader.read()) == 1
    with file.open("a") as more:
        more.write("\n" + lines[1] + "\n")
    assert [line.kind for line in reader.read()] == [forger.lines[1].kind]


def test_a_write_that_went_with_a_killed_server_is_judged_at_its_start() -> None:
    forger = Forger()
    judge = forger.judged()
    forger.weigh(60)
    forger.set(CANARY, "1.1.0", 0)
    lost = forger.lines[-1].object | {"metadata": forger.lines[-1].object["metadata"] | {"resourceVersion": "9"}}
    judge.take([forger.lines[-2], forger.lines[-1]._replace(type="STANDS", object=lost)])
    [told] = judge.broken()
    assert "law 2" in told
