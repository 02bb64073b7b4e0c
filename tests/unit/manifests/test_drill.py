"""A drill is made of what a Rollout says, and can never be promoted."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.manifests.drill import DRILL, NoDrillError, drill_images, exercise

GATE = {"templates": [{"templateName": "errors"}]}
STEPS = st.lists(
    st.one_of(
        st.integers(0, 100).map(lambda weight: {"setWeight": weight}),
        st.sampled_from(["5m", 30, None]).map(lambda length: {"pause": {} if length is None else {"duration": length}}),
        st.just({"analysis": GATE}),
        st.just({"setCanaryScale": {"replicas": 1}}),
    ),
    max_size=8,
)
HOLD = timedelta(minutes=10)


def rollout(strategy: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": "shop", "annotations": annotations}, "spec": {"strategy": strategy}}


@given(STEPS, st.integers(1, 50))
def test_an_exercise_is_held_at_a_weight_that_was_allowed(steps: list[dict[str, Any]], weight: int) -> None:
    given_one = rollout({"canary": {"analysis": GATE, "steps": steps}})
    before = copy.deepcopy(given_one)
    try:
        made = exercise(given_one, weight, HOLD)["spec"]["strategy"]["canary"]["steps"]
    except NoDrillError:
        made = [{"pause": {}}]
    assert made[-1] == {"pause": {}}
    assert all(step != {"pause": {}} for step in made[:-1])
    assert all(int(step.get("setWeight") or 0) <= weight for step in made)
    assert given_one == before


def test_an_exercise_ends_by_itself_and_touches_neither_git_nor_a_pager() -> None:
    annotations = {
        DRILL: "shop=registry/shop:bad",
        "tidegate.io/git-repository": "https://git/shop.git",
        "tidegate.io/servicenow-change": "true",
        "tidegate.io/bake": "30m",
        "notifications.argoproj.io/subscribe.on-rollout-aborted.pagerduty": "on-call",
        "tidegate.io/servicenow-urgency": "1",
        "team": "payments",
    }
    made = exercise(rollout({"canary": {"analysis": GATE, "steps": [{"setWeight": 10}]}}, **annotations), 25, HOLD)
    assert made["metadata"]["annotations"] == {
        "team": "payments",
        "tidegate.io/exercise": "true",
        "tidegate.io/hold-limit": "10m",
        "tidegate.io/servicenow-impact": "3",
        "tidegate.io/servicenow-urgency": "3",
    }


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ({"canary": {"steps": [{"setWeight": 10}]}}, "no analysis watches"),
        ({"canary": {"analysis": GATE}}, "no step"),
        ({"canary": {"analysis": GATE, "steps": [{"setWeight": 50}]}}, "no step"),
        ({"blueGreen": {"postPromotionAnalysis": GATE}}, "no prePromotionAnalysis"),
    ],
)
def test_what_no_gate_would_see_is_no_drill(strategy: dict[str, Any], why: str) -> None:
    with pytest.raises(NoDrillError, match=why):
        exercise(rollout(strategy), 25, HOLD)


def test_a_preview_is_never_switched() -> None:
    strategy = {"blueGreen": {"prePromotionAnalysis": GATE, "autoPromotionSeconds": 30}}
    made = exercise(rollout(strategy), 25, HOLD)["spec"]["strategy"]["blueGreen"]
    assert made == {"prePromotionAnalysis": GATE, "autoPromotionEnabled": False}


@pytest.mark.parametrize("text", ["", "shop", "=registry/shop:bad", "shop="])
def test_without_a_named_version_there_is_no_consent(text: str) -> None:
    with pytest.raises(NoDrillError, match="annotation"):
        drill_images(rollout({}, **({DRILL: text} if text else {})))


def test_several_containers_may_be_bad() -> None:
    assert drill_images(rollout({}, **{DRILL: "a=r/a:bad, b=r/b:bad"})) == {"a": "r/a:bad", "b": "r/b:bad"}
