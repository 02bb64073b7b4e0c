"""Laws of the verdict: what must hold whatever is measured, in whatever order."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases.families.analysis_run import START, ScriptedProvider, play
from tests.unit.analysis.scripts import NO_DATA, ended, metric, only
from tidegate.analysis.rules import RunRules
from tidegate.analysis.run import Run
from tidegate.analysis.status import AnalysisStatus, Phase

outcomes = st.lists(st.sampled_from("SFIE"), min_size=1, max_size=12)
limits = st.fixed_dictionaries(
    {"count": st.integers(4, 9)},
    optional={
        "failureLimit": st.integers(0, 3),
        "inconclusiveLimit": st.integers(0, 4),
        "consecutiveErrorLimit": st.integers(0, 3),
    },
)


@given(st.data())
def test_the_order_of_measurements_within_the_limit_does_not_matter(data: st.DataObject) -> None:
    limit = data.draw(st.integers(0, 4))
    failures = data.draw(st.integers(0, limit))
    good = data.draw(st.integers(1, 5))
    script = data.draw(st.permutations("F" * failures + "S" * good))
    status = ended(metric(count=failures + good + limit, failureLimit=limit), script={"m": [*script, "S"]})
    assert (status.phase, only(status).failed) == (Phase.SUCCESSFUL, failures)


@given(st.data())
def test_one_failure_above_the_limit_fails_wherever_it_comes(data: st.DataObject) -> None:
    limit = data.draw(st.integers(0, 4))
    good = data.draw(st.integers(0, 5))
    script = data.draw(st.permutations("F" * (limit + 1) + "S" * good))
    status = ended(metric(count=limit + 1 + good, failureLimit=limit), script={"m": script})
    assert (status.phase, only(status).failed) == (Phase.FAILED, limit + 1)


@given(script=outcomes, fields=limits)
def test_an_error_or_no_data_is_never_a_success(script: list[str], fields: dict[str, Any]) -> None:
    nothing = [NO_DATA if outcome in "SF" else outcome for outcome in script if outcome != "I"] or [NO_DATA]
    status = ended(metric(successCondition="result < 1", **fields), script={"m": nothing})
    assert status.phase in (Phase.ERROR, Phase.INCONCLUSIVE)
    assert only(status).successful == 0


@given(script=outcomes, fields=limits, errors=st.lists(st.integers(0, 12), max_size=6, unique=True))
def test_errors_within_their_limit_change_no_verdict(
    script: list[str], fields: dict[str, Any], errors: list[int]
) -> None:
    calm = [outcome for outcome in script if outcome != "E"] or ["S"]
    disturbed = [entry for index, outcome in enumerate(calm) for entry in ("E" * (index in errors) + outcome)]
    tolerant = metric(**{**fields, "consecutiveErrorLimit": 1})
    without, with_errors = (ended(tolerant, script={"m": each}) for each in (calm, disturbed))
    assert (with_errors.phase, with_errors.message) == (without.phase, without.message)
    assert only(with_errors).count == only(without).count


@given(script=outcomes, fields=limits, dry=outcomes, dry_fields=limits)
def test_a_dry_run_never_changes_the_outcome(
    script: list[str], fields: dict[str, Any], dry: list[str], dry_fields: dict[str, Any]
) -> None:
    alone = ended(metric(**fields), script={"m": script})
    watched = ended(
        metric("dry", **dry_fields),
        metric(**fields),
        script={"m": script, "dry": dry},
        dryRun=[{"metricName": "dry"}],
    )
    assert (watched.phase, watched.message, watched.run_summary) == (alone.phase, alone.message, alone.run_summary)


@given(script=outcomes, fields=limits, limit=st.integers(1, 5))
def test_how_much_is_kept_changes_no_verdict(script: list[str], fields: dict[str, Any], limit: int) -> None:
    whole = ended(metric(**fields), script={"m": script})
    short = ended(metric(**fields), script={"m": script}, measurementRetention=[{"metricName": "m", "limit": limit}])
    assert only(short).model_copy(update={"measurements": ()}) == only(whole).model_copy(update={"measurements": ()})
    assert (short.phase, short.message, short.completed_at) == (whole.phase, whole.message, whole.completed_at)


@given(script=outcomes, other=outcomes, fields=limits, stop=st.integers(0, 8))
def test_a_run_taken_up_again_from_its_stored_status_ends_the_same(
    script: list[str], other: list[str], fields: dict[str, Any], stop: int
) -> None:
    rules = RunRules.of({"metrics": [metric(**fields), metric("other", interval="3s", **fields)]})
    scripts = {"m": script, "other": other}
    through, broken = Run.begin("run", rules, START), Run.begin("run", rules, START)
    play(through, rules, ScriptedProvider({"script": scripts}))
    provider = ScriptedProvider({"script": scripts})
    for _ in range(stop):
        moment = broken.next_due()
        if moment is None:
            break
        broken.record([provider.measure(rule, {}, moment) for rule in broken.due(moment)], moment)
        broken = Run(rules, AnalysisStatus.model_validate_json(broken.status.model_dump_json()))
    play(broken, rules, provider)
    assert broken.status == through.status


@given(script=outcomes, fields=limits)
@settings(max_examples=50)
def test_the_patient_rule_ends_within_its_readings(script: list[str], fields: dict[str, Any]) -> None:
    patient = {name: value for name, value in fields.items() if name != "inconclusiveLimit"}
    status = ended(metric(**patient), script={"m": script})
    assert status.phase.completed
    assert only(status).count <= 3 * patient["count"]
    conclusive = only(status).successful + only(status).failed
    assert (status.phase is Phase.SUCCESSFUL) <= (conclusive == patient["count"])
