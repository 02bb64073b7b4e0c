"""Random conditions say the same here and in expr-lang itself, compiled from Go.

TIDEGATE_FUZZ sets how many are compared (a few hundred without it).
"""

from __future__ import annotations

import os

import golem
import pytest
from hypothesis import HealthCheck, given, reject, settings

from tests.parity.generator import conditions, shown
from tests.unit.analysis.conditions.outcome import outcome

EXAMPLES = int(os.environ.get("TIDEGATE_FUZZ", "200"))
ENGINES = {type(sample): golem.Engine(variables={"result": sample}) for sample in (0.5, 1, True, "a")}


def _in_go(condition: str, result: float | int | bool | str) -> bool | None:
    """Return what the Go engine says, None for an error."""
    if type(result) is int:
        # The binding declares integers as int64, Argo's are int.
        condition = condition.replace("result", "int(result)")
    try:
        value = ENGINES[type(result)].eval(condition, {"result": result})
    except golem.GolemError as error:
        # The binding refuses some integers that overflow; the language lets them wrap around.
        if "golem: integer" in str(error):
            reject()
        return None
    return value if isinstance(value, bool) else None


# Twenty thousand take minutes.
@pytest.mark.timeout(1800)
@settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(conditions())
def test_a_condition_says_the_same_as_in_go(case: tuple[str, float | int | bool | str]) -> None:
    condition, result = case

    expected = _in_go(condition, result)

    assert outcome(condition, result) is expected, shown(condition, result)


@pytest.mark.parametrize(
    ("condition", "go", "tidegate"),
    [
        ("len(sort(fromJSON('1'))) == 0", True, None),
        ("len(sort(fromJSON('{\"a\": 1}'))) == 0", True, None),
        ("none(fromJSON('{\"a\": 1}'), true)", False, None),
        ("len(filter(fromJSON('{\"a\": 1}'), true)) == 1", True, None),
        ("10 - findLast([1, 2, 3], # > 1) == 7", None, True),
        ("'\u03b1' matches '\\\\p{Greek}'", True, None),
    ],
)
def test_where_the_go_engine_is_not_followed(condition: str, go: bool | None, tidegate: bool | None) -> None:
    assert _in_go(condition, 0.5) is go
    assert outcome(condition, 0.5) is tidegate
