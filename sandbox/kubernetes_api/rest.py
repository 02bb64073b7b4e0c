"""The resource endpoints: each verb as a request and an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web

from sandbox.kubernetes_api import status
from sandbox.kubernetes_api.admission import Admit
from sandbox.kubernetes_api.bodies import decode_json, decode_yaml, read_bytes, read_object, read_options
from sandbox.kubernetes_api.cluster import Cluster, DeleteOptions, Ref
from sandbox.kubernetes_api.identity import Identity
from sandbox.kubernetes_api.kinds import ACCESS_REVIEWS, PODS, SERVICE_ACCOUNTS, SERVICES, TOKEN_REVIEWS
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.objects import Object, meta
from sandbox.kubernetes_api.patches import json_patch, merge_patch, strategic_merge_patch
from sandbox.kubernetes_api.paths import ResourcePath
from sandbox.kubernetes_api.representation import Place, Representation, decode_place, in_version, page
from sandbox.kubernetes_api.scale import scale_of, scaled
from sandbox.kubernetes_api.selectors import matcher
from sandbox.kubernetes_api.validation import check_shape
from sandbox.kubernetes_api.watch import Watches, WatchRequest, parse_number, parse_version

_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
_STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"
_PROPAGATIONS = ("Background", "Foreground", "Orphan")
_ANSWERED_WITH_THE_OBJECT = (PODS, SERVICES, SERVICE_ACCOUNTS)  # by DELETE; all other kinds answer with a Status

AccessReview = Callable[[str | None, Object], Object]
"""Answers a SelfSubjectAccessReview of whoever sent this `Authorization` header."""
Judge = Callable[[web.Request, ResourcePath], Admit]
"""What judges the writes of a request."""
Handler = Callable[[web.Request, ResourcePath], Awaitable[web.StreamResponse]]


class ResourceEndpoints:
    """Answers requests for resources; every refusal is an `ApiError`."""

    def __init__(
        self, cluster: Cluster, watches: Watches, identity: Identity, review: AccessReview, judge: Judge
    ) -> None:
        self._cluster = cluster
        self._judge = judge
        self._review = review
        self._watches = watches
        self._identity = identity
        self._verbs: dict[str, Handler] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    async def serve(self, verb: str, request: web.Request, path: ResourcePath) -> web.StreamResponse:
        """Answer one request.

        Raises:
            ApiError: it is refused.
        """
        if verb not in path.kind.verbs:
            raise status.method_not_allowed(request.method)
        return await self._verbs[verb](request, path)

    async def _get(self, request: web.Request, path: ResourcePath) -> web.Response:
        obj = self._cluster.get(path.ref)
        if path.subresource == "scale":
            return web.json_response(scale_of(path.kind, obj))
        return web.json_response(Representation.of(request).one(path, obj))

    async def _list(self, request: web.Request, path: ResourcePath) -> web.Response:
        query = request.query
        store, token = self._cluster.store, query.get("continue", "")
        parse_version(query, store)
        start = decode_place(token) if token else Place(store.version, "", "")
        objects = store.select_at(path.kind, path.namespace, start.version)
        shown, token, left = page(objects, parse_number(query, "limit"), start, _matcher(request, path))
        metadata: dict[str, Any] = {"resourceVersion": str(start.version)}
        if token:
            metadata["continue"] = token
            if not query.get("labelSelector") and not query.get("fieldSelector"):
                metadata["remainingItemCount"] = left
        return web.json_response(Representation.of(request).many(path, shown, metadata))

    async def _watch(self, request: web.Request, path: ResourcePath) -> web.StreamResponse:
        watch = WatchRequest.of(request, path, _matcher(request, path), self._cluster.store)
        return await self._watches.serve(request, watch)

    async def _create(self, request: web.Request, path: ResourcePath) -> web.Response:
        if path.subresource == "token":
            # Vault sends its TokenRequest as protobuf; all that matters then is whose token it is for.
            body = await read_object(request) if request.content_type == "application/json" else {}
            account = self._cluster.get(path.ref)
            return web.json_response(self._identity.issue(account, check_shape(path.kind, body)), status=201)
        body = _of_kind(path, await read_object(request))
        if path.kind is TOKEN_REVIEWS:
            return web.json_response(self._identity.review_token(body), status=201)
        if path.kind is ACCESS_REVIEWS:
            return web.json_response(self._review(request.headers.get("Authorization"), body), status=201)
        namespace = path.namespace if path.kind.namespaced else ""
        created = self._cluster.create(
            path.kind,
            body,
            _writer(request, path),
            namespace=namespace,
            dry_run=_dry_run(request),
            admit=self._judge(request, path),
        )
        return web.json_response(Representation.of(request).one(path, created), status=201)

    async def _update(self, request: web.Request, path: ResourcePath) -> web.Response:
        body = await read_object(request)
        writer, dry_run, admit = _writer(request, path), _dry_run(request), self._judge(request, path)
        if path.subresource == "scale":
            written = self._cluster.patch(
                path.ref, lambda obj: scaled(obj, check_shape(path.kind, body)), writer, dry_run=dry_run, admit=admit
            )
            return web.json_response(scale_of(path.kind, written))
        written = self._cluster.update(path.ref, _of_kind(path, body), writer, dry_run=dry_run, admit=admit)
        return web.json_response(Representation.of(request).one(path, written))

    async def _patch(self, request: web.Request, path: ResourcePath) -> web.Response:
        body = await read_bytes(request)
        if request.content_type == _APPLY_PATCH:
            return self._apply(request, path, body)
        change = _change(request.content_type, path, decode_json(body))
        writer, dry_run, admit = _writer(request, path), _dry_run(request), self._judge(request, path)
        if path.subresource == "scale":

            def rescale(obj: Object) -> Object:
                return scaled(obj, check_shape(path.kind, change(scale_of(path.kind, obj))))

            return web.json_response(
                scale_of(path.kind, self._cluster.patch(path.ref, rescale, writer, dry_run=dry_run, admit=admit))
            )

        def through_version(obj: Object) -> Object:
            return _of_kind(path, change(in_version(obj, path.api_version)))

        written = self._cluster.patch(path.ref, through_version, writer, dry_run=dry_run, admit=admit)
        return web.json_response(Representation.of(request).one(path, written))

    def _apply(self, request: web.Request, path: ResourcePath, body: bytes) -> web.Response:
        if not request.query.get("fieldManager"):
            raise status.invalid_options("PatchOptions", "fieldManager: Required value: is required for apply patch")
        if path.subresource == "scale":
            raise status.unsupported_media_type(_APPLY_PATCH, (_JSON_PATCH, _MERGE_PATCH))
        given = decode_yaml(body)
        if not isinstance(given, dict) or not (given.get("apiVersion") and given.get("kind")):
            raise status.bad_request("error decoding patch: Object 'apiVersion' or 'kind' is missing")
        config = _of_kind(path, given)
        existed = self._cluster.store.get(*path.ref) is not None
        written = self._cluster.apply(
            path.ref,
            config,
            _writer(request, path),
            force=request.query.get("force", "").lower() in ("true", "1"),
            dry_run=_dry_run(request),
            admit=self._judge(request, path),
        )
        shown = Representation.of(request).one(path, written)
        return web.json_response(shown, status=200 if existed else 201)

    async def _delete(self, request: web.Request, path: ResourcePath) -> web.Response:
        options = _delete_options(request, await read_options(request))
        obj, gone = self._cluster.delete(path.ref, options)
        gone = gone and options.propagation == "Background"  # else it was held for a moment at least
        if gone and path.kind not in _ANSWERED_WITH_THE_OBJECT:
            return web.json_response(status.success(path.kind, path.name, meta(obj).get("uid", "")))
        return web.json_response(Representation.of(request).one(path, obj))

    async def _delete_collection(self, request: web.Request, path: ResourcePath) -> web.Response:
        options = _delete_options(request, await read_options(request))
        matches = _matcher(request, path)
        chosen = [obj for obj in self._cluster.store.select(path.kind, path.namespace) if matches(obj)]
        for obj in chosen:
            ref = Ref(path.kind, meta(obj).get("namespace", ""), meta(obj)["name"])
            if self._cluster.store.get(*ref) is not None:  # it may have gone with its owner
                self._cluster.delete(ref, options)
        metadata = {"resourceVersion": str(self._cluster.store.version)}
        return web.json_response(Representation.of(request).many(path, chosen, metadata))


def _matcher(request: web.Request, path: ResourcePath) -> Callable[[Object], bool]:
    return matcher(path.kind, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))


def _writer(request: web.Request, path: ResourcePath) -> Writer:
    """The field manager that the client names, or what its user agent begins with."""
    manager = request.query.get("fieldManager") or request.headers.get("User-Agent", "").partition("/")[0] or "unknown"
    return Writer(manager[:128], path.api_version, path.subresource)


def _dry_run(request: web.Request) -> bool:
    wanted = request.query.getall("dryRun", [])
    if wanted not in ([], ["All"]):
        raise status.invalid_options("Options", f'dryRun: Unsupported value: {wanted!r}: supported values: "All"')
    return bool(wanted)


def _of_kind(path: ResourcePath, body: Any) -> Object:
    """A body that says to be what the URL names, or says nothing."""
    obj = check_shape(path.kind, body)
    for field, expected in (("apiVersion", path.api_version), ("kind", path.kind.kind)):
        given = obj.get(field, expected)
        if given != expected:
            raise status.bad_request(f"the {field} of the object ({given}) does not match the URL's ({expected})")
    return obj


def _change(content_type: str, path: ResourcePath, patch: Any) -> Callable[[Object], Object]:
    """The function that a patch of that media type is."""
    if content_type == _JSON_PATCH:
        return lambda obj: json_patch(obj, patch)
    if content_type == _MERGE_PATCH:
        if not isinstance(patch, dict):
            raise status.bad_request(f"a merge patch of an object is an object, got {type(patch).__name__}")
        return lambda obj: cast("Object", merge_patch(obj, patch))
    if content_type == _STRATEGIC_PATCH and not path.kind.custom:
        return lambda obj: strategic_merge_patch(obj, patch)
    allowed = (_JSON_PATCH, _MERGE_PATCH, _APPLY_PATCH)
    raise status.unsupported_media_type(content_type, allowed if path.kind.custom else (*allowed, _STRATEGIC_PATCH))


def _delete_options(request: web.Request, body: Object) -> DeleteOptions:
    """How to delete, from the body or else from the query."""
    query = request.query
    grace = body.get("gracePeriodSeconds")
    if grace is None and "gracePeriodSeconds" in query:
        grace = parse_number(query, "gracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or grace < 0):
        raise status.bad_request(f"gracePeriodSeconds: invalid value {grace!r}: must be a whole number of seconds")
    propagation = body.get("propagationPolicy") or query.get("propagationPolicy") or "Background"
    if propagation not in _PROPAGATIONS:
        supported = ", ".join(f'"{each}"' for each in _PROPAGATIONS)
        why = f'propagationPolicy: Unsupported value: "{propagation}": supported values: {supported}'
        raise status.invalid_options("DeleteOptions", why)
    preconditions = body.get("preconditions") or {}
    return DeleteOptions(
        grace_seconds=grace,
        propagation=propagation,
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        dry_run=bool(body.get("dryRun")) or _dry_run(request),
    )
