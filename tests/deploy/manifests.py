"""Kubernetes manifests as the tests of `deploy/` read and judge them: rendered, and validated offline."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator

Object = dict[str, Any]

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES = ("1.35.0", "1.36.0", "1.37.0")  # the three minor versions that upstream supports
_BIN = Path(sysconfig.get_path("scripts"))
_EXTENSIONS = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")


@cache
def _rendered(folder: Path) -> str:
    done = subprocess.run([str(_BIN / "kubectl"), "kustomize", str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout


def render(folder: Path) -> list[Object]:
    """The objects that `kubectl kustomize` makes of a folder."""
    return list(yaml.safe_load_all(_rendered(folder)))


def documents(path: Path) -> list[Object]:
    """The objects of a YAML file, or of all those in a folder."""
    files = sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
    return [obj for file in files for obj in yaml.safe_load_all(file.read_text()) if obj]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """Those of some kinds."""
    return [obj for obj in objects if obj["kind"] in kinds]


def workloads(objects: list[Object]) -> list[tuple[str, Object]]:
    """Component and pod template of everything that runs pods."""
    found = []
    for obj in of_kind(objects, "Deployment", "WorkerDeployment", "Job"):
        template = obj["spec"]["template"]
        found.append((template["metadata"]["labels"]["app.kubernetes.io/component"], template))
    return found


def problems(document: Object) -> list[str]:
    """Everything that any supported version of Kubernetes, or the schema of a custom kind, would refuse."""
    group, _, version = str(document.get("apiVersion", "")).rpartition("/")
    kind = str(document.get("kind"))
    schema = _schema(group, kind, version)
    if schema is not None:
        plain = strict(schema)
        # Every object has these, which a schema need not describe.
        own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
        plain["properties"] = plain["properties"] | own
        found = [f"{kind}{e.json_path[1:]}: {e.message}" for e in Draft202012Validator(plain).iter_errors(document)]
        return found + [each for inner in _deployments(document) for each in problems(inner)]
    if "." in group and not group.endswith(".k8s.io"):
        return [f"{group}/{version} {kind}: no schema of this kind is known"]
    return [f"{kind} {document['metadata']['name']}: {each}" for each in _kubernetes(document)]


def _deployments(document: Object) -> Iterator[Object]:
    """What Temporal's Worker Controller will make of a WorkerDeployment, whose schema leaves the pods open."""
    if document.get("kind") == "WorkerDeployment":
        template = document["spec"].get("template", {})
        labels = template.get("metadata", {}).get("labels", {})
        yield {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": document["metadata"]["name"]},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }


def _kubernetes(document: Object) -> Iterator[str]:
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{version}: {'.'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{version}: {error.message}"


@cache
def _schema(group: str, kind: str, version: str) -> dict[str, Any] | None:
    file = SCHEMAS / group / f"{kind}_{version}.json"
    if group and file.exists():
        return dict(json.loads(file.read_text()))
    for crd in (yaml.safe_load(each.read_text()) for each in (DEPLOY / "crds").glob("*.yaml")):
        if crd["spec"]["group"] == group and crd["spec"]["names"]["kind"] == kind:
            return dict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    return None


def strict(node: dict[str, Any]) -> dict[str, Any]:
    """The plain JSON Schema of a structural one, with unknown fields refused as `kubectl apply` does by default."""
    plain = {key: value for key, value in node.items() if key not in (*_EXTENSIONS, "default", "format", "description")}
    if node.get("x-kubernetes-int-or-string"):
        plain["type"] = ["integer", "string"]
    for keyword in ("items", "additionalProperties"):
        if isinstance(plain.get(keyword), dict):
            plain[keyword] = strict(plain[keyword])
    if "properties" in plain:
        plain["properties"] = {name: strict(child) for name, child in plain["properties"].items()}
        plain.setdefault("additionalProperties", bool(node.get("x-kubernetes-preserve-unknown-fields")))
    return plain
