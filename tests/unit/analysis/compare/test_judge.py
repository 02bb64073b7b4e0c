"""Decisions: what aborts, what is clear, what waits and for how long, each with its sentence and its numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.analysis.compare.traffic import EVENTS, hour, row, rows, wanted
from tidegate.analysis.compare.evidence import EventEvidence, Evidence
from tidegate.analysis.compare.fold import begin
from tidegate.analysis.compare.judge import event_shares, judge
from tidegate.analysis.compare.models import (
    BadEvent,
    Comparison,
    CountRow,
    DecisionPoint,
    Judgement,
    Margin,
    OnUnfair,
    Ruling,
    Weight,
)
from tidegate.analysis.compare.phrases import amount, listing, rollouts
from tidegate.analysis.compare.sentences import shown_plus
from tidegate.analysis.compare.state import open_state, read

LAST = Weight(since=0, share=0.25, last=True)
Found = tuple[Judgement, Evidence, list[CountRow]]


def judged(buckets: Sequence[CountRow], now: int, weight: Weight = LAST, **fields: Any) -> Found:
    """Judgement after one reading, its evidence, and the rows that counted in it."""
    given = fields.pop("given", None) or wanted(**fields)
    seen = [one for one in buckets if one.start + 10 <= now]
    state, evidence = read(given, open_state(given, hour(), None, 0), seen, [weight], now)
    found = judge(given, evidence, DecisionPoint(now=now, first_traffic=0, weight=weight, settle=state.table.settle))
    return found, evidence, [one for one in seen if weight.since + 60 <= one.start <= now - 70]


def total(counted: list[CountRow], event: int) -> list[int]:
    return [int(sum(one.counts[event][at] or 0 for one in counted)) for at in range(4)]


def test_a_good_version_is_clear_and_the_sentence_has_the_counts() -> None:
    found, evidence, counted = judged(rows(1, 200, load=100), 2000)
    assert found.ruling is Ruling.CLEAR
    at = [event.name for event in EVENTS].index(found.event)
    canary, canary_bad, stable, stable_bad = total(counted, at)
    assert found.events[at].canary == canary
    assert found.sentence == (
        f"Proven, errors: {canary_bad:,} of {canary:,} canary requests against {stable_bad:,} of {stable:,} of stable "
        f"in the same {found.seconds / 60:.0f} min; a version worse than 1.25 x stable + 0.1 % would look this good "
        f"in {rollouts(evidence.events[at].promise.log)} rollouts (1 of 20 is asked for). "
        "slow90 and slow99 are proven too."
    )
    assert found.seconds == 10 * len(counted)


def test_a_worse_version_is_aborted_and_the_sentence_has_the_counts() -> None:
    found, evidence, counted = judged(rows(1, 60, load=100, times=(1, 2.3, 1)), 400)
    canary, canary_bad, stable, stable_bad = total(counted, 1)
    assert (found.ruling, found.event) == (Ruling.ABORT, "slow90")
    assert found.sentence.startswith(
        f"Harm, slow90: {100 * canary_bad / canary:.3g} % of {canary:,} canary requests are slower than 312 ms against "
        f"{100 * stable_bad / stable:.3g} % of {stable:,} of stable; a version within 1.25 x stable would look this "
    )
    assert evidence.events[1].harm.log > math.log(100)


def test_the_guard_ends_a_version_whose_pods_are_cold() -> None:
    found, _, _ = judged([row(10 * at, *[(20, 18, 60, 0)] * 3) for at in range(4)], 40)
    assert (found.ruling, found.event) == (Ruling.ABORT, "errors")
    assert found.sentence.startswith(
        "Harm, errors, cold pods included: 72 of 80 canary requests against 0 of 240 of stable; "
        "a version within 2 x stable + 5 % would look this bad in 1 of "
    )


def test_a_canary_that_loses_its_requests_is_aborted() -> None:
    buckets = [row(10 * at, *[(1 if at % 4 == 0 else None, 0, 300, 1)] * 3) for at in range(30)]
    found, evidence, _ = judged(buckets, 300)
    seen = [one for one in buckets if 20 <= one.start <= 230]
    canary = sum(one.counts[0].canary or 0 for one in seen)
    assert (found.ruling, found.event) == (Ruling.ABORT, "lost")
    assert evidence.seen == (canary, canary + 300 * len(seen))
    assert found.sentence.startswith(
        f"Lost: the canary is sent 25 % of the requests and is seen to answer "
        f"{100 * canary / (canary + 300 * len(seen)):.3g} %; "
    )
    assert judged(buckets, 300, lost=False)[0].ruling is Ruling.WAIT


def test_a_share_that_is_unlike_the_weight_is_never_promoted() -> None:
    buckets = rows(1, 200, load=100, share=0.4)
    found, _, _ = judged(buckets, 2000)
    assert (found.ruling, found.event) == (Ruling.WAIT, "share")
    assert re.match(r"Unlike: the canary answers 40(\.\d)? % of the requests at a weight of 25 %: ", found.sentence)
    assert found.share == pytest.approx(1.6, abs=0.03)
    assert judged(buckets, 2000, on_unfair=OnUnfair.IGNORE)[0].ruling is Ruling.CLEAR


def test_what_is_not_proven_waits_and_says_how_long() -> None:
    found, evidence, counted = judged(rows(1, 200, load=100), 300)
    assert (found.ruling, found.event) == (Ruling.WAIT, "errors")
    load = evidence.share[2] / evidence.share[3]
    assert found.sentence.startswith(
        "Not yet, errors: a version worse than 1.25 x stable + 0.1 % would look this good in "
        f"{rollouts(evidence.events[0].promise.log)} rollouts (1 of 20 is asked for) after 3 min of warm pods at 25 %; "
        f"at {load:.3g} requests a second about "
    )
    assert evidence.here_seconds == 10 * len(counted)


def test_full_traffic_waits_for_min_bake_and_an_earlier_weight_does_not() -> None:
    buckets = rows(1, 200, load=400)
    found, _, _ = judged(buckets, 590)
    assert (found.ruling, found.event) == (Ruling.WAIT, "minBake")
    assert judged(buckets, 600)[0].ruling is Ruling.CLEAR
    assert judged(buckets, 590, Weight(since=0, share=0.25))[0].ruling is Ruling.CLEAR


def test_an_early_weight_proves_its_own_margin_only() -> None:
    buckets = rows(1, 200, load=20)
    early, evidence, _ = judged(buckets, 900, Weight(since=0, share=0.25))
    assert early.ruling is Ruling.CLEAR
    assert min(one.promise.log for one in evidence.events) < math.log(20)
    assert "a version worse than 2 x stable + 2 %" in early.sentence or "slow" in early.event
    assert judged(buckets, 900)[0].ruling is Ruling.WAIT


def test_nothing_is_clear_at_a_weight_that_no_bucket_was_read_of() -> None:
    buckets = rows(1, 200, load=100)
    given = wanted()
    _, evidence = read(given, open_state(given, hour(), None, 0), buckets, [LAST], 2000)
    new = Weight(since=1995, share=0.25, index=1, last=True)
    assert judge(given, evidence, DecisionPoint(now=2000, first_traffic=0, weight=LAST)).ruling is Ruling.CLEAR
    assert judge(given, evidence, DecisionPoint(now=2000, first_traffic=0, weight=new)).ruling is Ruling.WAIT
    assert judge(given, evidence, DecisionPoint(now=2000, first_traffic=0, weight=None)).ruling is Ruling.WAIT


def test_after_max_wait_a_person_is_told_what_could_be_shown() -> None:
    found, evidence, _ = judged(rows(1, 400, load=4), 3600)
    assert (found.ruling, found.event) == (Ruling.UNDECIDED, "errors")
    shown = re.match(
        r"Given up after 60 min, errors: shown to be at most about 1\.25 x stable \+ (.*) %, not \+ 0\.1 %",
        found.sentence,
    )
    assert shown is not None
    plus = shown_plus(EVENTS[0], evidence.events[0], math.log(20))
    assert float(shown[1]) == pytest.approx(100 * (plus or 0), rel=0.01)
    assert plus is not None
    assert 0.001 < plus < 0.01
    assert judged(rows(1, 400, load=4), 3590)[0].ruling is Ruling.WAIT


def test_five_minutes_without_data_are_for_a_person() -> None:
    assert judged([], 350)[0].ruling is Ruling.WAIT
    found, _, _ = judged([], 360)
    assert (found.ruling, found.event) == (Ruling.UNDECIDED, "data")
    assert found.sentence == "No data: for 6 min there was no bucket with requests of both versions."
    paused = DecisionPoint(now=900, first_traffic=0, weight=Weight(since=0, share=0))
    assert judge(wanted(), begin(wanted(), hour()), paused).ruling is Ruling.WAIT


def test_signs_of_harm_hold_what_is_proven() -> None:
    given = wanted()
    _, evidence = read(given, open_state(given, hour(), None, 0), rows(1, 200, load=100), [LAST], 2000)
    known = evidence.events[2]
    log = math.log(3.5 / event_shares(given)[2])
    alarmed = known.model_copy(update={"harm": known.harm.model_copy(update={"log": log})})
    changed = evidence.model_copy(update={"events": (*evidence.events[:2], alarmed)})
    found = judge(given, changed, DecisionPoint(now=2000, first_traffic=0, weight=LAST))
    assert (found.ruling, found.event) == (Ruling.WAIT, "harm")
    assert "1 of 3" in found.sentence


@pytest.mark.parametrize(
    ("names", "weights", "shares"),
    [
        (["errors", "a", "b", "c"], {}, [0.40, 0.15, 0.15, 0.15]),
        (["errors", "a"], {}, [0.40, 0.45]),
        (["errors"], {}, [0.85]),
        (["a", "b"], {}, [0.425, 0.425]),
        (["errors", "a", "b"], {"errors": 1, "a": 3, "b": 1}, [0.17, 0.51, 0.17]),
        (["errors", "a", "b", "c"], {"c": 1}, [0.40, 0.15, 0.15, 0.15]),
    ],
)
def test_shares_of_the_false_aborts_add_up(names: list[str], weights: dict[str, float], shares: list[float]) -> None:
    margin = Margin(times=2, plus=0)
    events = tuple(BadEvent(name=name, margin=margin, weight=weights.get(name)) for name in names)
    found = event_shares(Comparison(events=events))
    assert found == pytest.approx(shares)
    assert sum(found) + 0.10 + 0.05 == pytest.approx(1)


def test_a_bound_that_nothing_shows_is_not_said() -> None:
    event: EventEvidence = begin(wanted(), hour()).events[0]
    assert shown_plus(EVENTS[0], event, math.log(20)) is None


@pytest.mark.parametrize(
    ("times", "said"),
    [(0.5, "1 of 1"), (20, "1 of 20"), (112.9, "1 of 112"), (8249, "1 of 8,200"), (1e9, "1 of more than 1,000,000")],
)
def test_rollouts_are_never_rounded_up(times: float, said: str) -> None:
    assert rollouts(math.log(times)) == said


def test_names_and_amounts() -> None:
    assert [listing(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert [amount(count) for count in (1234.0, 0.5, 1999.99)] == ["1,234", "0.5", "2,000"]
