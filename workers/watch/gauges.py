"""Shows Rollouts to Prometheus as their objects say: how many there are of each phase, weights and steps."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from temporalio.common import MetricMeter

from activities.kubernetes.client import Object
from tidegate.contract.metrics import ROLLOUT_STEP, ROLLOUT_STEP_STARTED, ROLLOUT_WEIGHT, ROLLOUTS
from tidegate.rollouts.phase import RolloutPhase

UNKNOWN = "Unknown"
LARGEST = 1_000_000  # far above a weight or a number of steps
Key = tuple[str, str]


class _Shown(NamedTuple):
    """A Rollout as it was shown last. `step` is the number, from 1, of the step that is under way; 0 is none."""

    phase: str
    weight: float
    step: float


_GONE = _Shown("", 0, 0)


class RolloutGauges:
    """Keeps the gauges of all Rollouts of a cluster up to date. The series of one that is gone stay, at 0."""

    def __init__(self, meter: MetricMeter = MetricMeter.noop, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives unix seconds."""
        self._meter = meter
        self._clock = clock
        self._shown: dict[Key, _Shown] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def show(self, key: Key, found: Object | None) -> None:
        """Take a Rollout as it is now; None when it is gone."""
        before = self._shown.pop(key, _GONE)
        now = _GONE if found is None else _read(found)
        if found is not None:
            self._shown[key] = now
        if now.phase != before.phase:
            self._count(key[0], before.phase, -1)
            self._count(key[0], now.phase, 1)
        labels = {"rollout_namespace": key[0], "rollout": key[1]}
        if now != before:
            ROLLOUT_WEIGHT.set(self._meter, now.weight, **labels)
            ROLLOUT_STEP.set(self._meter, now.step, **labels)
        if now.step != before.step:
            ROLLOUT_STEP_STARTED.set(self._meter, self._clock() if now.step else 0, **labels)

    def show_all(self, namespace: str, found: Mapping[Key, Object]) -> None:
        """Take the list of all Rollouts of a namespace, of all namespaces if it is empty."""
        gone = {key for key in self._shown if namespace in ("", key[0])} - found.keys()
        for key in gone:
            self.show(key, None)
        for key, each in found.items():
            self.show(key, each)

    def _count(self, namespace: str, phase: str, change: int) -> None:
        if phase:
            self._counts[namespace, phase] += change
            ROLLOUTS.set(self._meter, self._counts[namespace, phase], rollout_namespace=namespace, phase=phase)


def _read(found: Object) -> _Shown:
    """Read a Rollout's status; others may have written it, and no value of another kind gets into a gauge."""
    status = _mapping(found.get("status"))
    phase = str(status.get("phase"))
    weight = _mapping(_mapping(_mapping(status.get("canary")).get("weights")).get("canary")).get("weight")
    moves = phase in (RolloutPhase.PROGRESSING, RolloutPhase.PAUSED)
    is_stable = status.get("stableRS") == status.get("currentPodHash")
    return _Shown(
        phase=phase if phase in list(RolloutPhase) else UNKNOWN,
        weight=0 if is_stable else _number(weight),
        step=_number(status.get("currentStepIndex")) + 1 if moves and not is_stable else 0,
    )


def _number(value: Any) -> float:
    """The number that a gauge can show; 0 for what is none."""
    return value if isinstance(value, int | float) and 0 <= value <= LARGEST else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
