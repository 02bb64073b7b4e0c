"""What two annotations say of a bake, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tidegate.manifests.bake import (
    BAKE,
    BAKE_TEMPLATES,
    bake_analysis,
    bake_duration,
    bake_templates,
    through_the_bake,
)

ANALYSIS = {"templates": [{"templateName": "beside"}], "args": [{"name": "service", "value": "checkout"}]}


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("1h30m", 5400), ("90", 90), (90, 90), ("0", 0), ("0s", 0), ("72h", 259200)]
)
def test_a_duration_is_that_of_a_pause(text: object, seconds: int) -> None:
    assert bake_duration({BAKE: text}) == timedelta(seconds=seconds)


def test_without_the_annotation_nothing_is_said() -> None:
    assert bake_duration({}) is None
    assert bake_templates({}) is None


@pytest.mark.parametrize("text", ["soon", "", "-5m", "-1", "1d", "9999999999999", True])
def test_what_is_no_duration_is_named(text: object) -> None:
    with pytest.raises(ValueError, match=r"tidegate.io/bake'\]: .*: give whole seconds, or a number with a unit"):
        bake_duration({BAKE: text})


def test_templates_are_names_with_commas_between() -> None:
    assert bake_templates({BAKE_TEMPLATES: "slo, cluster:error-budget"}) == [
        {"templateName": "slo"},
        {"templateName": "error-budget", "clusterScope": True},
    ]


@pytest.mark.parametrize("text", ["", ",", "a,", "../secrets", "A", "cluster:", "a b", "x" * 254, "team:slo"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"tidegate.io/bake-templates'\].*cluster:NAME"):
        bake_templates({BAKE_TEMPLATES: text})


def test_what_is_measured_is_named_or_that_of_the_background() -> None:
    assert bake_analysis({}, ANALYSIS) == ANALYSIS
    assert bake_analysis({}, None) is None
    assert bake_analysis({BAKE_TEMPLATES: "slo"}, None) == {"templates": [{"templateName": "slo"}]}
    named = bake_analysis({BAKE_TEMPLATES: "slo"}, ANALYSIS)
    assert named == {"templates": [{"templateName": "slo"}], "args": ANALYSIS["args"]}


def test_metrics_are_measured_to_the_end_where_they_have_an_interval() -> None:
    spec = {"metrics": [{"name": "a", "interval": "1m", "count": 5}, {"name": "b", "count": 1}], "args": []}
    assert through_the_bake(spec) == {
        "metrics": [{"name": "a", "interval": "1m"}, {"name": "b", "count": 1}],
        "args": [],
    }
