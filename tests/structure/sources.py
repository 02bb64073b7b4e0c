"""Where the product's code is."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("tidegate", "activities", "workflows", "workers", "sandbox")


def modules(*rooms: str) -> list[Path]:
    """Every module of the rooms, in the order of the rooms and of their paths; all of the product for none."""
    return [file for room in rooms or PRODUCT for file in sorted((ROOT / room).rglob("*.py"))]
