"""Discovery: which groups, versions and resources there are, as kubectl and dynamic clients ask."""

from __future__ import annotations

from sandbox.kubernetes_api.kinds import KINDS, Kind, group_versions
from sandbox.kubernetes_api.objects import Object
from sandbox.kubernetes_api.paths import subresources

_GIT_VERSION = "v1.37.0"
_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_SUBRESOURCE_VERBS = {"token": ["create"]}
_FOREIGN_KINDS = {
    "scale": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
    "token": {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"},
}


def documents() -> dict[str, Object]:
    """Every discovery document by its path, without a slash at the end."""
    groups = group_versions()
    found: dict[str, Object] = {
        "/version": _version(),
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/api/v1": _resources("", "v1"),
        "/apis": {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [_group(name, versions) for name, versions in groups.items()],
        },
        "/openapi/v3": {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in _openapi_paths()}},
    }
    for name, versions in groups.items():
        found[f"/apis/{name}"] = {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}
        for version in versions:
            found[f"/apis/{name}/{version}"] = _resources(name, version)
    for path, (group, version) in _openapi_paths().items():
        found[f"/openapi/v3/{path}"] = _openapi(group, version)
    return found


def _version() -> Object:
    major, minor, _ = _GIT_VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": _GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "",
        "platform": "",
    }


def _group(name: str, versions: list[str]) -> Object:
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def _served(group: str, version: str) -> list[Kind]:
    return [kind for kind in KINDS if kind.group == group and version in kind.versions]


def _resources(group: str, version: str) -> Object:
    entries = [entry for kind in _served(group, version) for entry in _entries(kind)]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _entries(kind: Kind) -> list[Object]:
    entry: Object = {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    below = [
        {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": _SUBRESOURCE_VERBS.get(name, ["get", "patch", "update"]),
            **_FOREIGN_KINDS.get(name, {}),
        }
        for name in subresources(kind)
    ]
    return [entry, *below]


def _openapi_paths() -> dict[str, tuple[str, str]]:
    found = {"api/v1": ("", "v1")}
    for group, versions in group_versions().items():
        found |= {f"apis/{group}/{version}": (group, version) for version in versions}
    return found


def _openapi(group: str, version: str) -> Object:
    """An OpenAPI document without schemas.

    It says that the server validates fields, so that kubectl leaves that to it and does not ask for the older form,
    which exists in protobuf only.
    """
    prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
    paths: Object = {}
    for kind in _served(group, version):
        scope = "namespaces/{namespace}/" if kind.namespaced else ""
        paths[f"{prefix}/{scope}{kind.plural}/{{name}}"] = {
            "patch": {
                "operationId": f"patch{kind.kind}",
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind.kind},
                "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _PARAMETERS],
                "responses": {"200": {"description": "OK"}},
            }
        }
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": _GIT_VERSION}, "paths": paths}
