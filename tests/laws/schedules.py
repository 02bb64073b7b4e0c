"""Random lives of a Rollout: what may happen to it, and when."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

BAD = frozenset({"v3", "v5"})  # their analyses fail
STEPS = [
    {"setWeight": 20},
    {"pause": {"duration": "10s"}},
    {"analysis": {"templates": [{"templateName": "gate"}]}},
    {"setWeight": 60},
    {"pause": {}},
]
ROLLOUT: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "demo"},
    "spec": {
        "replicas": 5,
        "selector": {"matchLabels": {"app": "x"}},
        "template": {
            "metadata": {"labels": {"app": "x"}},
            "spec": {"containers": [{"name": "c", "image": "img:v1"}]},
        },
        "strategy": {
            "canary": {
                "steps": STEPS,
                "canaryService": "canary",
                "stableService": "stable",
                "trafficRouting": {"istio": {"virtualService": {"name": "vs"}}},
            }
        },
    },
}
GATE = {
    "metadata": {"name": "gate"},
    "spec": {"metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}, "successCondition": "true"}]},
}
GIVEN = {"rollout": ROLLOUT, "templates": [GATE], "ready_after": 3}

# Requests that the API server turns down. What it says to a look or to a write of the Rollout stands for all of them.
REQUESTS = (
    ("patch", "replicasets"),
    ("create", "replicasets"),
    ("patch", "virtualservices"),
    ("patch", "services"),
    ("patch", "rollouts"),
    ("get", "virtualservices"),
    ("list", "replicasets"),
    ("create", "events"),
    ("create", "analysisruns"),
)

Event = tuple[str, Any]
Schedule = list[tuple[int, Event]]  # seconds to wait before each event

EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.tuples(st.just("set_image"), st.sampled_from(["v1", "v2", "v3", "v4", "v5"])),
    st.tuples(st.sampled_from(["abort", "retry", "pause", "unpause"]), st.just(True)),
    st.tuples(st.just("promote"), st.sampled_from([True, "full"])),
    st.tuples(st.just("set_replicas"), st.integers(min_value=1, max_value=8)),
    st.tuples(st.just("set_steps"), st.sampled_from([STEPS, STEPS[:3], STEPS[2:]])),
    st.tuples(st.just("pods fail"), st.sampled_from(["v1", "v2", "v4"])),
    st.tuples(
        st.just("requests fail"),
        st.tuples(st.sampled_from(REQUESTS), st.sampled_from([409, 503]), st.integers(min_value=1, max_value=3)),
    ),
    st.tuples(st.just("somebody routes"), st.sampled_from([0, 7, 50, 100])),
    st.tuples(st.just("worker of the cluster goes"), st.integers(min_value=1, max_value=5)),  # after so many writes
)
SCHEDULES = st.lists(st.tuples(st.integers(min_value=1, max_value=40), EVENTS), min_size=1, max_size=7)
# Whether the worker of the releases is as one that is restarted before each task. It cannot go while a release is under
# way: this server leaves the queries of a release to the worker that kept it, also when that one went.
# It costs three times as much: one in ten.
FORGETFUL = st.sampled_from([False] * 9 + [True])
