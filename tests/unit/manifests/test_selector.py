"""Selectors of labels, as `kubectl -l` takes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.manifests.selector import OPERATORS, LabelSelector, parse_selector

LABELS = {"app": "checkout", "team": "payments", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("app=checkout", True),
        ("app == checkout", True),
        ("app!=checkout", False),
        ("other!=x", True),
        ("app=checkout,team=payments", True),
        ("app=checkout, team=other", False),
        ("app in (cart, checkout)", True),
        ("app notin (cart, checkout),team", False),
        ("app in (cart),team", False),
        ("team", True),
        ("!team", False),
        ("!other", True),
        ("empty=", True),
        ("empty", True),
        ("argo.io/name=a", False),
        ("in in (in)", False),
    ],
)
def test_it_selects_as_kubectl_does(text: str, matches: bool) -> None:
    assert parse_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text",
    ["", ",", "app=checkout,", "=x", "app in checkout", "app in (a", "!app=x", "app=a b", "app~x", "a//b", "app=-x"],
)
def test_what_is_no_selector_is_an_error_that_shows_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not like|must") as wrong:
        parse_selector(text)
    assert repr(text.split(",")[-1].strip()) in str(wrong.value) or text in str(wrong.value)


NAMES = st.sampled_from(["app", "team", "tidegate.io/of"])
VALUES = st.sampled_from(["", "a", "b", "checkout"])


@given(
    st.lists(st.tuples(NAMES, st.sampled_from(OPERATORS), st.lists(VALUES, min_size=1, max_size=2)), min_size=1),
    st.dictionaries(NAMES, VALUES),
)
def test_the_form_of_a_query_is_read_as_it_was_meant(
    expressions: list[tuple[str, str, list[str]]], labels: dict[str, str]
) -> None:
    parts = [
        {"key": key, "operator": operator, "values": tuple(values) if "In" in operator else ()}
        for key, operator, values in expressions
    ]
    meant = LabelSelector.model_validate({"matchExpressions": parts})
    assert parse_selector(meant.text()).matches(labels) == meant.matches(labels)
