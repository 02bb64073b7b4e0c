"""One Kubernetes API server: plain objects in, plain objects out, and the one way to change one of them.

Objects travel as the JSON that the server sent: typed models would drop fields they do not know on a read-modify-write.
Every change is a JSON Patch guarded by a `test` on what was read, carries a fence, and returns what the server stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from temporalio.exceptions import ApplicationError

from activities.kubernetes.json_patch import Operation, annotate, put
from activities.kubernetes.seen import noted
from activities.kubernetes.transport import Transport
from activities.transport.errors import rejected
from tidegate.contract import WORKER_AGENT, ErrorType, Fence, check_name, check_namespace

Object = dict[str, Any]

# Whom the audit log of an API server names, beside WORKER_AGENT.
WATCHER_AGENT = "tidegate-watcher"
FENCE_ANNOTATION = "tidegate.io/fence"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
ALREADY_EXISTS = "AlreadyExists"  # reason of a 409 that is about the name
CHANGE_TRIES = 5
PAGE_SIZE = 500
# After these nothing was written; any other failure may have come after the write.
_NOT_WRITTEN = (ErrorType.CONFLICT, ErrorType.NOT_FOUND, ErrorType.REJECTED, ErrorType.UNAUTHORIZED)
_TABLE_FIRST = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass(frozen=True)
class Resource:
    """A kind of object as the API addresses it."""

    group: str
    version: str
    plural: str
    kind: str

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """URL path of a collection, an object or a subresource; an empty namespace means cluster scope.

        Raises a final `Rejected` for a name that Kubernetes would not take: in a URL it could lead elsewhere.
        """
        try:
            if namespace:
                check_namespace(namespace)
            if name:
                check_name(name)
        except ValueError as error:
            raise rejected("Kubernetes", f"{self.kind} {namespace[:80]!r}/{name[:80]!r}: {error}") from error
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return "/".join(part for part in (f"{root}{scope}/{self.plural}", name, subresource) if part)

    def collection(self, namespace: str) -> str:
        """Key of a collection where it is noted how much of it was seen (`activities.kubernetes.seen`)."""
        return f"{self.plural}.{self.group}/{namespace}"

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("", "v1", "events", "Event")
SERVICES = Resource("", "v1", "services", "Service")
JOBS = Resource("batch", "v1", "jobs", "Job")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
ROLLOUTS = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")
EXPERIMENTS = Resource("argoproj.io", "v1alpha1", "experiments", "Experiment")
ANALYSIS_TEMPLATES = Resource("argoproj.io", "v1alpha1", "analysistemplates", "AnalysisTemplate")
ANALYSIS_RUNS = Resource("argoproj.io", "v1alpha1", "analysisruns", "AnalysisRun")
CLUSTER_ANALYSIS_TEMPLATES = Resource("argoproj.io", "v1alpha1", "clusteranalysistemplates", "ClusterAnalysisTemplate")
VIRTUAL_SERVICES = Resource("networking.istio.io", "v1beta1", "virtualservices", "VirtualService")
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
HTTP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
GRPC_ROUTES = Resource("gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute")
TCP_ROUTES = Resource("gateway.networking.k8s.io", "v1alpha2", "tcproutes", "TCPRoute")
TLS_ROUTES = Resource("gateway.networking.k8s.io", "v1alpha2", "tlsroutes", "TLSRoute")
DESTINATION_RULES = Resource("networking.istio.io", "v1beta1", "destinationrules", "DestinationRule")


class Listing(NamedTuple):
    """Objects at one moment, and the resourceVersion from which a watch goes on."""

    objects: list[Object]
    version: str


class Naming(NamedTuple):
    """Names of objects at one moment, and the resourceVersion of that."""

    names: list[str]
    version: str


class Reader(Protocol):
    """Reader of objects: the API server itself, or a cache of it. The objects must not be changed."""

    async def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object, or None when there is none."""

    async def select(
        self,
        resource: Resource,
        namespace: str,
        labels: Mapping[str, str | Collection[str] | None],
        *,
        rollout: str = "",
        lagging: bool = False,
    ) -> list[Object]:
        """The objects that carry all of `labels`: a value, one of several, or any where it is None.

        `rollout` is the name of one whose objects are all that is wanted; those of others may come with them. With
        `lagging` a cache that follows is new enough, however far it has come.
        """

    async def names(self, resource: Resource, namespace: str, label: str, *, rollout: str = "") -> list[str]:
        """Names of the objects that `select` finds by that label alone, which costs little however large they are."""


