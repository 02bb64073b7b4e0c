"""Marks of phases, as `kubectl argo rollouts` has them."""

from __future__ import annotations

from typing import Final

OK, BAD, PROGRESSING, PAUSED, WARNING, UNKNOWN, NEUTRAL, WAITING = "✔", "✖", "◌", "॥", "⚠", "?", "•", "◷"

_MARKS: Final = {
    "Healthy": OK,
    "Successful": OK,
    "Running": PROGRESSING,
    "Progressing": PROGRESSING,
    "Paused": PAUSED,
    "Degraded": BAD,
    "Failed": BAD,
    "Error": WARNING,
    "Inconclusive": UNKNOWN,
    "Pending": WAITING,
    "ScaledDown": NEUTRAL,
}


def mark(state: str) -> str:
    """Icon of a phase."""
    return _MARKS.get(state, UNKNOWN)


def phase_mark(phase: str) -> str:
    """Icon of a release's phase; many fonts lack the sign that Argo's tree has for Paused."""
    return "‖" if phase == "Paused" else mark(phase)
