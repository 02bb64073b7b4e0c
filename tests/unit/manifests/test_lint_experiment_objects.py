"""Experiment objects at lint and migrate: what Argo refuses, in its words, and what it finds out too late."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tidegate.client.manifest_files import findings_of
from tidegate.manifests.documents import from_objects
from tidegate.manifests.experiment import Experiment
from tidegate.manifests.findings import ManifestError, Severity, errors
from tidegate.manifests.lint import lint
from tidegate.manifests.migration import MigrationVerdict, assess
from tidegate.manifests.validation.experiment import validate_experiment

Edit = Callable[[dict[str, Any]], object]


def template(name: str) -> dict[str, Any]:
    labels = {"side": name}
    container = {"name": "a", "image": "shop:1", "ports": [{"containerPort": 80}]}
    return {
        "name": name,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }


GOOD: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "compare", "namespace": "payments"},
    "spec": {
        "templates": [template("a"), template("b")],
        "duration": "10m",
        "analyses": [
            {
                "name": "x",
                "templateName": "x",
                "args": [
                    {"name": "hash", "value": "{{templates.a.podTemplateHash}} {{templates.b.replicaset.name}}"},
                    {"name": "times", "value": "{{experiment.availableAt}} {{experiment.finishedAt}}"},
                ],
            }
        ],
    },
}
METRIC = {"name": "m", "provider": {"web": {"url": "https://x.example"}}, "successCondition": "result > 0"}
COMPARED = {"datadog": {"service": "shop", "operation": "http.request"}, "events": [{"name": "errors"}]}
COMPARES = {"name": "m", "provider": {"plugin": {"tidegate/compare": COMPARED}}}


def analysis_template(metric: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "x"},
        "spec": {"metrics": [metric]},
    }


def edited(edit: Edit) -> dict[str, Any]:
    found = copy.deepcopy(GOOD)
    edit(found["spec"])
    return found


def test_a_good_one_passes() -> None:
    assert validate_experiment(Experiment.model_validate(GOOD)) == []
    assert errors(lint(from_objects([GOOD, analysis_template(METRIC)]), complete=True)) == []


@pytest.mark.parametrize(
    ("edit", "path", "message"),
    [
        (lambda s: s["templates"][1].pop("selector"), "templates[1].selector", "missing field '.Spec.Templates[1].Sel"),
        (lambda s: s["templates"][0].update(selector={}), "templates[0].selector", "selecting all pods at index 0"),
        (
            lambda s: s["templates"][0].update(minReadySeconds=601),
            "templates[0].minReadySeconds",
            "template index 0",
        ),
        (lambda s: s["templates"][0].update(name=""), "templates[0].name", "empty template name at index 0"),
        (lambda s: s["templates"][1].update(name="a"), "templates[1].name", "repeated template name 'a' in templates"),
        (lambda s: s.update(templates=[]), "templates", "an experiment of nothing"),
        (lambda s: s.update(duration="ten"), "duration", "invalid duration"),
        (lambda s: s.update(scaleDownDelaySeconds=-1), "scaleDownDelaySeconds", "greater than or equal to 0"),
        (lambda s: s["templates"][0].update(replicas=-1), "templates[0].replicas", "greater than or equal to 0"),
        (lambda s: s["templates"][0].update(name="A_b"), "templates[0].name", "no name for objects"),
        (lambda s: s["templates"][0].update(selector={"matchLabels": {"x": "y"}}), "templates[0]", "does not match"),
        (
            lambda s: [t.update(service={"name": "s"}) for t in s["templates"]],
            "templates[0].service",
            "of two templates",
        ),
        (lambda s: s["analyses"].append(s["analyses"][0]), "analyses[1].name", "the name is taken"),
        (lambda s: s["analyses"][0].update(templateName=""), "analyses[0].templateName", "is required"),
        (
            lambda s: s["analyses"][0]["args"].append({"name": "n", "valueFrom": {"fieldRef": {"fieldPath": "a"}}}),
            "analyses[0].args[2].valueFrom",
            "values alone",
        ),
        (
            lambda s: s["analyses"][0]["args"].append({"name": "n", "value": "{{templates.c.podTemplateHash}}"}),
            "analyses[0].args[2].value",
            "templates.c.podTemplateHash",
        ),
    ],
)
def test_what_is_not_carried_out_is_refused(edit: Edit, path: str, message: str) -> None:
    found = errors(lint(from_objects([edited(edit)])))
    assert any(each.path.startswith(f"spec.{path}") and message in each.message for each in found), found


def test_a_weight_belongs_to_an_experiment_step() -> None:
    with pytest.raises(ManifestError, match="weight"):
        from_objects([edited(lambda spec: spec["templates"][0].update(weight=5))])


def test_what_surprises_is_a_warning() -> None:
    def surprising(spec: dict[str, Any]) -> None:
        spec.pop("duration")
        spec["analyses"][0].pop("args")
        spec["templates"][0]["service"] = {}
        spec["templates"][0]["template"]["spec"]["containers"][0].pop("ports")

    found = lint(from_objects([edited(surprising)]))
    assert {each.code for each in found if each.severity is Severity.WARNING} >= {"endless-experiment", "no-port"}
    assert errors(found) == []


def test_a_comparison_has_nothing_to_compare() -> None:
    found = errors(lint(from_objects([GOOD, analysis_template(COMPARES)])))
    assert any("nothing to compare" in each.message for each in found)


def test_an_experiment_can_move_and_that_of_a_step_is_its_rollouts() -> None:
    owned = copy.deepcopy(GOOD)
    owned["metadata"] |= {"name": "step", "ownerReferences": [{"kind": "Rollout", "name": "shop", "uid": "u"}]}
    bad = edited(lambda spec: spec.update(duration="ten"))
    bad["metadata"]["name"] = "bad"
    found = assess(from_objects([GOOD, owned, bad]), findings_of)
    assert found.unread == ()
    assert [(each.name, each.verdict) for each in found.rollouts] == [
        ("experiment/compare", MigrationVerdict.AS_IT_IS),
        ("experiment/bad", MigrationVerdict.REFUSED),
    ]
