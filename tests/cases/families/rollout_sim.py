"""rollout_sim: whole lives of a Rollout against the real workflow, activities and watcher, in virtual time."""

from __future__ import annotations

from tests.cases.families.analysis_run import ScriptedProvider
from tests.cases.family import Answer, Family, Input, pruned
from tests.cases.results import rules_of
from tests.virtual.stage import simulate

EXACT = ("step", "phase", "stable", "desired", "vs_weights", "services", "pods", "analysisruns")
LATE_SECONDS = 2


def rollout_sim(given: Input) -> Answer:
    provider = ScriptedProvider(given)
    trace = simulate(given, lambda _, metric, now: provider.measure(rules_of(dict(metric)), {}, now))
    return {"trace": trace}


def same_states(expected: Answer, actual: Answer) -> bool:
    """The grading that the cases suggest: the states exactly, their seconds within two; messages are soft."""
    wanted, found = expected["trace"], actual.get("trace") or []
    return len(wanted) == len(found) and all(map(_same, wanted, found))


def _same(expected: Answer, actual: Answer) -> bool:
    return abs(actual["at"] - expected["at"]) <= LATE_SECONDS and bool(_exact(expected) == _exact(actual))


def _exact(state: Answer) -> Answer:
    return pruned({key: state.get(key) for key in EXACT})


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


FAMILIES = (Family("rollout_sim", rollout_sim, same_states, quirk),)
