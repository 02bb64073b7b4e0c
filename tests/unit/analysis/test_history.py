"""Which AnalysisRun objects the history limits keep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.analysis.history import StoredRun, surplus
from tidegate.analysis.status import Phase
from tidegate.manifests.rollout import RunHistory

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def run(number: int, phase: Phase | None = Phase.SUCCESSFUL, hash_: str = "abc") -> StoredRun:
    return StoredRun(name=f"run-{number}", hash=hash_, phase=phase, created_at=START + timedelta(minutes=number))


def garbage(*runs: StoredRun, current: tuple[str, ...] = (), successful: int = 1, unsuccessful: int = 1) -> list[str]:
    found = surplus(runs, hashes={"abc"}, current=current, successful=successful, unsuccessful=unsuccessful)
    return [each.name for each in found]


def test_the_newest_of_each_outcome_stay() -> None:
    runs = [run(1), run(2, Phase.FAILED), run(3), run(4, Phase.FAILED), run(5)]
    assert garbage(*runs) == ["run-3", "run-2", "run-1"]


@pytest.mark.parametrize("phase", [Phase.ERROR, Phase.INCONCLUSIVE])
def test_all_that_is_not_a_success_shares_one_limit(phase: Phase) -> None:
    assert garbage(run(1, Phase.FAILED), run(2, phase)) == ["run-1"]


def test_a_run_that_is_under_way_stays_and_counts_for_nothing() -> None:
    assert garbage(run(1), run(2, Phase.RUNNING), run(3, Phase.PENDING), run(4, None)) == []


def test_a_run_whose_replica_set_is_gone_goes_whatever_it_says() -> None:
    assert garbage(run(1, Phase.RUNNING, "old"), run(2, Phase.SUCCESSFUL, "")) == ["run-2", "run-1"]


def test_runs_of_the_current_release_stay_and_use_up_no_limit() -> None:
    runs = [run(1), run(2), run(3, Phase.SUCCESSFUL, "gone")]
    assert garbage(*runs, current=("run-2", "run-3")) == []
    assert garbage(*runs, current=("run-2", "run-3"), successful=0) == ["run-1"]


def test_five_of_each_outcome_stay_when_the_rollout_does_not_say() -> None:
    assert (RunHistory().successful_kept(), RunHistory().unsuccessful_kept()) == (5, 5)
    given = RunHistory.model_validate({"successfulRunHistoryLimit": 0, "unsuccessfulRunHistoryLimit": 2})
    assert (given.successful_kept(), given.unsuccessful_kept()) == (0, 2)


def test_an_object_is_read_as_it_stands() -> None:
    document = {
        "metadata": {
            "name": "checkout-abc-2-1",
            "uid": "u1",
            "labels": {"rollouts-pod-template-hash": "abc"},
            "creationTimestamp": "2026-03-01T12:00:00Z",
        },
        "status": {"phase": "Failed"},
    }
    seen = StoredRun.of(document)
    assert seen == StoredRun(name="checkout-abc-2-1", uid="u1", hash="abc", phase=Phase.FAILED, created_at=START)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"metadata": None, "status": 3},
        {"metadata": {"labels": [], "creationTimestamp": 7}, "status": {"phase": "Odd"}},
        {"metadata": {"labels": None, "creationTimestamp": ""}, "status": {"phase": ["Failed"]}},
    ],
)
def test_an_object_that_makes_no_sense_hurts_nobody(document: dict[str, Any]) -> None:
    assert StoredRun.of(document) == StoredRun(name="")
    odd = StoredRun.of({"metadata": {"creationTimestamp": "2026-03-01T12:00:00"}})
    assert garbage(odd, run(1)) == [odd.name]
