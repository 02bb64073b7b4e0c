"""What goes wrong, and how long everything takes: drawn from one seed."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Chances:
    """One source of chance for a whole simulation.

    Attributes:
        rates: by the name of what may go wrong, how probable that is each time; what is not named never does.
        happened: how often each did.
    """

    def __init__(self, seed: int, rates: Mapping[str, float] | None = None) -> None:
        self.random = random.Random(seed)
        self.rates = dict(rates or {})
        self.happened: Counter[str] = Counter()

    def strikes(self, what: str) -> bool:
        """Whether this goes wrong now."""
        rate = self.rates.get(what, 0.0)
        struck = rate > 0.0 and self.random.random() < rate
        if struck:
            self.happened[what] += 1
        return struck

    def latency(self, usual: float = 0.01) -> float:
        """Seconds that a message takes; now and then many times as long as usual."""
        slow = self.strikes("slow")
        return self.random.random() * usual * (100.0 if slow else 1.0)

    def seconds(self, least: float, most: float) -> float:
        """Any time between the two."""
        return self.random.uniform(least, most)

    def one_of(self, choices: Sequence[T]) -> T:
        """Any of them."""
        return self.random.choice(choices)

    def uuid(self) -> str:
        """An id as nobody else has."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))
