"""Limits that hold for every provider."""

from __future__ import annotations

from typing import Final

LONGEST_TIMEOUT: Final = 100
"""Seconds. All metrics that are due together are one activity, which has two minutes: one may not take it from all."""
