"""The decision after a reading: abort, clear, wait, or leave it to a person."""

from __future__ import annotations

from tidegate.analysis.compare.evidence import Evidence
from tidegate.analysis.compare.models import Comparison, Judgement, DecisionPoint


def judge(wanted: Comparison, evidence: Evidence, point: DecisionPoint) -> Judgement:
    """Say what the evidence allows now."""
    raise NotImplementedError
