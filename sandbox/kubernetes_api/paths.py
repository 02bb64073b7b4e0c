"""What a URL names: kind, version, namespace, name and subresource."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.kubernetes_api.cluster import Ref
from sandbox.kubernetes_api.kinds import Kind, find_kind

_NAMESPACE_SUBRESOURCES = ("status",)
_METHODS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION_METHODS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}


@dataclass(frozen=True)
class ResourcePath:
    """A collection (`name` empty), an object, or a subresource of one. No `namespace` means all, or cluster scope."""

    kind: Kind
    version: str
    namespace: str
    name: str
    subresource: str

    @property
    def ref(self) -> Ref:
        """The object that is named."""
        return Ref(self.kind, self.namespace, self.name)

    @property
    def api_version(self) -> str:
        """`apiVersion` that the client speaks."""
        return self.kind.api_version(self.version)

    def verb(self, method: str, *, watch: bool) -> str | None:
        """The verb of a request in RBAC's words; None when the method means nothing here."""
        if self.name:
            if self.subresource == "token":
                return "create" if method == "POST" else None
            if self.subresource and method == "DELETE":
                return None
            return _METHODS.get(method) if method != "POST" else None
        if method == "GET" and watch:
            return "watch"
        return _COLLECTION_METHODS.get(method)


def parse_path(path: str) -> ResourcePath | None:
    """The resource that a URL path names; None for any other path and for what the server does not have."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in _NAMESPACE_SUBRESOURCES:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    kind = find_kind(group, plural)
    if kind is None or version not in kind.versions or len(rest) > 3 or "" in rest:
        return None
    if bool(namespace) != (kind.namespaced and bool(name or namespace)):
        return None
    if subresource not in ("", *subresources(kind)):
        return None
    return ResourcePath(kind, version, namespace, name, subresource)


def subresources(kind: Kind) -> list[str]:
    """The subresources that objects of a kind have."""
    found = [name for name, has in (("status", kind.status), ("scale", kind.scale is not None)) if has]
    return [*found, "token"] if kind.plural == "serviceaccounts" else found
