"""Arguments that a Rollout supplies: hashes, and fields of the Rollout."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.analysis.arguments import SpecError
from tidegate.analysis.rollout_args import rollout_value

HASH_PATH = "metadata.labels['rollouts-pod-template-hash']"
ROLLOUT: dict[str, Any] = {
    "metadata": {
        "name": "checkout",
        "namespace": "pay",
        "uid": "u",
        "labels": {"b": "2", "a": 'x"y'},
        "annotations": {},
    },
    "spec": {"replicas": 8, "paused": True, "template": {"spec": {"containers": [{"image": "c:1"}]}}},
    "status": {"ratio": 2.0, "half": 0.5, "nothing": None},
}


def value(rollout: dict[str, Any] = ROLLOUT, **source: Any) -> str:
    return rollout_value({"name": "x", "valueFrom": source}, rollout, stable_hash="old", latest_hash="new")


def field(path: str, rollout: dict[str, Any] = ROLLOUT) -> str:
    return value(rollout, fieldRef={"fieldPath": path})


@pytest.mark.parametrize(("wanted", "found"), [("Stable", "old"), ("Latest", "new"), ("Bogus", "")])
def test_hashes(wanted: str, found: str) -> None:
    assert value(podTemplateHashValue=wanted) == found


@pytest.mark.parametrize(("argument", "found"), [({"value": "v"}, "v"), ({}, ""), ({"value": None}, "")])
def test_plain_values(argument: dict[str, Any], found: str) -> None:
    assert rollout_value(argument, ROLLOUT, stable_hash="old", latest_hash="new") == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("metadata.name", "checkout"),
        ("metadata.namespace", "pay"),
        ("metadata.uid", "u"),
        ("metadata.labels['b']", "2"),
        ("metadata.labels['zzz']", ""),
        ("metadata.annotations['zzz']", ""),
        ("metadata.labels", 'a="x\\"y"\nb="2"'),
        ("spec.replicas", "8"),
        ("spec.paused", "true"),
        ("spec.template.spec.containers[0].image", "c:1"),
        ("status.ratio", "2"),
        ("status.half", "0.5"),
    ],
)
def test_fields(path: str, found: str) -> None:
    assert field(path) == found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("metadata.generation", "unsupported fieldPath: metadata.generation"),
        ("metadata.labels.b", "unsupported fieldPath: metadata.labels.b"),
        ("status.nothing", "invalid path status.nothing in rollout"),
        ("spec.replicas.more", "invalid path spec.replicas.more in rollout"),
        ("spec.template", "path spec.template in rollout must terminate in a primitive value"),
        ("spec.template.spec.containers[7].image", "index 7 out of range"),
        ("spec.template.spec.containers.image", "invalid index 'image'"),
        ("", "path  in rollout must terminate in a primitive value"),
    ],
)
def test_paths_that_lead_nowhere(path: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        field(path)
    assert str(caught.value) == said


def test_the_hash_label_that_a_rollout_lacks_means_the_newest_hash() -> None:
    assert field(HASH_PATH) == "new"
    labelled = {"metadata": {"labels": {"rollouts-pod-template-hash": "own"}}}
    assert field(HASH_PATH, labelled) == "own"
    assert field("metadata.annotations['rollouts-pod-template-hash']") == ""
