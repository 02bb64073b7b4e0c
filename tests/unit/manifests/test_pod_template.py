"""Pod templates: quantities as Go writes them, fields that do not exist, and what Kubernetes demands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.manifests.pod_template.check import pod_spec_errors, template_labels, template_problems
from tidegate.manifests.pod_template.quantity import canonical_quantity
from tidegate.manifests.pod_template.types import ROOT, SCALARS, fields_of

# Quantities with the form that Go's resource.Quantity gave them.
QUANTITIES: dict[str, str] = json.loads(
    (Path(__file__).parents[2] / "data" / "manifests" / "quantities.json").read_text()
)


@pytest.mark.parametrize(("text", "canonical"), QUANTITIES.items())
def test_quantities_are_written_as_go_writes_them(text: str, canonical: str) -> None:
    assert canonical_quantity(text) == canonical


@pytest.mark.parametrize("text", ["", "lots", "1 ", "1e", "1Kii", "0x5", "1e3k", "-", ".", "9" * 100, "1e99999"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantit"):
        canonical_quantity(text)


@given(st.integers(1, 10**15), st.sampled_from(["", "n", "m", "k", "M", "Ki", "Mi", "Gi", "e3", "e-3"]))
def test_a_canonical_quantity_stays_as_it_is(number: int, suffix: str) -> None:
    canonical = canonical_quantity(f"{number}{suffix}")
    assert canonical_quantity(canonical) == canonical


def test_every_type_of_the_table_exists() -> None:
    waiting, seen = [ROOT], set()
    while waiting:
        struct = waiting.pop()
        if struct not in seen and struct not in SCALARS:
            seen.add(struct)
            waiting += [field.type for field in fields_of(struct).values()]
    assert {"Container", "Probe", "Affinity", "EmptyDirVolumeSource"} < seen


@pytest.mark.parametrize(
    ("container", "path", "message", "certain"),
    [
        ({"imagee": "x"}, "imagee", "unknown field", True),
        ({"quantumEntanglement": True}, "quantumEntanglement", "no such field", False),
        ({"command": "run"}, "command", "must be a list", True),
        ({"env": [{"name": "A", "value": 1}]}, "value", "must be text", True),
        ({"ports": [{"containerPort": "80"}]}, "containerPort", "must be a whole number", True),
        ({"tty": "yes"}, "tty", "must be true or false", True),
        ({"resources": {"limits": {"cpu": "lots"}}}, "cpu", "quantities must match", True),
        ({"resources": []}, "resources", "must be an object", True),
        ({"readinessProbe": {"httpGet": {"port": True}}}, "port", "must be a whole number or text", True),
    ],
)
def test_a_field_that_kubernetes_would_not_read_is_named(
    container: dict[str, Any], path: str, message: str, certain: bool
) -> None:
    [problem] = template_problems({"spec": {"containers": [container]}}, ("spec", "template"))
    assert problem.path[:5] == ("spec", "template", "spec", "containers", 0)
    assert problem.path[-1] == path
    assert message in problem.message
    assert problem.certain is certain


def test_a_sound_template_has_no_problems() -> None:
    template: dict[str, Any] = {
        "metadata": {"labels": {"app": "x"}, "annotations": None},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": "i",
                    "resources": {"limits": {"cpu": 0.5, "memory": "1Gi"}},
                    "livenessProbe": {"httpGet": {"port": "http"}},
                }
            ],
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
    }
    assert not list(template_problems(template, ()))
    assert not list(pod_spec_errors(template, ()))
    assert template_labels(template) == {"app": "x"}


@pytest.mark.parametrize(
    ("spec", "field", "kind"),
    [
        ({}, "spec.containers", "Required"),
        ({"containers": [{"image": "i"}]}, "spec.containers[0].name", "Required"),
        ({"containers": [{"name": "c"}]}, "spec.containers[0].image", "Required"),
        ({"containers": [{"name": "C_", "image": "i"}]}, "spec.containers[0].name", "Invalid"),
        ({"containers": [{"name": "c" * 64, "image": "i"}]}, "spec.containers[0].name", "Invalid"),
        ({"containers": [{"name": "c", "image": "i"}] * 2}, "spec.containers[1].name", "Duplicate"),
        ({"containers": [{"name": "a.b", "image": "i"}]}, "spec.containers[0].name", "Invalid"),
        (
            {"containers": [{"name": "c", "image": "i"}], "initContainers": [{"name": "c", "image": "i"}]},
            "spec.initContainers[0].name",
            "Duplicate",
        ),
        (
            {"containers": [{"name": "c", "image": "i"}], "activeDeadlineSeconds": 5},
            "spec.activeDeadlineSeconds",
            "Forbidden",
        ),
        (
            {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"},
            "spec.restartPolicy",
            "NotSupported",
        ),
    ],
)
def test_kubernetes_demands_of_containers(spec: dict[str, Any], field: str, kind: str) -> None:
    [error] = pod_spec_errors({"spec": spec}, ())
    assert (error.field, error.type) == (field, kind)
    assert str(error).startswith(f"{field}: ")
