"""nginx_sim: whole lives of a Rollout whose traffic NGINX splits, in virtual time."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from tests.cases.families.rollout_sim import LATE_SECONDS, rollout_sim
from tests.cases.family import Answer, Family, Input, pruned

EXACT = ("step", "phase", "stable", "desired", "canary_ingress_weights", "services", "pods", "analysisruns")
LATER = 1.2  # seconds from one thing that people do to the next: what is under way at a second ends first
OVER = "0/0 scale-down pending"  # of a ReplicaSet without pods: Argo leaves the deadline where it was


def nginx_sim(given: Input) -> Answer:
    actions = [{**each, "at": each["at"] + LATER * number} for number, each in enumerate(given.get("actions") or [])]
    return rollout_sim({**given, "actions": actions})


def same(expected: Answer, actual: Answer) -> bool:
    """The grading that the cases suggest: the states exactly, their seconds within two; messages are soft."""
    wanted, found = _told(expected["trace"]), _told(actual.get("trace") or [])
    return [state for _, state in wanted] == [state for _, state in found] and all(
        abs(one - other) <= LATE_SECONDS for (one, _), (other, _) in zip(wanted, found, strict=True)
    )


def _told(trace: list[Any]) -> list[tuple[int, Answer]]:
    """Each state with its second, those that differ in nothing that counts as one."""
    states = [(int(each["at"]), _state(each)) for each in trace]
    return [next(group) for _, group in groupby(states, key=lambda each: str(each[1]))]


def _state(each: Answer) -> Answer:
    pods = {version: text.replace(OVER, "0/0") for version, text in (each.get("pods") or {}).items()}
    return pruned({key: each.get(key) for key in EXACT} | {"pods": pods})


FAMILIES = (Family("nginx_sim", nginx_sim, same),)
