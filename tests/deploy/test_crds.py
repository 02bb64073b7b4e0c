"""The CustomResourceDefinitions: structural, complete, and at one with the manifest models and the embedded API."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
import yaml

from sandbox.kubernetes_api.columns import columns_of
from sandbox.kubernetes_api.kinds import KINDS
from tests.deploy.manifests import strict
from tidegate.manifests.analysis_template import AnalysisTemplateSpec
from tidegate.manifests.model import Model
from tidegate.manifests.rollout import RolloutSpec

ROOT = Path(__file__).parents[2]
CRDS = {
    crd["spec"]["names"]["kind"]: crd
    for crd in (yaml.safe_load(path.read_text()) for path in sorted((ROOT / "deploy" / "crds").glob("*.yaml")))
}
MANIFESTS = (ROOT / "tests" / "data" / "manifests", ROOT / "examples", ROOT.parent / "shared" / "argo-manifests")
ARGO_KINDS = {kind.kind: kind for kind in KINDS if kind.group == "argoproj.io"}
# Kubernetes' rules for structural schemas: what else a schema may say is here, and what is not here it may not.
KEYWORDS = {
    "type",
    "format",
    "description",
    "enum",
    "default",
    "required",
    "properties",
    "additionalProperties",
    "items",
}
EXTENSIONS = {"x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"}
SCALARS = {bool: "boolean", int: "integer", str: "string"}

Schema = dict[str, Any]
Object = dict[str, Any]


def version(kind: str) -> dict[str, Any]:
    (only,) = CRDS[kind]["spec"]["versions"]
    return dict(only)


def schema(kind: str) -> Schema:
    return dict(version(kind)["schema"]["openAPIV3Schema"])


def spec_property(kind: str, name: str) -> Schema:
    return dict(schema(kind)["properties"]["spec"]["properties"][name])


def nodes(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for keyword, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if keyword in node:
            yield from nodes(node[keyword], path + mark)


def without_nulls(value: Any) -> Any:
    """What the API server validates: it drops a null from every field that is not nullable, and none here is."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def problems(obj: Object) -> list[tuple[str, str]]:
    """Path and text of everything that the schema of the object's kind refuses."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema, of the extra dev, is not installed")
    plain = strict(schema(obj["kind"]))
    # Every object has metadata of the one known form, which a CRD must not describe.
    plain["properties"]["metadata"] = {"type": "object"}
    validator = jsonschema.Draft202012Validator(plain)
    return [(error.json_path.removeprefix("$."), error.message) for error in validator.iter_errors(without_nulls(obj))]


def manifests() -> Iterator[Any]:
    for folder in MANIFESTS:
        for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
            if path.name != "index.yaml":
                for number, obj in enumerate(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)):
                    if isinstance(obj, dict) and obj.get("kind") in CRDS:
                        yield pytest.param(obj, id=f"{path.relative_to(folder.parent)}#{number}")


def test_there_is_one_file_for_each_kind_of_argo() -> None:
    assert set(CRDS) == set(ARGO_KINDS)
    names = {path.stem for path in (ROOT / "deploy" / "crds").iterdir()}
    assert names == {kind.plural for kind in ARGO_KINDS.values()}


@pytest.mark.parametrize("name", sorted(CRDS))
def test_names_scope_subresources_and_columns_are_those_of_the_embedded_api(name: str) -> None:
    crd, kind = CRDS[name], ARGO_KINDS[name]
    names = crd["spec"]["names"]
    assert (crd["apiVersion"], crd["kind"]) == ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert crd["metadata"]["name"] == kind.resource
    assert crd["spec"]["group"] == kind.group
    assert crd["spec"]["scope"] == ("Namespaced" if kind.namespaced else "Cluster")
    assert (names["plural"], names["singular"], names["listKind"]) == (kind.plural, name.lower(), f"{name}List")
    assert tuple(names["shortNames"]) == kind.short_names

    only = version(name)
    assert (only["name"], only["served"], only["storage"]) == (kind.versions[0], True, True)
    subresources = only.get("subresources", {})
    assert ("status" in subresources) == kind.status
    assert ("scale" in subresources) == (kind.scale is not None)
    # `Name` is a column of every kind, which a CRD does not list.
    assert ["Name", *(column["name"] for column in only["additionalPrinterColumns"])] == [
        column.name for column in columns_of(kind)
    ]


def test_an_autoscaler_finds_its_numbers() -> None:
    assert ARGO_KINDS["Rollout"].scale is not None
    assert version("Rollout")["subresources"]["scale"] == {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": "." + ".".join(ARGO_KINDS["Rollout"].scale.status_replicas),
        "labelSelectorPath": "." + ".".join(ARGO_KINDS["Rollout"].scale.selector),
    }


@pytest.mark.parametrize("name", sorted(CRDS))
def test_every_path_of_a_column_or_subresource_is_in_the_schema(name: str) -> None:
    described = {path: node["type"] for path, node in nodes(schema(name)) if "type" in node}
    columns = {column["jsonPath"]: column["type"] for column in version(name)["additionalPrinterColumns"]}
    assert columns.pop(".metadata.creationTimestamp") == "date"
    assert {path: described.get(path) for path in columns} == columns
    for path in version(name).get("subresources", {}).get("scale", {}).values():
        assert path in described


@pytest.mark.parametrize("name", sorted(CRDS))
def test_a_schema_is_structural(name: str) -> None:
    root = schema(name)
    assert root["type"] == "object"
    assert root["properties"]["metadata"] == {"type": "object"}
    for path, node in nodes(root):
        assert set(node) <= KEYWORDS | EXTENSIONS, path
        assert "type" in node or EXTENSIONS & set(node), path
        assert "x-kubernetes-int-or-string" not in node or "type" not in node, path
        assert all(node[extension] is True for extension in EXTENSIONS & set(node)), path
        assert not {"properties", "additionalProperties"} <= set(node), path
        assert ("items" in node) == (node.get("type") == "array"), path
        assert set(node.get("required", ())) <= set(node.get("properties", {})), path
        assert "default" not in node or node["default"] in node.get("enum", [node["default"]]), path


def test_a_metric_is_the_same_everywhere() -> None:
    for name in ("metrics", "args", "dryRun", "measurementRetention"):
        assert spec_property("AnalysisTemplate", name) == spec_property("AnalysisRun", name)
    template, cluster = (schema(kind)["properties"]["spec"] for kind in ("AnalysisTemplate", "ClusterAnalysisTemplate"))
    assert template == cluster


def part(annotation: Any) -> Any:
    """The model or scalar type that a field is made of, at whatever depth of optionals, tuples and mappings."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation, *others) = [each for each in get_args(annotation) if each is not type(None)]
        return None if others else part(annotation)
    arguments = [each for each in get_args(annotation) if each is not Ellipsis]
    return part(arguments[-1]) if arguments else annotation


