"""rollout_sim, bluegreen_sim: whole lives of a Rollout with the real workflow, activities and watcher."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.cases.families.analysis_run import ScriptedProvider
from tests.cases.family import Answer, Family, Input, pruned
from tests.cases.results import rules_of, with_argos_limit
from tests.virtual.stage import simulate

EXACT = ("step", "phase", "stable", "desired", "vs_weights", "services", "pods", "analysisruns")
BLUE_GREEN = ("phase", "stable", "desired", "pause", "services", "pods", "analysisruns")
SELECTORS = ("activeSelector", "previewSelector")
LATE_SECONDS = 2


def rollout_sim(given: Input) -> Answer:
    provider = ScriptedProvider(given)
    trace = simulate(given, lambda run, metric, now: provider.measure(rules_of(dict(metric)), {}, now, run))
    return {"trace": trace}


def blue_green_sim(given: Input) -> Answer:
    """As `rollout_sim`; the script stands for the Jobs of the cases, too."""
    templates = copy.deepcopy(given.get("templates") or [])
    for metric in (metric for template in templates for metric in template["spec"]["metrics"]):
        metric |= with_argos_limit(metric) | {"provider": {"web": {"url": "http://x", "jsonPath": "{$.a}"}}}
    return rollout_sim({**given, "templates": templates})


def same_states(expected: Answer, actual: Answer) -> bool:
    """The grading that the cases suggest: the states exactly, their seconds within two; messages are soft."""
    wanted, found = expected["trace"], actual.get("trace") or []
    return len(wanted) == len(found) and all(map(_same, wanted, found))


def _same(expected: Answer, actual: Answer) -> bool:
    return abs(actual["at"] - expected["at"]) <= LATE_SECONDS and bool(_exact(expected) == _exact(actual))


def _exact(state: Answer) -> Answer:
    return pruned({key: state.get(key) for key in EXACT})


def same_blue_green(expected: Answer, actual: Answer) -> bool:
    """The grading that the cases suggest for blue-green."""
    wanted, found = expected["trace"], actual.get("trace") or []
    return len(wanted) == len(found) and all(map(_same_blue_green, wanted, found))


def _same_blue_green(expected: Answer, actual: Answer) -> bool:
    ends = [dict(state.get("scale_down_at") or {}) for state in (expected, actual)]
    late = [abs(ends[0][name] - ends[1][name]) for name in ends[0] if name in ends[1]]
    in_time = abs(actual["at"] - expected["at"]) <= LATE_SECONDS and all(each <= LATE_SECONDS for each in late)
    return in_time and ends[0].keys() == ends[1].keys() and _blue_green(expected) == _blue_green(actual)


def _blue_green(state: Answer) -> Answer:
    selectors = state.get("blueGreen") or {}
    return pruned({key: state.get(key) for key in BLUE_GREEN} | {key: selectors.get(key) or None for key in SELECTORS})


def quirk(given: Input) -> str:
    canary = given["rollout"]["spec"]["strategy"]["canary"]
    if canary.get("scaleDownDelaySeconds") == 0:
        return "without a delay the old pods go at once"
    images = [action["set_image"] for action in given.get("actions") or [] if "set_image" in action]
    if canary.get("dynamicStableScale") and images[1:] and images[-1] == "v1":
        return "on the way back to a stable version that is short of pods a release is Progressing, not Healthy"
    if given.get("script") and any("promote" in action for action in given.get("actions") or []):
        return "a run that a release left without a verdict is Inconclusive, it proves nothing"
    return ""


def blue_green_quirk(given: Input) -> str:
    """The first difference that an input meets, in the words of the page on them."""
    strategy = given["rollout"]["spec"]["strategy"]["blueGreen"]
    actions = [next((key, value) for key, value in each.items() if key != "at") for each in given.get("actions") or []]
    return next((why for why, meets in _BLUE_GREEN_QUIRKS if meets(_Life(strategy, actions, given))), "")


class _Life(NamedTuple):
    strategy: Input
    actions: list[tuple[str, Any]]
    given: Input

    def has(self, *names: str) -> bool:
        return any(name in names for name, _ in self.actions)

    def loses(self, version: str) -> bool:
        return any(name == "lose_pods" and value["version"] == version for name, value in self.actions)

    def promotes(self) -> bool:
        return ("promote", True) in self.actions

    def fails_or_aborts(self) -> bool:
        return "postPromotionAnalysis" in self.strategy and (self.has("abort") or "F" in str(self.given.get("script")))

    def is_first_aborted(self) -> bool:
        names = [name for name, _ in self.actions]
        return "abort" in names and "set_image" not in names[: names.index("abort")]

    def leaves_a_run(self) -> bool:
        return "running" in str(self.given.get("script")) and self.has("abort", "undo", "promote", "set_image")


_BLUE_GREEN_QUIRKS: tuple[tuple[str, Callable[[_Life], bool]], ...] = (
    (
        "after a failure the active Service goes back whatever the new pods do",
        lambda life: life.has("lose_pods") and life.fails_or_aborts(),
    ),
    ("a fast rollback stays one while a pod is missing", lambda life: life.has("undo") and life.has("lose_pods")),
    (
        "a promotion counts although a pod is missing just then",
        lambda life: life.has("lose_pods") and life.promotes(),
    ),
    (
        "a promotion ends a timed pause",
        lambda life: bool(life.strategy.get("autoPromotionSeconds")) and life.promotes(),
    ),
    ("a Service without its hash promotes nobody", lambda life: life.has("point_service")),
    (
        "the first gate begins once the pods of the preview are there, and a retry is another attempt",
        lambda life: life.has("retry") and bool(life.given.get("script")),
    ),
    ("an abort of a first version ends its release", _Life.is_first_aborted),
    (
        "a version that is Healthy stays so while its Rollout is paused by hand",
        lambda life: life.has("pause"),
    ),
    ("a change of the strategy counts from the next release on", lambda life: life.has("set_bluegreen", "set_spec")),
    ("a Service that was missing is looked for again in a while", lambda life: life.has("create_service")),
    (
        "a version that is Healthy stays so while it is scaled beside pods that wait for their end",
        lambda life: life.has("set_replicas"),
    ),
    ("a run that a release left without a verdict is Inconclusive, it proves nothing", _Life.leaves_a_run),
)


FAMILIES = (
    Family("rollout_sim", rollout_sim, same_states, quirk),
    Family("bluegreen_sim", blue_green_sim, same_blue_green, blue_green_quirk),
)
