"""`matches` finds what RE2 finds, in time linear in the text."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.analysis.conditions.outcome import outcome
from tidegate.analysis.conditions import ConditionError, compile_condition
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.patterns import compile_pattern

_ATOMS = st.sampled_from(["a", "b", "é", ".", "[ab]", "[^a]", r"\d", r"\w", r"\s", "^", "$", r"\b", r"\.", "(?:)", "A"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("({}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", ""])),
        st.builds("(?i:{})".format, inner),
        st.builds("(?s:{})".format, inner),
    ),
    max_leaves=6,
)


def matches(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).search(text, Budget())


@given(_PATTERNS, st.text("abAB1. \n", max_size=6))
def test_a_pattern_finds_what_a_backtracking_engine_finds(pattern: str, text: str) -> None:
    # `$` of RE2 is only the end of the text; Python's is also before a last newline.
    assume(not text.endswith("\n"))

    assert matches(pattern, text) is (re.search(pattern, text, re.ASCII) is not None)


@given(st.text(max_size=30), st.text(max_size=30))
def test_quoted_text_means_itself(text: str, around: str) -> None:
    assume("\\E" not in text and not text.endswith("\\"))

    assert matches(rf"\A\Q{text}\E\z", text)
    assert matches(rf"\Q{text}\E", around + text + around)
    assert matches(rf"\Q{text}\E", around) is (text in around)


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"^(a*)*$", r"^(a|a?)+$", r"(.*a){12}$"])
def test_no_pattern_is_slow(pattern: str) -> None:
    assert matches(pattern, "a" * 200 + "!") is False


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", "(?=a)", "(?<!a)b", "a**", "a{1001}", "(?P<n", "[z-a]", r"\p{Greek}", "\\"]
)
def test_what_re2_does_not_know_is_refused(pattern: str) -> None:
    with pytest.raises(ConditionError, match="error parsing regexp"):
        matches(pattern, "a")


@given(st.text("()[]{}|*+?\\^$.a-:iP<>", max_size=12))
def test_any_text_is_a_pattern_or_is_refused(text: str) -> None:
    assert outcome(f"result matches {json.dumps(text)}", "a(a)[a]") in (True, False, None)


def test_a_pattern_may_come_from_the_result() -> None:
    assert compile_condition("'v1.2' matches result").evaluate("^v[0-9.]+$") is True
