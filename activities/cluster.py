"""One Kubernetes API server: plain objects in, plain objects out, and the one way to change one of them.

Objects travel as the JSON that the server sent. The client's typed models would drop fields they do not know on a
read-modify-write, so they are not used. Every change is a JSON Patch guarded by a `test` on what was read, carries a
fence, and returns what the server stored.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes.aio import client, config
from temporalio.exceptions import ApplicationError

from activities.api_answers import decode, failure, failures
from activities.errors import rejected
from tidegate.contract import WORKER_AGENT, ErrorType, Fence, check_name, check_namespace

Object = dict[str, Any]
Operation = dict[str, Any]

# Whom the audit log of an API server names, beside WORKER_AGENT.
WATCHER_AGENT = "tidegate-watcher"
FENCE_ANNOTATION = "tidegate.io/fence"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
REQUEST_TIMEOUT_SECONDS = 10.0
CHANGE_TRIES = 5


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

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("", "v1", "events", "Event")
SERVICES = Resource("", "v1", "services", "Service")
JOBS = Resource("batch", "v1", "jobs", "Job")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
ROLLOUTS = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")
ANALYSIS_TEMPLATES = Resource("argoproj.io", "v1alpha1", "analysistemplates", "AnalysisTemplate")
ANALYSIS_RUNS = Resource("argoproj.io", "v1alpha1", "analysisruns", "AnalysisRun")
CLUSTER_ANALYSIS_TEMPLATES = Resource("argoproj.io", "v1alpha1", "clusteranalysistemplates", "ClusterAnalysisTemplate")
VIRTUAL_SERVICES = Resource("networking.istio.io", "v1beta1", "virtualservices", "VirtualService")
DESTINATION_RULES = Resource("networking.istio.io", "v1beta1", "destinationrules", "DestinationRule")


class Cluster:
    """Client of one API server. Requests have a time limit and answers a size limit; failures are typed."""

    def __init__(self, api: client.ApiClient, timeout: float = REQUEST_TIMEOUT_SECONDS) -> None:
        self._api = api
        self._timeout = timeout

    @classmethod
    async def connect(
        cls,
        *,
        url: str = "",
        kubeconfig: str = "",
        context: str = "",
        timeout: float = REQUEST_TIMEOUT_SECONDS,
        agent: str = "tidegate",
    ) -> Cluster:
        """Reach a server by plain URL, by a kubeconfig file, or by the pod's service account when neither is given.

        `timeout` is how many seconds a request may take, `agent` whom the server's audit log names.
        """
        settings = client.Configuration()
        if url:
            settings.host = url
        elif kubeconfig:
            await config.load_kube_config(kubeconfig, context=context or None, client_configuration=settings)
        else:
            config.load_incluster_config(client_configuration=settings)
        settings.retries = None  # False would be read as the number 0, which the client counts up to for ever
        api = client.ApiClient(settings)
        api.user_agent = agent
        return cls(api, timeout)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

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
        self, resource: Resource, namespace: str, labels: Mapping[str, str | Collection[str] | None]
    ) -> list[Object]:
        """Read the objects that carry all of `labels`, in pages: a value, one of several, or any where it is None."""
        selector = ",".join(_term(key, value) for key, value in sorted(labels.items()))
        objects: list[Object] = []
        token = ""
        while True:
            page = await self.page(resource, namespace, token, selector=selector)
            objects.extend(page.get("items") or [])
            token = str((page.get("metadata") or {}).get("continue") or "")
            if not token:
                return objects

    async def page(
        self, resource: Resource, namespace: str, token: str = "", size: int = 500, selector: str = ""
    ) -> Object:
        """Read some of all objects, an empty namespace meaning everywhere: the list, and the `continue` token in it.

        `selector` is one of labels, as in a query of the API.
        """
        asked = {"labelSelector": selector, "limit": str(size), "continue": token}
        query = [(name, value) for name, value in asked.items() if value]
        return await self._request("GET", resource.path(namespace), query=query)

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """Create an object, or read the one of that name when it stands already.

        A conflict need not be about the name: a quota that others write to is one, too. It is raised where nothing
        stands.
        """
        try:
            return await self._request("POST", resource.path(namespace), body=body)
        except ApplicationError as error:
            if error.type != ErrorType.CONFLICT:
                raise
            if (found := await self.find(resource, namespace, body["metadata"]["name"])) is None:
                raise
            return found

    async def add(self, resource: Resource, namespace: str, body: Object) -> Object | None:
        """Create an object; None when one of that name stands already, which needs no right to read it."""
        try:
            return await self._request("POST", resource.path(namespace), body=body)
        except ApplicationError as error:
            if error.type == ErrorType.CONFLICT:
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
            await self._request("DELETE", resource.path(namespace, name), body=body)
        except ApplicationError as error:
            if error.type != ErrorType.NOT_FOUND:
                raise

    async def merge_status(
        self, resource: Resource, namespace: str, name: str, status: Object, *, version: str = ""
    ) -> Object:
        """Merge fields into the status subresource; `Conflict` where `version` is given and no longer stands.

        A status carries no fence, as this subresource leaves annotations alone: the version is what turns a late write
        away. The manager is named, as by it a release tells what it wrote from what others did, whoever forwards it.
        """
        body: Object = {"status": status} | ({"metadata": {"resourceVersion": version}} if version else {})
        path = resource.path(namespace, name, "status")
        query = [("fieldManager", WORKER_AGENT)]
        return await self._request("PATCH", path, query=query, body=body, content_type=MERGE_PATCH)

    async def change(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        fence: Fence | None,
        edit: Callable[[Object], list[Operation]],
    ) -> Object:
        """Read an object, let `edit` decide on JSON Patch operations, write them guarded, return what stands now.

        The patch tests the resourceVersion that was read, so `edit` never acts on a stale picture; when somebody else
        wrote in between, it is asked again. The fence is written even when there is nothing else to write: it is what
        keeps an earlier write that is still on its way from landing afterwards (law 3). What a person asks for has
        none: it must not turn away what the release under way still writes.

        Raises `StaleWrite` when a later write already stands, `Conflict` when the object never stood still.
        """
        for _ in range(CHANGE_TRIES):
            found = await self.get(resource, namespace, name)
            stored = _stored_fence(found)
            if fence is not None and stored > (fence.epoch, fence.sequence):
                raise ApplicationError(
                    f"{resource.kind} {namespace}/{name}: write {fence} refused: {stored[0]}.{stored[1]} stands",
                    type=ErrorType.STALE_WRITE,
                    non_retryable=True,
                )
            operations = edit(found)
            if not operations and (fence is None or stored == (fence.epoch, fence.sequence)):
                return found
            fencing = _fence_operations(found, fence) if fence is not None else []
            try:
                return await self._request(
                    "PATCH",
                    resource.path(namespace, name),
                    body=[_unchanged(found), *fencing, *operations],
                    content_type=JSON_PATCH,
                )
            except ApplicationError as error:
                if error.type not in (ErrorType.CONFLICT, ErrorType.REJECTED):
                    raise
                latest = await self.get(resource, namespace, name)
                if latest["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]:
                    raise
        raise ApplicationError(
            f"{resource.kind} {namespace}/{name} changed {CHANGE_TRIES} times while it was being written",
            type=ErrorType.CONFLICT,
        )

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        with failures(method, path):
            status, data, answered = await self._exchange(method, path, query or [], headers, body)
        return decode(method, path, status, data, answered)

    async def _exchange(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: Any
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """One request on the wire: status, body and headers of the answer."""
        prepared = await self._api.param_serialize(
            method, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        response = await self._api.call_api(*prepared, _request_timeout=self._timeout)
        return response.status, await response.read(), response.headers

    async def stream(self, path: str, query: list[tuple[str, str]], seconds: float) -> AsyncIterator[Object]:
        """Read objects, one on each line, for at most `seconds`; the end of the stream is no error.

        What comes as a `Status` in an event of type ERROR is raised as it would be as an answer.
        """
        with failures("WATCH", path):
            prepared = await self._api.param_serialize(
                "GET",
                path,
                query_params=query,
                header_params={"Accept": "application/json"},
                auth_settings=["BearerToken"],
            )
            response = (await self._api.call_api(*prepared, _request_timeout=seconds)).response
            async with response:
                if response.status != 200:
                    decode("WATCH", path, response.status, await response.read(), response.headers)
                while line := await response.content.readline():  # which has a limit of its own, far above any object
                    event = decode("WATCH", path, response.status, line, response.headers)
                    if event.get("type") == "ERROR":
                        status = event.get("object") or {}
                        raise failure("WATCH", path, status.get("code") or 0, json.dumps(status), {})
                    yield event


def _term(key: str, value: str | Collection[str] | None) -> str:
    """One requirement of a label selector, as in a query of the API."""
    if value is None:
        return key
    return f"{key}={value}" if isinstance(value, str) else f"{key} in ({','.join(sorted(value))})"


def _stored_fence(found: Object) -> tuple[int, int]:
    text = (found["metadata"].get("annotations") or {}).get(FENCE_ANNOTATION, "")
    epoch, _, sequence = text.partition(".")
    # An annotation that somebody mangled protects nothing; the next write puts a sound one in its place.
    return (int(epoch), int(sequence)) if epoch.isdigit() and sequence.isdigit() else (0, 0)


def _unchanged(found: Object) -> Operation:
    return {"op": "test", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]}


def _fence_operations(found: Object, fence: Fence) -> list[Operation]:
    missing = found["metadata"].get("annotations") is None
    empty = [put("/metadata/annotations", {})] if missing else []
    return [*empty, *annotate(found, {FENCE_ANNOTATION: str(fence)})]


def annotate(found: Object, annotations: Mapping[str, str | None]) -> list[Operation]:
    """JSON Patch operations, for use inside `Cluster.change`: set annotations, remove those whose value is None."""
    return set_keys("/metadata/annotations", found["metadata"].get("annotations") or {}, annotations)


def set_keys(path: str, present: Mapping[str, str], values: Mapping[str, str | None]) -> list[Operation]:
    """JSON Patch operations on the map at `path`, which has to be there: set keys, remove those whose value is None.

    `present` is what the map holds.
    """
    operations: list[Operation] = []
    for key, value in values.items():
        at = f"{path}/{escape(key)}"
        if value is not None:
            operations.append(put(at, value))
        elif key in present:
            operations.append({"op": "remove", "path": at})
    return operations


def put(path: str, value: Any) -> Operation:
    """The JSON Patch operation that puts `value` at `path`, whether or not something stands there (RFC 6902 §4.1)."""
    return {"op": "add", "path": path, "value": value}


def escape(key: str) -> str:
    """A key as one segment of a JSON pointer (RFC 6901 §3)."""
    return key.replace("~", "~0").replace("/", "~1")
