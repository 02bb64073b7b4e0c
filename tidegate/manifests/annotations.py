"""Annotations of a Rollout that more than one room reads or writes."""

from __future__ import annotations

from typing import Final

HOLD_LIMIT: Final = "tidegate.io/hold-limit"  # how long a release waits for an operator before it aborts
URGENCY: Final = "tidegate.io/servicenow-urgency"
IMPACT: Final = "tidegate.io/servicenow-impact"
