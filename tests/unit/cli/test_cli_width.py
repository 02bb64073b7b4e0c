"""Tables in a terminal of 80 characters, with names as long as people give them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from rich.text import Text

from tidegate.analysis.status import AnalysisStatus, Phase
from tidegate.cli.formatting import columns, fitted, shortened
from tidegate.cli.listing import run_table, table
from tidegate.cli.tree import tree
from tidegate.client import AnalysisSummary, ReleaseSummary
from tidegate.contract import ReleaseStatus
from tidegate.rollouts.replica_sets import ReplicaSetState

WIDTH = 80
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
NAME = "payments-authorization-checkout-gateway1"  # 40 characters
RECORDED = {"run_id": "r", "state": "Running", "started_at": NOW}


def summary(name: str) -> ReleaseSummary:
    return ReleaseSummary(
        cluster="default", namespace="payments", name=name, workflow_id=f"rollout/default/payments/{name}", **RECORDED
    )


def status(name: str) -> ReleaseStatus:
    made = ReplicaSetState(name=f"{name}-6c54544bf9", hash="6c54544bf9", revision=12, desired=10, current=10, ready=10)
    return ReleaseStatus(
        workflow_id="w",
        run_id="r",
        cluster="default",
        namespace="payments",
        name=name,
        phase="Progressing",
        started_at=NOW,
        replica_sets=(made,),
    )


def test_a_list_of_rollouts_fits_and_keeps_what_tells_them_apart() -> None:
    rows = [(summary(name), status(name)) for name in (NAME, f"{NAME[:-1]}2")]
    for namespaces in (False, True):
        lines = [line.plain for line in table(rows, namespaces=namespaces, width=WIDTH)]
        assert max(map(len, lines)) <= WIDTH
        assert all(title in lines[0] for title in ("NAME", "STATUS", "STEP", "SET-WEIGHT", "READY"))
        assert "Progressing" in lines[1]
        assert ("gateway1 " in lines[1], "gateway2 " in lines[2]) == (True, True)


def test_a_release_that_no_worker_answers_for_is_listed_with_its_version() -> None:
    known = summary(NAME).model_copy(update={"version": "1.4.0", "phase": "Paused", "weight": 10})
    [_, line] = [line.plain for line in table([(known, None)], namespaces=False, width=None)]
    assert "Paused" in line
    assert line.split()[-1] == "1.4.0"


def test_a_list_of_analysis_runs_fits() -> None:
    name = f"{NAME}-6c54544bf9-12-1"
    run = AnalysisSummary(
        cluster="default",
        namespace="payments",
        name=name,
        workflow_id=f"analysis/default/payments/{name}",
        release_id=f"rollout/default/payments/{NAME}",
        **RECORDED,
    )
    lines = [
        line.plain
        for line in run_table(
            [(run, AnalysisStatus(name=name, phase=Phase.RUNNING))], NOW, namespaces=True, width=WIDTH
        )
    ]
    assert max(map(len, lines)) <= WIDTH
    assert "bf9-12-1 " in lines[1]


def test_a_tree_fits() -> None:
    lines = [line.plain for line in tree(status(NAME), None, NOW, WIDTH)]
    assert max(map(len, lines)) <= WIDTH
    assert any("54544bf9 " in line and "ReplicaSet" in line for line in lines)


@pytest.mark.parametrize("width", [None, 200])
def test_where_there_is_room_nothing_is_left_out(width: int | None) -> None:
    rows = [(summary(NAME), status(NAME))]
    wide = [line.plain for line in table(rows, namespaces=True, width=width)]
    assert NAME in wide[1]
    assert "AVAILABLE" in wide[0]


def test_a_name_is_never_shorter_than_it_can_be_told_by() -> None:
    rows = [("NAME", "B"), ("a" * 40, "b" * 40)]
    assert fitted(rows, 10)[1].plain == f"{'a' * 7}…{'a' * 8}  {'b' * 40}"
    assert fitted(rows, None) == columns(rows)
    assert shortened(Text("abcdefghij"), 5).plain == "ab…ij"
