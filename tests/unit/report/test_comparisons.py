"""What people are shown of a comparison: its sentence, once, and the weights; recorded runs, drawn everywhere."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.report.accounts import BESIDE, START, failed, gate, metric, release, rolled_back
from tidegate.analysis.compare.measurement import comparison_of, details_of
from tidegate.analysis.status import AnalysisStatus, Phase
from tidegate.cli.analysis import analysis_view
from tidegate.cli.explain import explanation_view
from tidegate.cli.overview import overview
from tidegate.contract import AnalysisRef
from tidegate.report import analysis_details, details, explain, explain_run, traffic_seen
from tidegate.report.chart import chart_of

FILE = Path(__file__).parents[2] / "data" / "compare" / "statuses.json"
RECORDED = {name: AnalysisStatus.model_validate(status) for name, status in json.loads(FILE.read_text()).items()}
SENTENCES = {
    "running": "Not yet: no bucket of warm pods at 50 % has been read.",
    "proven": "Proven, errors: 122 of 23,836 canary requests against 135 of 23,896 of stable in the same 8 min; ",
    "harm": "Harm, errors: 24 of 1,013 canary requests against 4 of 996 of stable; ",
    "shadow": "Harm, errors: 24 of 1,013 canary requests against 4 of 996 of stable; ",
    "incomparable": "both versions have the same value version:1.2.0: they cannot be told apart",
    "given-up": "Given up after 20 min, errors: shown to be at most about 1.25 x stable + 0.703 %, not + 0.1 % ",
}


def plain(lines: Any) -> str:
    return "\n".join(line.plain for line in lines)


def gate_of(name: str) -> AnalysisRef:
    status = RECORDED[name]
    return gate(status.phase, *status.metrics, name=BESIDE, message=status.message)


def drawings(name: str) -> dict[str, str]:
    """All that people see of a recorded run, but for the message of the run itself, which has the sentence, too."""
    status = RECORDED[name].model_copy(update={"message": ""})
    return {
        "get analysisrun": plain(analysis_view(status, START)),
        "Temporal": analysis_details(status),
        "release in Temporal": details(release(gate_of(name).model_copy(update={"status": status}))),
        "get rollout": plain(overview(release(gate_of(name)), None, START)),
    }


@pytest.mark.parametrize("name", RECORDED)
def test_the_sentence_is_shown_everywhere_and_once(name: str) -> None:
    for where, text in drawings(name).items():
        assert text.count(SENTENCES[name]) == 1, where
        assert "no condition" not in text, where
        assert "ruling" not in text, where


@pytest.mark.parametrize("name", RECORDED)
def test_explain_says_it_in_the_place_of_counts_and_limits(name: str) -> None:
    account = explain_run(RECORDED[name], "w")
    sentence = account.gates[0].metrics[-1].sentence
    assert sentence.startswith("as-good-as-stable")
    assert SENTENCES[name] in sentence
    assert "Limit" not in sentence
    shown = plain(explanation_view(account)).split("\n\n", 1)[1]
    assert shown.count(SENTENCES[name]) == 1


def test_the_cause_of_an_abort_is_the_judgement() -> None:
    account = explain(rolled_back(gate_of("harm"), cause=BESIDE))
    assert account.headline.startswith(
        "payments/checkout revision 2 was rolled back at 10 %: as-good-as-stable: Harm, errors: 24 of 1,013 "
    )
    assert RECORDED["harm"].message.startswith('Metric "as-good-as-stable" assessed Failed: Harm, errors: 24 of 1,013')


def test_weights_are_those_that_were_set_and_seen() -> None:
    status = release(gate_of("harm"), actual_weight=50, set_weight=50)
    assert traffic_seen(status) == "50.4 %"
    assert "Weight on the canary: **50 %** (asked for: 50 %; seen: 50.4 %)" in details(status)
    text = plain(overview(status, None, START))
    assert "  SetWeight:     50\n  ActualWeight:  50\n  SeenWeight:    50.4\n" in text
    assert "at 50 % since 12:00:00 UTC; the canary answers 50.4 % of the requests" in drawings("harm")["Temporal"]


def test_without_traffic_or_comparison_nothing_is_seen() -> None:
    assert traffic_seen(release(gate_of("harm"), actual_weight=0)) == ""
    assert traffic_seen(release(gate(Phase.RUNNING, metric()))) == ""
    assert "SeenWeight" not in plain(overview(release(), None, START))


def test_a_dry_run_says_when_it_would_have_aborted_and_how_much_sooner() -> None:
    status = RECORDED["shadow"]
    sentence = explain_run(status, "w").gates[0].metrics[-1].sentence
    judged = comparison_of(status.metrics[-1])
    assert judged is not None
    assert judged.finished_at is not None
    assert sentence.startswith(
        f"as-good-as-stable (a dry run) would have aborted at {judged.finished_at:%H:%M:%S} UTC: "
    )
    at = judged.finished_at + timedelta(seconds=200)
    threshold = failed().measurements[-1].model_copy(update={"started_at": at, "finished_at": at})
    beside = failed().model_copy(update={"measurements": (threshold,)})
    both = status.model_copy(update={"metrics": (beside, status.metrics[-1])})
    assert " UTC, 3 min before error-rate did: Harm" in explain_run(both, "w").gates[0].metrics[-1].sentence


def test_notes_of_the_source_are_shown_beside_the_sentence() -> None:
    status = RECORDED["harm"]
    [judged] = status.metrics[0].measurements
    note = "12 % of the requests are of other versions"
    noted = judged.model_copy(update={"reason": f"{judged.value}; {note}"})
    assert details_of(noted)[-1] == note
    assert details_of(judged) == details_of(noted)[:1]
    shown = status.model_copy(update={"metrics": (status.metrics[0].model_copy(update={"measurements": (noted,)}),)})
    assert f"({note})" in analysis_details(shown)
    assert note in plain(analysis_view(shown, START))


def test_a_sentence_is_no_point_of_a_chart() -> None:
    assert chart_of(release(gate_of("harm"))) is None
    chart = chart_of(release(gate_of("shadow")))
    assert chart is not None
    assert [curve.metric for curve in chart.curves] == ["m"]
