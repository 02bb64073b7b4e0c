"""The language, row by row: what a condition says of a result, as recorded from Argo's engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.analysis.conditions import ConditionError, compile_condition

ROWS = [
    pytest.param(condition, group["result"], answer, id=condition)
    for group in yaml.safe_load((Path(__file__).parent / "language.yaml").read_text())
    for condition, answer in group["rows"]
]


@pytest.mark.parametrize(("condition", "result", "answer"), ROWS)
def test_a_condition_says_what_argos_engine_says(condition: str, result: Any, answer: bool | str) -> None:
    if answer == "error":
        with pytest.raises(ConditionError):
            compile_condition(condition).evaluate(result)
    else:
        assert compile_condition(condition).evaluate(result) is answer
