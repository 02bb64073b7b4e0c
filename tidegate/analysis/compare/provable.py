"""What can be proven at a service's traffic, and when: the forecast before a rollout."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.analysis.compare.models import Comparison, HourRow, Provability, Weight


def provable(wanted: Comparison, hour: Sequence[HourRow], weights: Sequence[Weight]) -> Provability:
    """Forecast from stable's hour before for the Rollout's weights above 0 and below 100 % (`since` is not read)."""
    raise NotImplementedError
