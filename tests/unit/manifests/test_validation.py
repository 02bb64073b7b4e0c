"""Rules for Rollouts that no recorded case covers, and the models' small readings of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.manifests.rollout import Canary, Rollout
from tidegate.manifests.steps import CanaryStep, step_text
from tidegate.manifests.validation.rollout import validate_rollout

ISTIO = {"istio": {"virtualService": {"name": "vs"}}}
ROUTED = {"trafficRouting": ISTIO, "canaryService": "new", "stableService": "old"}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def fields(canary: dict[str, Any] | None = None, **spec: Any) -> list[str]:
    base = {"selector": {"matchLabels": {"app": "x"}}, "template": TEMPLATE, "strategy": {"canary": canary or {}}}
    rollout = Rollout.model_validate({"metadata": {"name": "r"}, "spec": {**base, **spec}})
    return [f"{error.type} {error.field}" for error in validate_rollout(rollout)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"replicas": -1}, ["Invalid spec.replicas"]),
        ({"strategy": {}}, ["Required spec.strategy.strategy"]),
        (
            {"selector": {"matchLabels": {"app": "y"}}},
            ["Invalid spec.template.metadata.labels"],
        ),
        ({"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}, []),
        (
            {"selector": {"matchExpressions": [{"key": "app", "operator": "In"}]}},
            ["Required spec.selector.matchExpressions[0].values", "Invalid spec.selector"],
        ),
        (
            {"selector": {"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["x"]}]}},
            ["Forbidden spec.selector.matchExpressions[0].values", "Invalid spec.selector"],
        ),
        (
            {"selector": {"matchExpressions": [{"key": "app", "operator": "Is"}]}},
            ["Invalid spec.selector.matchExpressions[0].operator", "Invalid spec.selector"],
        ),
        (
            {"workloadRef": {"kind": "Deployment", "name": "d"}},
            ["InternalError spec.template"],
        ),
        ({"workloadRef": {"kind": "Deployment", "name": "d"}, "template": {}, "selector": None}, []),
    ],
)
def test_a_rollout_by_itself(spec: dict[str, Any], expected: list[str]) -> None:
    assert fields(None, **spec) == expected


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        ({"scaleDownDelaySeconds": 5}, ["Invalid spec.strategy.scaleDownDelaySeconds"]),
        ({"dynamicStableScale": True}, ["Invalid spec.strategy.dynamicStableScale"]),
        (
            {**ROUTED, "dynamicStableScale": True, "scaleDownDelaySeconds": 5},
            ["Invalid spec.strategy.dynamicStableScale"],
        ),
        (
            {**ROUTED, "trafficRouting": {**ISTIO, "maxTrafficWeight": 1000}},
            ["Invalid spec.strategy.trafficRouting.maxTrafficWeight"],
        ),
        ({"antiAffinity": {}}, ["Invalid spec.strategy.antiAffinity"]),
        (
            {"antiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 101}}},
            [
                "Invalid spec.strategy.antiAffinity.weight",
            ],
        ),
        (
            {"pingPong": {"pingService": "a", "pongService": "a"}},
            ["Invalid spec.strategy.pingPong.pingService"],
        ),
        (
            {
                "pingPong": {"pingService": "a", "pongService": "b"},
                "trafficRouting": {"alb": {"ingress": "i", "servicePort": 80}},
            },
            ["Invalid spec.strategy.trafficRouting.alb.rootService"],
        ),
        ({"steps": [{"setCanaryScale": {"weight": 5}}]}, ["Required spec.strategy.trafficRouting"]),
        (
            {"steps": [{"experiment": {"templates": [{"name": "a", "specRef": "canary", "weight": 5}]}}]},
            ["Invalid spec.strategy.steps[0].experiment.templates[0].weight"],
        ),
        (
            {**ROUTED, "steps": [{"setHeaderRoute": {"name": "r"}}]},
            ["Required spec.strategy.trafficRouting.managedRoutes"],
        ),
        (
            {
                "steps": [
                    {
                        "analysis": {
                            "templates": [{"templateName": "t"}],
                            "args": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.generation"}}}],
                        }
                    }
                ]
            },
            ["Invalid spec.strategy.steps[0].analyses"],
        ),
    ],
)
def test_a_canary_by_itself(canary: dict[str, Any], expected: list[str]) -> None:
    assert fields(canary) == expected


@pytest.mark.parametrize(
    "path",
    ["metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels['a.b/c']", "metadata.labels", "spec.x"],
)
def test_fields_that_an_argument_may_refer_to(path: str) -> None:
    argument = {"name": "a", "valueFrom": {"fieldRef": {"fieldPath": path}}}
    assert not fields({"steps": [{"analysis": {"templates": [{"templateName": "t"}], "args": [argument]}}]})


@given(st.integers())
def test_weights_are_percent(weight: int) -> None:
    assert (not fields({**ROUTED, "steps": [{"setWeight": weight}]})) == (0 <= weight <= 100)


@pytest.mark.parametrize("missing", ["canaryService", "stableService", "both"])
def test_both_services_are_needed_to_split_traffic_by_host(missing: str) -> None:
    given_services = {name: value for name, value in ROUTED.items() if missing not in (name, "both")}
    assert fields({**given_services, "trafficRouting": ISTIO})


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ({"analysis": {}}, "analysis"),
        ({"experiment": {}}, "experiment"),
        ({"pause": {"duration": "5m"}}, "pause: 5m"),
        ({"setCanaryScale": {"replicas": 3}}, "setCanaryScale{replicas: 3}"),
        ({"setCanaryScale": {"matchTrafficWeight": True}}, "setCanaryScale{matchTrafficWeight: true}"),
        ({"setHeaderRoute": {"name": "h"}}, "setHeaderRoute: h"),
        ({"setWeight": 0}, "setWeight: 0"),
    ],
)
def test_steps_in_one_line(step: dict[str, Any], text: str) -> None:
    assert step_text(CanaryStep.model_validate(step)) == text


def test_what_is_absent_has_argos_defaults() -> None:
    rollout = Rollout.model_validate({"spec": {"strategy": {"canary": {}}}})
    assert (rollout.spec.wanted_replicas(), rollout.spec.history_limit()) == (1, 10)
    assert rollout.spec.progress_deadline() == timedelta(minutes=10)
    delays = (rollout.canary.scale_down_delay(), rollout.canary.abort_scale_down_delay())
    assert delays == (timedelta(seconds=30), timedelta(seconds=30))


def test_a_zero_is_no_default() -> None:
    canary = Canary.model_validate({"scaleDownDelaySeconds": 0, "abortScaleDownDelaySeconds": 0})
    assert canary.scale_down_delay() == canary.abort_scale_down_delay() == timedelta()


def test_analyses_come_with_their_steps_the_background_one_first() -> None:
    analysis = {"templates": [{"templateName": "t"}]}
    canary = Canary.model_validate({"analysis": analysis, "steps": [{"setWeight": 1}, {"analysis": analysis}]})
    assert [step for step, _ in canary.analyses()] == [None, 1]


def test_a_rollout_without_canary_says_so() -> None:
    with pytest.raises(ValueError, match=r"spec\.strategy\.canary"):
        _ = Rollout.model_validate({"metadata": {"name": "r"}}).canary
