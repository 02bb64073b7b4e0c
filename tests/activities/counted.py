"""A document that knows how often it was read into a model."""

from __future__ import annotations

from typing import Any


class Counted(dict[str, Any]):
    """Counts its readings: a model goes through the items of its document once."""

    reads = 0

    def items(self) -> Any:
        self.reads += 1
        return super().items()
