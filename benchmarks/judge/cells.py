"""What is simulated: versions, services, and what is to be said of each pair of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from benchmarks.judge.fleet import Metrics, Service, Version, rates_of
from benchmarks.judge.session import EVENTS


class Truth(StrEnum):
    """GOOD is no worse in anything, BAD more than a tenth beyond a margin or loses requests, GREY in between."""

    GOOD = "good"
    BAD = "bad"
    GREY = "grey"


@dataclass(frozen=True)
class Cell:
    """One pair of a service and a version."""

    name: str
    service: Service
    version: Version

    @property
    def truth(self) -> Truth:
        """What is true of the version, by its rates and the margins."""
        stable = rates_of(self.service.errors, 0.0)
        mine = self.canary_rates()
        pairs = list(zip(EVENTS, stable, mine, strict=True))
        worst = max(b / (event.margin.times * a + event.margin.plus) for event, a, b in pairs)
        if worst >= 1.1 or self.version.lost > 0:
            return Truth.BAD
        return Truth.GREY if any(b > a * (1 + 1e-9) for _, a, b in pairs) else Truth.GOOD

    def canary_rates(self) -> tuple[float, ...]:
        """Rates of the version's bad requests, its defect being there."""
        version = self.version
        errors = self.service.errors * version.errors + version.plus
        return tuple(rates_of(errors, math.log(version.slower), version.stuck))


GOOD: Final = Version("good")
ERRORS: Final = (Version("errors x2", errors=2), Version("errors x5", errors=5), Version("500s on 5 %", plus=0.05))
OTHERS: Final = (
    Version("30 % slower", slower=1.3),
    Version("twice as slow", slower=2),
    Version("2 % stuck", stuck=0.02),
    Version("90 % fail", plus=0.9),
    Version("500s on 5 % from minute 6", plus=0.05, begins=360),
)
LOADS: Final = (5.0, 50.0, 500.0)
RATES: Final = (0.0005, 0.005, 0.02)


def grid() -> list[Cell]:
    """Services of several loads and error rates whose metrics are as usual."""
    services = [Service(load, rate) for load in LOADS for rate in RATES]
    cells = [_cell(service, version) for service in services for version in (GOOD, *ERRORS)]
    usual = [Service(load, 0.005) for load in LOADS]
    cells += [_cell(service, version) for service in usual for version in OTHERS]
    return cells + [_cell(Service(load, 0.005, incident=True), GOOD, "incident") for load in LOADS]


def rough() -> list[Cell]:
    """Services whose pods differ, or whose metrics are worse than usual, and canaries that lose requests."""
    cells = []
    for load in LOADS[1:]:
        differ = Service(load, 0.005, pods_errors=0.1, pods_latency=0.05)
        cells += [_cell(differ, version, "pods differ") for version in (GOOD, ERRORS[0], OTHERS[0])]
        cells += [_cell(Service(load, 0.005, cold=180), version, "cold for 3 min") for version in (GOOD, ERRORS[2])]
        late = Service(load, 0.005, metrics=Metrics(errors_late=150))
        cells += [_cell(late, version, "errors late") for version in (GOOD, ERRORS[0], ERRORS[2])]
        gaps = Service(load, 0.005, metrics=Metrics(missing=0.15))
        cells += [_cell(gaps, version, "points missing") for version in (GOOD, ERRORS[0])]
    lossy = [Version(f"loses {part:.0%}", lost=part) for part in (0.7, 0.98)]
    return cells + [_cell(Service(load, 0.005), version) for load in LOADS for version in lossy]


def _cell(service: Service, version: Version, note: str = "") -> Cell:
    parts = [version.name, note, f"{service.load:g} rps", f"{100 * service.errors:g} %"]
    return Cell(", ".join(part for part in parts if part), service, version)
