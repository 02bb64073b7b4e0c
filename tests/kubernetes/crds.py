"""The CustomResourceDefinitions: Tidegate's or Argo's, and Istio's where it is not there."""

from __future__ import annotations

from pathlib import Path

import yaml

from activities.kubernetes.client import Object
from tests.deploy.manifests import DEPLOY, documents
from tests.kubernetes.plane import CRDS, Plane

OWN = DEPLOY / "crds"
_PROBE: Object = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "probe", "namespace": "default"},
    "spec": {
        "selector": {"matchLabels": {"app": "probe"}},
        "strategy": {"canary": {}},
        "template": {
            "metadata": {"labels": {"app": "probe"}},
            "spec": {"containers": [{"name": "probe", "image": "probe", "ports": [{"containerPort": 80}]}]},
        },
    },
}
_ISTIO = {"VirtualService": "virtualservices", "DestinationRule": "destinationrules"}


def crds_of(folder: Path) -> list[Object]:
    """The definitions in a folder of manifests."""
    return [each for each in documents(folder) if each["kind"] == CRDS.kind]


def defaults_ports(crds: list[Object]) -> bool:
    """Whether the API server fills in the protocol of a container's port under these."""
    rollout = next(each for each in crds if each["spec"]["names"]["kind"] == "Rollout")
    return "TCP" in yaml.safe_dump(rollout)


async def put(plane: Plane, folder: Path) -> None:
    """Apply the definitions of a folder over those that stand, and wait until objects are treated by them."""
    crds = crds_of(folder)
    file = plane.file(*crds)
    await plane.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=tests", "-f", file)
    names = [f"crd/{each['metadata']['name']}" for each in crds]
    await plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    probe, filled = plane.file(_PROBE), defaults_ports(crds)

    async def in_force() -> bool:
        code, made = await plane.run("kubectl", "create", "--dry-run=server", "-o", "yaml", "-f", probe)
        return not code and ("protocol: TCP" in made) is filled

    await plane.until(in_force, 60, lambda: f"the definitions of {folder} are not in force")


async def standing(plane: Plane) -> list[Object]:
    """The definitions of Argo's kinds that stand, as they can be put back."""
    found = await plane.cluster.select(CRDS, "", {})
    return [
        {
            "apiVersion": CRDS.api_version,  # which a list leaves out
            "kind": CRDS.kind,
            "spec": each["spec"],
            "metadata": {k: v for k, v in each["metadata"].items() if k in ("name", "labels", "annotations")},
        }
        for each in found
        if each["spec"]["group"] == "argoproj.io"
    ]


async def put_back(plane: Plane, before: list[Object]) -> None:
    """Replace what stands by what stood, and delete what did not."""
    names = {each["metadata"]["name"] for each in before}
    for each in await standing(plane):
        if each["metadata"]["name"] not in names:
            await plane.kubectl("delete", "crd", each["metadata"]["name"])
    if before:
        await plane.kubectl("replace", "-f", plane.file(*before))


async def bring_istio(plane: Plane) -> list[str]:
    """Define Istio's kinds with an open schema where they are not served; names of those definitions."""
    stand = await plane.names(CRDS, "")
    made = [_open(kind, plural) for kind, plural in _ISTIO.items() if f"{plural}.networking.istio.io" not in stand]
    if made:
        await plane.create(made)
    names = [str(each["metadata"]["name"]) for each in made]
    if names:
        await plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in names))
    return names


def _open(kind: str, plural: str) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [
        {"name": name, "served": True, "storage": name == "v1", "schema": schema}
        for name in ("v1", "v1beta1", "v1alpha3")
    ]
    return {
        "apiVersion": CRDS.api_version,
        "kind": CRDS.kind,
        "metadata": {"name": f"{plural}.networking.istio.io"},
        "spec": {
            "group": "networking.istio.io",
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": versions,
        },
    }
