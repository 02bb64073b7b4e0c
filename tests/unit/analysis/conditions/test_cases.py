"""The expression cases that were recorded from Argo Rollouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.analysis.conditions import ConditionError, compile_condition

CASES = Path(__file__).parents[4].parent / "shared" / "cases" / "expression.yaml"

if not CASES.exists():
    pytest.skip(f"the recorded cases are not at {CASES}", allow_module_level=True)


def _result(value: Any, kind: str) -> Any:
    """Turn a recorded result into what a provider hands over."""
    if kind in ("float", "float_ptr") or (kind == "json" and type(value) is int):
        return float(value)
    return value


@pytest.mark.parametrize("case", yaml.safe_load(CASES.read_text())["cases"], ids=lambda case: case["id"])
def test_a_condition_says_what_it_says_in_argo(case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    result = _result(given["result"], given["result_type"])
    if "error" in expected:
        with pytest.raises(ConditionError):
            compile_condition(given["condition"]).evaluate(result)
    else:
        assert compile_condition(given["condition"]).evaluate(result) is expected["value"]