def described(model: type[Model], node: Schema, path: str) -> Iterator[str]:
    """Fields of a model that the schema does not have, or has with another type."""
    for name, info in model.model_fields.items():
        where = f"{path}.{info.alias or name}"
        child = node["properties"].get(info.alias or name)
        if child is None:
            yield f"{where} is not in the schema"
            continue
        while isinstance(inner := child.get("items") or child.get("additionalProperties"), dict):
            child = inner
        of = part(info.annotation)
        if isinstance(of, type) and issubclass(of, Model):
            if "properties" in child or not child.get("x-kubernetes-preserve-unknown-fields"):
                yield from described(of, child, where)
        elif of in SCALARS and child.get("type") != SCALARS[of]:
            yield f"{where} is {child.get('type')}, not {SCALARS[of]}"


@pytest.mark.parametrize(
    ("kind", "model"),
    [("Rollout", RolloutSpec), ("AnalysisTemplate", AnalysisTemplateSpec)],
    ids=lambda value: str(value),
)
def test_no_field_that_tidegate_reads_is_pruned_by_the_cluster(kind: str, model: type[Model]) -> None:
    assert not list(described(model, schema(kind)["properties"]["spec"], "spec"))


@pytest.mark.parametrize("manifest", list(manifests()))
def test_argos_manifests_and_ours_are_accepted(manifest: Object) -> None:
    assert problems(manifest) == []


