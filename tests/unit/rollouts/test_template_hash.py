"""The hash is Argo's, for any pod template, and blind to what Go cannot see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.manifests.steps import CanaryStep
from tidegate.rollouts.template_hash import go_json, pod_template_hash, steps_hash

# Templates with the hash that a Go program computed from k8s.io/api's own types.
VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "data" / "manifests" / "pod_template_hashes.json").read_text()
)
CONTAINER = {"name": "c", "image": "img:v1"}
SMALL: dict[str, Any] = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [CONTAINER]}}


def test_the_published_examples() -> None:
    assert pod_template_hash(SMALL) == "7d47d9c8f5"
    assert steps_hash(_steps({"setWeight": 20}, {"pause": {}})) == "54649b9f5c"


def test_the_hash_of_steps_changes_with_any_of_them_and_not_with_the_order_of_fields() -> None:
    argument = {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}
    templates = [{"templateName": "t"}]
    one = steps_hash(_steps({"setWeight": 0}, {"analysis": {"args": [argument], "templates": templates}}))
    assert one == steps_hash(_steps({"setWeight": 0}, {"analysis": {"templates": templates, "args": [argument]}}))
    assert one != steps_hash(_steps({"setWeight": 1}, {"analysis": {"templates": templates, "args": [argument]}}))
    assert one != steps_hash(_steps({"setWeight": 0}, {"analysis": {"templates": templates}}))


def _steps(*steps: dict[str, Any]) -> list[CanaryStep]:
    return [CanaryStep.model_validate(step) for step in steps]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_equals_the_hash_that_go_computes(vector: dict[str, Any]) -> None:
    assert pod_template_hash(vector["template"]) == vector["hash"]


def test_a_collision_count_changes_the_hash() -> None:
    hashes = {pod_template_hash(SMALL, count) for count in (None, 0, 1, 2)}
    assert len(hashes) == 4


@pytest.mark.parametrize(
    "container",
    [
        {**CONTAINER, "resources": {}},
        {"image": "img:v1", "name": "c"},
        {**CONTAINER, "tty": False, "args": [], "workingDir": "", "livenessProbe": None},
    ],
    ids=["written empty struct", "other order", "empty values"],
)
def test_what_go_cannot_tell_apart_has_one_hash(container: dict[str, Any]) -> None:
    assert pod_template_hash({**SMALL, "spec": {"containers": [container]}}) == pod_template_hash(SMALL)


@pytest.mark.parametrize(("one", "other"), [("0.5", "500m"), ("1024Mi", "1Gi"), (1, "1"), ("1000m", "1")])
def test_equal_quantities_have_one_hash(one: str | int, other: str) -> None:
    def with_cpu(quantity: str | int) -> str:
        container: Any = {**CONTAINER, "resources": {"limits": {"cpu": quantity}}}
        return pod_template_hash({"spec": {"containers": [container]}})

    assert with_cpu(one) == with_cpu(other)


def test_a_pointer_to_zero_counts() -> None:
    without = pod_template_hash({"spec": {"containers": []}})
    assert pod_template_hash({"spec": {"containers": [], "terminationGracePeriodSeconds": 0}}) != without


def test_a_field_of_a_newer_kubernetes_counts_and_its_place_does_not() -> None:
    one = pod_template_hash({"spec": {"zzNew": 1, "containers": [], "aaNew": 2}})
    assert one == pod_template_hash({"spec": {"aaNew": 2, "zzNew": 1, "containers": []}})
    assert one != pod_template_hash({"spec": {"aaNew": 3, "zzNew": 1, "containers": []}})


@pytest.mark.parametrize(
    "template",
    [
        {"spec": "text"},
        {"spec": {"containers": {"name": "c"}}},
        {"spec": {"containers": ["c", None]}},
        {"spec": {"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}},
        {"metadata": {"labels": ["app"]}},
    ],
)
def test_a_malformed_template_still_has_a_hash(template: dict[str, Any]) -> None:
    assert pod_template_hash(template)


def test_go_escapes_what_html_would_read() -> None:
    assert go_json({"a": "<b> & \u2028"}) == r'{"a":"\u003cb\u003e \u0026 \u2028"}'


scalars = st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5)
trees = st.recursive(
    scalars, lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=5), child, max_size=3)
)


@given(tree=trees)
def test_any_template_has_a_stable_hash_of_the_alphabet(tree: Any) -> None:
    template: Any = {"spec": {"containers": [{"name": "c", "env": tree}]}, "metadata": {"annotations": {"a": tree}}}
    value = pod_template_hash(template)
    assert value == pod_template_hash(json.loads(json.dumps(template)))
    assert 1 <= len(value) <= 10
    assert set(value) <= set("bcdfghjklmnpqrstvwxz2456789")
