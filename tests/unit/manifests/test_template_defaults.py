"""Templates mean the same whichever defaults an API server filled in; what means something else stays another one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubernetes_api.defaults import with_defaults as stored
from sandbox.kubernetes_api.kinds import REPLICA_SETS
from tidegate.manifests.pod_template.defaults import with_defaults
from tidegate.rollouts.template_hash import template_hash

NAMES = st.text("abcdef", min_size=1, max_size=4)
IMAGES = st.sampled_from(["shop", "shop:1", "shop:latest", "a.b:5000/shop", "shop@sha256:1", "shop:latest@sha256:1"])
ACTIONS = st.sampled_from(
    [{"httpGet": {"port": 80}}, {"tcpSocket": {"port": 80}}, {"grpc": {"port": 80}}, {"exec": {"command": ["true"]}}]
)
SOURCES = st.sampled_from(
    [
        {},
        {"secret": {"secretName": "s"}},
        {"configMap": {"name": "c"}},
        {"hostPath": {"path": "/x"}},
        {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"secret": {"name": "s"}}]}},
        {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}},
        {"iscsi": {"targetPortal": "p", "iqn": "i", "lun": 0}},
        {"image": {"reference": "data"}},
    ]
)
ENV = st.lists(
    st.sampled_from(
        [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ]
    ),
    max_size=3,
)


@st.composite
def containers(draw: st.DrawFn) -> dict[str, Any]:
    container: dict[str, Any] = {"name": draw(NAMES), "image": draw(IMAGES), "env": draw(ENV)}
    if draw(st.booleans()):
        container["ports"] = [{"containerPort": port} for port in draw(st.lists(st.integers(1, 9), max_size=2))]
    for probe in draw(st.sets(st.sampled_from(["livenessProbe", "readinessProbe", "startupProbe"]))):
        container[probe] = copy.deepcopy(draw(ACTIONS))
    if draw(st.booleans()):
        container["lifecycle"] = {"preStop": copy.deepcopy(draw(ACTIONS))}
    if draw(st.booleans()):
        container["resources"] = {"limits": {"cpu": draw(st.sampled_from(["0.5", "500m", "1"]))}}
    return container


@st.composite
def templates(draw: st.DrawFn) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": draw(st.lists(containers(), min_size=1, max_size=2))}
    if draw(st.booleans()):
        spec["initContainers"] = [{"name": "init", "image": "init:1", "restartPolicy": "Always"}]
    if volumes := draw(st.lists(SOURCES, max_size=3)):
        spec["volumes"] = [{"name": f"v{number}", **copy.deepcopy(each)} for number, each in enumerate(volumes)]
    for field, value in (("serviceAccountName", "robot"), ("hostNetwork", True), ("securityContext", {"runAsUser": 1})):
        if draw(st.booleans()):
            spec[field] = copy.deepcopy(value)
    return {"metadata": {"labels": {"app": "shop"}}, "spec": spec}


def partly(draw: st.DrawFn, asked: Any, full: Any) -> Any:
    """`asked`, with some of what `full` has beside it."""
    if isinstance(asked, dict):
        added = {name: full[name] for name in sorted(full.keys() - asked.keys()) if draw(st.booleans())}
        kept = {name: partly(draw, value, full[name]) for name, value in asked.items()}
        return kept | {
            name: partly(draw, {}, value) if isinstance(value, dict) else value for name, value in added.items()
        }
    if isinstance(asked, list):
        return [partly(draw, one, other) for one, other in zip(asked, full, strict=True)]
    return asked


@given(st.data())
def test_any_part_of_the_defaults_is_no_other_version(data: st.DataObject) -> None:
    asked = data.draw(templates())
    full = with_defaults(asked)
    assert with_defaults(full) == full
    some = data.draw(st.composite(lambda draw: partly(draw, asked, full))())
    some["metadata"] = {**some["metadata"], "creationTimestamp": None}
    assert template_hash(some) == template_hash(asked)


@given(templates())
def test_what_a_server_stores_of_it_is_the_same_version(asked: dict[str, Any]) -> None:
    made = {"metadata": {"name": "shop-1"}, "spec": {"template": copy.deepcopy(asked)}}
    assert template_hash(stored(REPLICA_SETS, None, made)["spec"]["template"]) == template_hash(asked)


SHOP: dict[str, Any] = {
    "metadata": {"labels": {"app": "shop"}},
    "spec": {
        "containers": [{"name": "shop", "image": "shop:1", "readinessProbe": {"httpGet": {"port": 80}}}],
        "initContainers": [{"name": "proxy", "image": "proxy:1"}],
    },
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "containers", 0, "image"), "shop:2"),
        (("spec", "containers", 0, "imagePullPolicy"), "Always"),
        (("spec", "containers", 0, "readinessProbe", "timeoutSeconds"), 2),
        (("spec", "containers", 0, "readinessProbe", "httpGet", "scheme"), "HTTPS"),
        (("spec", "initContainers", 0, "restartPolicy"), "Always"),
        (("spec", "terminationGracePeriodSeconds"), 0),
        (("spec", "securityContext"), {"runAsNonRoot": True}),
        (("spec", "enableServiceLinks"), True),
        (("metadata", "annotations"), {"a": "b"}),
    ],
)
def test_what_means_something_else_is_another_version(path: tuple[Any, ...], value: Any) -> None:
    other = copy.deepcopy(SHOP)
    at = other
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    assert template_hash(other) != template_hash(SHOP)


@pytest.mark.parametrize("given", [{}, {"spec": None}, {"spec": []}, {"spec": {"containers": "many"}}, {"spec": 1}])
def test_what_is_no_template_is_passed_on(given: dict[str, Any]) -> None:
    assert template_hash(given)