def metric(**fields: Any) -> Object:
    return {"name": "errors", "provider": {"datadog": {"query": "a"}}, **fields}


def step(**fields: Any) -> Object:
    return {"strategy": {"canary": {"steps": [fields]}}}


GOOD: dict[str, Object] = {
    "Rollout": {
        "template": {"spec": {"containers": [{"anything": 1}]}},
        "strategy": {"blueGreen": {"activeService": "a"}},
    },
    "AnalysisTemplate": {"args": [{"name": "a"}], "metrics": [metric(count="{{args.a}}", failureLimit=3)]},
    "ClusterAnalysisTemplate": {"templates": [{"templateName": "other", "clusterScope": True}]},
    "AnalysisRun": {"metrics": [metric()], "terminate": True, "ttlStrategy": {"secondsAfterCompletion": 5}},
    "Experiment": {"templates": [{"name": "a", "selector": {"matchLabels": {"app": "a"}}, "template": {"spec": {}}}]},
}


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_a_good_object_of_each_kind_is_accepted(kind: str) -> None:
    assert problems({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {}, "spec": GOOD[kind]}) == []


BAD = [
    ("Rollout", {"replicas": "3"}, "spec.replicas"),
    ("Rollout", {"replicas": 1.5}, "spec.replicas"),
    ("Rollout", {"paused": "true"}, "spec.paused"),
    ("Rollout", {"selector": {"matchLabels": {"app": 1}}}, "spec.selector.matchLabels.app"),
    ("Rollout", step(setWeight="20"), "spec.strategy.canary.steps[0].setWeight"),
    ("Rollout", step(pause={"duration": 1.5}), "spec.strategy.canary.steps[0].pause.duration"),
    ("Rollout", step(pause={"duration": True}), "spec.strategy.canary.steps[0].pause.duration"),
    ("Rollout", step(setWieght=20), "spec.strategy.canary.steps[0]"),
    ("Rollout", {"strategy": {"blueGreen": {"activeService": "a", "steps": []}}}, "spec.strategy.blueGreen"),
    (
        "Rollout",
        {
            "strategy": {
                "canary": {"trafficRouting": {"istio": {"virtualService": {"name": "vs", "routes": "primary"}}}}
            }
        },
        "spec.strategy.canary.trafficRouting.istio.virtualService.routes",
    ),
    ("AnalysisTemplate", {"metrics": {}}, "spec.metrics"),
    ("AnalysisTemplate", {"metrics": [{"name": "errors"}]}, "spec.metrics[0]"),
    ("AnalysisTemplate", {"metrics": [metric(count=True)]}, "spec.metrics[0].count"),
    ("AnalysisTemplate", {"metrics": [metric(interval=30)]}, "spec.metrics[0].interval"),
    (
        "ClusterAnalysisTemplate",
        {"metrics": [metric(provider={"datadog": {"query": "a", "aggregator": "p99"}})]},
        "spec.metrics[0].provider.datadog.aggregator",
    ),
    ("ClusterAnalysisTemplate", {"args": [{"name": "a", "value": 5}]}, "spec.args[0].value"),
    ("AnalysisRun", {"metrics": [], "terminate": "yes"}, "spec.terminate"),
    ("AnalysisRun", {}, "spec"),
    (
        "Experiment",
        {"templates": [{**GOOD["Experiment"]["templates"][0], "replicas": "1"}]},
        "spec.templates[0].replicas",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "path"), BAD, ids=[f"{kind}-{path}" for kind, _, path in BAD])
def test_a_wrong_type_is_refused_with_the_path_of_its_field(kind: str, spec: Object, path: str) -> None:
    found = problems({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec})
    assert [where for where, _ in found] == [path], found


def test_a_status_keeps_what_other_tools_write_and_types_what_is_known() -> None:
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {}, "spec": {}}
    status = {"phase": "Paused", "HPAReplicas": 3, "blueGreen": {"a": 1}, "canary": {"weights": None, "other": 1}}
    assert problems({**rollout, "status": status}) == []
    wrong = deepcopy(status) | {"HPAReplicas": "3", "currentStepIndex": None, "abort": 1}
    assert {path for path, _ in problems({**rollout, "status": wrong})} == {"status.HPAReplicas", "status.abort"}
