"""The adapter for a benchmark that hands over rows of one version each."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.judge.adapter import make

BASE = "class CountsJudge:\n    reason = ''\n    warm_up = 60\n"


class Row(NamedTuple):
    version: str
    start: int
    hits: int | None
    errors: int | None
    slow90: int | None
    slow99: int | None
    stuck: int | None


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "counts.py").write_text(BASE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "counts", raising=False)


def one(draw: random.Random, version: str, start: int, hits: int, errors: float) -> Row:
    return Row(version, start, hits, *(int(hits * rate + draw.random()) for rate in (errors, 0.1, 0.01, 0.0)))


@pytest.mark.usefixtures("benchmark")
@pytest.mark.parametrize(("errors", "action", "said"), [(0.005, "advance", "Proven, "), (0.2, "abort", "Harm, errors")])
def test_rows_of_both_versions_come_to_a_decision(errors: float, action: str, said: str) -> None:
    draw, judge = random.Random(1), make()
    judge.begin([one(draw, "stable", start, 500, 0.005) for start in range(-3600, 0, 10)], None)
    found = []
    for now in range(10, 600, 10):
        start = now - 10
        changed = [one(draw, "canary", start, 50, errors), one(draw, "stable", start, 450, 0.005)]
        found.append(judge.step(now, 0, 0.1, 0, changed))
        if found[-1] != "hold":
            break
    assert found[-1] == action
    assert set(found[:-1]) == {"hold"}
    assert judge.reason.startswith(said)


@pytest.mark.usefixtures("benchmark")
def test_a_bucket_of_which_nothing_has_arrived_is_unknown() -> None:
    draw, judge = random.Random(1), make()
    judge.begin([one(draw, "stable", start, 500, 0.005) for start in range(-3600, 0, 10)], None)
    assert judge.step(10, 0, 0.1, 0, [Row("canary", 0, None, None, None, None, None)]) == "hold"
    assert judge.session.judgement.seconds == 0