class Cluster(Transport):
    """Client of one API server's objects; failures are typed."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Read one object; `NotFound` when there is none."""
        return await self._request("GET", resource.path(namespace, name))

    async def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Read one object, or None when there is none."""
        try:
            return await self.get(resource, namespace, name)
        except ApplicationError as error:
            if error.type == ErrorType.NOT_FOUND:
                return None
            raise

    async def select(
        self,
        resource: Resource,
        namespace: str,
        labels: Mapping[str, str | Collection[str] | None],
        *,
        rollout: str = "",  # the API server cannot select by it
        lagging: bool = False,
    ) -> list[Object]:
        """Read the objects that carry all of `labels`, as `Reader` says."""
        return (await self.listing(resource, namespace, labels)).objects

    async def listing(
        self, resource: Resource, namespace: str, labels: Mapping[str, str | Collection[str] | None]
    ) -> Listing:
        """Read the objects that carry all of `labels`, in pages; an empty namespace means everywhere."""
        selector = ",".join(_term(key, value) for key, value in sorted(labels.items()))
        pages = await self._pages(resource, namespace, [("labelSelector", selector)] if selector else [])
        return Listing([each for page in pages for each in page.get("items") or []], _version_of(pages[-1]))

    async def names(self, resource: Resource, namespace: str, label: str, *, rollout: str = "") -> list[str]:
        """Read names alone, as `Reader` says."""
        return (await self.naming(resource, namespace, label)).names

    async def naming(self, resource: Resource, namespace: str, label: str) -> Naming:
        """Read names alone, in pages: the server sends them as the table that `kubectl get` shows.

        A server that makes no tables sends the objects.
        """
        query = [("labelSelector", label), ("includeObject", "None")]
        pages = await self._pages(resource, namespace, query, accept=_TABLE_FIRST)
        return Naming([name for page in pages for name in _names_in(page)], _version_of(pages[-1]))

    async def _pages(
        self, resource: Resource, namespace: str, query: list[tuple[str, str]], accept: str = "application/json"
    ) -> list[Object]:
        """The answers that a list comes in, one at least."""
        pages: list[Object] = []
        token = ""
        while token or not pages:
            parameters = [*query, ("limit", str(PAGE_SIZE)), *([("continue", token)] if token else [])]
            pages.append(await self._request("GET", resource.path(namespace), query=parameters, accept=accept))
            token = str((pages[-1].get("metadata") or {}).get("continue") or "")
        return pages

    async def document(self, path: str) -> Object:
        """Read a document that belongs to no object, such as `/version` or the discovery of a group."""
        return await self._request("GET", path)

    async def may(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        """True when this client may do so, by a SelfSubjectAccessReview, which changes nothing.

        `resource` may have a subresource behind a slash. Every account may ask (ClusterRole system:basic-user).
        """
        named, _, subresource = resource.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": named,
            "subresource": subresource,
            "namespace": namespace,
        }
        body = {
            "apiVersion": ACCESS_REVIEWS.api_version,
            "kind": ACCESS_REVIEWS.kind,
            "spec": {"resourceAttributes": attributes},
        }
        answer = await self._request("POST", ACCESS_REVIEWS.path(""), body=body)
        return (answer.get("status") or {}).get("allowed") is True

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """Create an object, or read the one of that name when it stands already.

        A conflict need not be about the name: a quota that others write to is one, too. It is raised where nothing
        stands.
        """
        try:
            return await self._write("POST", resource, namespace, body=body)
        except ApplicationError as error:
            if error.type != ErrorType.CONFLICT:
                raise
            if (found := await self.find(resource, namespace, body["metadata"]["name"])) is None:
                raise
            return found

    async def add(self, resource: Resource, namespace: str, body: Object) -> Object | None:
        """Create an object; None when one of that name stands already, which needs no right to read it.

        The server's own reason tells that from a conflict about something else, which is raised.
        """
        try:
            return await self._write("POST", resource, namespace, body=body)
        except ApplicationError as error:
            if error.type == ErrorType.CONFLICT and ALREADY_EXISTS in error.details:
                return None
            raise

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, propagation: str = "Background", uid: str = ""
    ) -> None:
        """Delete an object and what it owns; an object that is gone already is no error.

        `propagation` is Background, or Foreground for an object that stays until what it owns is gone. Where `uid` is
        given and the object of that name is another one, that is a `Conflict`.
        """
        body: Object = {"propagationPolicy": propagation} | ({"preconditions": {"uid": uid}} if uid else {})
        try:
            await self._write("DELETE", resource, namespace, name, body=body)
        except ApplicationError as error:
            if error.type != ErrorType.NOT_FOUND:
                raise

    async def merge_status(
        self, resource: Resource, namespace: str, name: str, status: Object, *, version: str = ""
    ) -> Object:
        """Merge fields into the status subresource; `Conflict` where `version` is given and no longer stands.

        A status carries no fence, as this subresource leaves annotations alone: the version is what turns a late write
        away. The manager is named, as by it a release tells what it wrote from what others did, also
        through a server that forwards it.
        """
        body: Object = {"status": status} | ({"metadata": {"resourceVersion": version}} if version else {})
        query = [("fieldManager", WORKER_AGENT)]
        return await self._write(
            "PATCH", resource, namespace, name, "status", query=query, body=body, content_type=MERGE_PATCH
        )

    async def change(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        fence: Fence | None,
        edit: Callable[[Object], list[Operation]],
        *,
        known: Object | None = None,
    ) -> Object:
        """Read an object, let `edit` decide on JSON Patch operations, write them guarded, return what stands now.

        The patch tests the resourceVersion that was read, so `edit` never acts on a stale read; when another client
        wrote in between, it is asked again. Of a ReplicaSet the spec and the annotations must stand as they were read:
        its controller writes the status at any time, and `edit` does not look at that. The fence is written even when
        there is nothing else to write: it is what keeps an earlier write that is still on its way from landing
        afterwards (law 3). What a person asks for has none: it must not turn away what the release under way still
        writes. `known` is the object as a cache has it, which saves a request where it is as new as the server's.

        Raises `StaleWrite` when a later write already stands, `Conflict` when the object never stood still.
        """
        for _ in range(CHANGE_TRIES):
            is_cached, found = known is not None, known or await self.get(resource, namespace, name)
            known = None
            _check_fence(resource, namespace, name, found, fence)
            operations = edit(found)
            if not operations and (fence is None or stored_fence(found) == (fence.epoch, fence.sequence)):
                if is_cached:  # by the server's it may be otherwise
                    continue
                return found
            fencing = _fence_operations(found, fence) if fence is not None else []
            body = [*_unchanged(resource, found), *fencing, *operations]
            try:
                return await self._write("PATCH", resource, namespace, name, body=body, content_type=JSON_PATCH)
            except ApplicationError as error:
                if error.type not in (ErrorType.CONFLICT, ErrorType.REJECTED):
                    raise
                if not is_cached and await self._is_unchanged(resource, namespace, name, found):
                    raise
        raise ApplicationError(
            f"{resource.kind} {namespace}/{name} changed {CHANGE_TRIES} times while it was being written",
            type=ErrorType.CONFLICT,
        )

    async def _is_unchanged(self, resource: Resource, namespace: str, name: str, found: Object) -> bool:
        latest = await self.get(resource, namespace, name)
        return bool(latest["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"])

    async def _write(
        self,
        method: str,
        resource: Resource,
        namespace: str,
        name: str = "",
        subresource: str = "",
        *,
        query: list[tuple[str, str]] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        """A request that changes something, which is noted."""
        path, seen, collection = resource.path(namespace, name, subresource), noted(), resource.collection(namespace)
        try:
            stored = await self._request(method, path, query=query, body=body, content_type=content_type)
        except BaseException as error:
            if seen is not None and not (isinstance(error, ApplicationError) and error.type in _NOT_WRITTEN):
                seen.lost(collection)
            raise
        if seen is not None:
            if method == "DELETE":  # whose answer has no version
                seen.lost(collection)
            else:
                seen.wrote(collection, str((stored.get("metadata") or {}).get("resourceVersion") or ""))
        return stored


def _version_of(page: Object) -> str:
    return str((page.get("metadata") or {}).get("resourceVersion") or "")


def _names_in(page: Object) -> list[str]:
    """Those of the rows of a table, whose columns the server names, or of the items of a list."""
    if page.get("kind") != "Table":
        return [str(each["metadata"]["name"]) for each in page.get("items") or []]
    columns = [each.get("name") for each in page.get("columnDefinitions") or []]
    return [str(row["cells"][columns.index("Name")]) for row in page.get("rows") or []]


def _term(key: str, value: str | Collection[str] | None) -> str:
    """One requirement of a label selector, as in a query of the API."""
    if value is None:
        return key
    return f"{key}={value}" if isinstance(value, str) else f"{key} in ({','.join(sorted(value))})"


def stored_fence(found: Object) -> tuple[int, int]:
    """Epoch and number of the last write that was fenced; zeros where there was none."""
    text = (found["metadata"].get("annotations") or {}).get(FENCE_ANNOTATION, "")
    epoch, _, sequence = text.partition(".")
    # An annotation that somebody mangled protects nothing; the next write puts a sound one in its place.
    return (int(epoch), int(sequence)) if epoch.isdigit() and sequence.isdigit() else (0, 0)


def _unchanged(resource: Resource, found: Object) -> list[Operation]:
    """Tests that what an edit looked at stands as it was read."""
    metadata = found["metadata"]
    is_spec_alone = resource is REPLICA_SETS and metadata.get("generation") and metadata.get("annotations")
    names = ("generation", "annotations") if is_spec_alone else ("resourceVersion",)
    return [{"op": "test", "path": f"/metadata/{name}", "value": metadata[name]} for name in names]


def _check_fence(resource: Resource, namespace: str, name: str, found: Object, fence: Fence | None) -> None:
    """Raises `StaleWrite` where a later write is there already."""
    stored = stored_fence(found)
    if fence is not None and stored > (fence.epoch, fence.sequence):
        raise ApplicationError(
            f"{resource.kind} {namespace}/{name}: write {fence} refused: {stored[0]}.{stored[1]} stands",
            type=ErrorType.STALE_WRITE,
            non_retryable=True,
        )


def _fence_operations(found: Object, fence: Fence) -> list[Operation]:
    missing = found["metadata"].get("annotations") is None
    empty = [put("/metadata/annotations", {})] if missing else []
    return [*empty, *annotate(found, {FENCE_ANNOTATION: str(fence)})]
