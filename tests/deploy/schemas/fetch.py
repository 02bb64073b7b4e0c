"""Write the schemas of others' kinds again from the CustomResourceDefinitions in their Go modules.

`python -m tests.deploy.schemas.fetch` needs Go. Modules and licences stand in README.md beside this file.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
# What the manifests use, by module: the rest of a module's kinds stays out.
SOURCES = {
    "istio.io/api@v1.31.4": (
        "kubernetes/customresourcedefinitions.gen.yaml",
        {
            "AuthorizationPolicy",
            "DestinationRule",
            "Gateway",
            "PeerAuthentication",
            "RequestAuthentication",
            "Sidecar",
            "VirtualService",
        },
    ),
    "github.com/cert-manager/cert-manager@v1.21.2": ("deploy/crds", {"Certificate", "ClusterIssuer", "Issuer"}),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd",
        {"PodMonitor", "PrometheusRule", "ServiceMonitor"},
    ),
    "github.com/argoproj/argo-cd/v3@v3.3.0": ("manifests/crds", {"Application", "AppProject"}),
}
KEPT = {
    "type",
    "properties",
    "items",
    "required",
    "enum",
    "pattern",
    "additionalProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
}


def reduced(schema: dict[str, Any]) -> dict[str, Any]:
    """What decides whether a document is valid; texts and defaults stay out."""
    kept = {key: value for key, value in schema.items() if key in KEPT}
    if "properties" in kept:
        kept["properties"] = {name: reduced(child) for name, child in kept["properties"].items() if name != "status"}
    for keyword in ("items", "additionalProperties"):
        if isinstance(kept.get(keyword), dict):
            kept[keyword] = reduced(kept[keyword])
    return kept


def main() -> None:
    """Download each module and write the schemas of its kinds."""
    for module, (place, kinds) in SOURCES.items():
        told = subprocess.run(["go", "mod", "download", "-json", module], check=True, capture_output=True, text=True)
        folder = Path(json.loads(told.stdout)["Dir"]) / place
        files = sorted(folder.rglob("*.yaml")) if folder.is_dir() else [folder]
        # A bare "=" has a meaning of its own in YAML 1.1, which nobody means.
        texts = (file.read_text().replace("- =\n", '- "="\n') for file in files)
        for crd in (crd for text in texts for crd in yaml.safe_load_all(text)):
            if not crd or crd.get("kind") != "CustomResourceDefinition" or crd["spec"]["names"]["kind"] not in kinds:
                continue
            names, group = crd["spec"]["names"], crd["spec"]["group"]
            for version in crd["spec"]["versions"]:
                if version["name"] not in ("v1", "v1alpha1", "v1beta1"):
                    continue
                target = HERE / group / f"{names['kind']}_{version['name']}.json"
                target.parent.mkdir(exist_ok=True)
                content = reduced(version["schema"]["openAPIV3Schema"])
                target.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
