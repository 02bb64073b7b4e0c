"""The verbs: what may be done with objects, by the real server's rules. HTTP and controllers both come through here."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sandbox.kubernetes_api import managed_fields, status
from sandbox.kubernetes_api.admission import Admit, admit_all
from sandbox.kubernetes_api.argo_crds import with_argo_defaults
from sandbox.kubernetes_api.defaults import cluster_ip, tidied, with_defaults
from sandbox.kubernetes_api.kinds import DEPLOYMENTS, NAMESPACES, PODS, SERVICES, Kind
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.objects import (
    FOREGROUND,
    ORPHAN,
    Object,
    lookup,
    meta,
    random_suffix,
    timestamp,
    with_metadata,
)
from sandbox.kubernetes_api.quota import check_quota
from sandbox.kubernetes_api.store import Store
from sandbox.kubernetes_api.validation import check_shape, validate

_SERVER_OWNED = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "generation",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_STATUS_IGNORES = frozenset({"spec", "data"})
_OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
_NAME_ATTEMPTS = 8
_DEFAULT_GRACE_SECONDS = 30


class Ref(NamedTuple):
    """One object: its kind, its namespace (empty at cluster scope) and name."""

    kind: Kind
    namespace: str
    name: str


@dataclass(frozen=True)
class DeleteOptions:
    """How to delete. `grace_seconds` None: the object's own. `uid` and `resource_version`, when given, must match."""

    grace_seconds: int | None = None
    propagation: str = "Background"  # Background | Foreground | Orphan
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


DEFAULT_DELETION = DeleteOptions()
"""What a DELETE without options asks for: the object's own grace period, dependents in the background."""


class Cluster:
    """The objects of one cluster and what may be done with them. Errors are `ApiError`s, as a client would get them."""

    def __init__(self, store: Store, *, argo_crds: bool = False) -> None:
        """With `argo_crds` Argo's kinds are treated as their own CRDs have it, and else as those of `deploy/` do."""
        self.store = store
        self._argo_crds = argo_crds

    def get(self, ref: Ref) -> Object:
        """One object, not to be changed.

        Raises:
            ApiError: 404.
        """
        found = self.store.get(*ref)
        if found is None:
            raise status.not_found(ref.kind, ref.name)
        return found

    def create(
        self,
        kind: Kind,
        obj: Object,
        writer: Writer,
        *,
        namespace: str = "",
        dry_run: bool = False,
        admit: Admit = admit_all,
    ) -> Object:
        """Create an object, named by its metadata or by `generateName`; returns it as stored.

        Raises:
            ApiError: 400, 403 (the namespace is being deleted), 404 (no such namespace), 409 (the name is taken), 422.
        """
        return self._create(kind, obj, writer, namespace, dry_run=dry_run, applied=False, admit=admit)

    def update(
        self, ref: Ref, obj: Object, writer: Writer, *, dry_run: bool = False, admit: Admit = admit_all
    ) -> Object:
        """Replace an object (or its status, as `writer.subresource` says). Nothing is written when nothing changes.

        Raises:
            ApiError: 400, 404, 409 (a newer resourceVersion stands), 422.
        """
        old = self.get(ref)
        self._check_versioned(ref, obj)
        return self._replace(ref, old, obj, writer, dry_run=dry_run, admit=admit)

    def patch(
        self,
        ref: Ref,
        change: Callable[[Object], Object],
        writer: Writer,
        *,
        dry_run: bool = False,
        admit: Admit = admit_all,
    ) -> Object:
        """Replace an object by what `change` makes of it, atomically.

        Raises:
            ApiError: as `update`, and whatever `change` raises.
        """
        old = self.get(ref)
        new = change(old)
        self._check_versioned(ref, new)
        if (uid := meta(new).get("uid")) not in (None, "", old["metadata"]["uid"]):
            problem = ("FieldValueInvalid", "metadata.uid", f'Invalid value: "{uid}": field is immutable')
            raise status.invalid(ref.kind, ref.name, [problem])
        return self._replace(ref, old, new, writer, dry_run=dry_run, admit=admit)

    def apply(
        self,
        ref: Ref,
        config: Object,
        writer: Writer,
        *,
        force: bool,
        dry_run: bool = False,
        admit: Admit = admit_all,
    ) -> Object:
        """Server-side apply of a configuration; creates the object when there is none.

        Raises:
            ApiError: 400, 404 (of a status), 409 (fields of other managers, or a stale resourceVersion), 422.
        """
        config = check_shape(ref.kind, config)
        if meta(config).get("managedFields"):
            raise status.bad_request("metadata.managedFields must be nil")
        live = self.store.get(*ref)
        if live is None and writer.subresource:
            raise status.not_found(ref.kind, ref.name)
        self._check_identity(ref, live, config)
        if ref.kind.status:
            left_out = _STATUS_IGNORES if writer.subresource == "status" else {"status"}
            config = {name: value for name, value in config.items() if name not in left_out}
        merged = managed_fields.apply(live, config, writer, force=force, custom=ref.kind.custom, now=self._now())
        if live is None:
            merged = with_metadata(merged, name=ref.name, resourceVersion=None)
            return self._create(ref.kind, merged, writer, ref.namespace, dry_run=dry_run, applied=True, admit=admit)
        return self._replace(ref, live, merged, writer, dry_run=dry_run, applied=True, admit=admit)

    def delete(self, ref: Ref, options: DeleteOptions = DEFAULT_DELETION) -> tuple[Object, bool]:
        """Delete an object, or mark it when finalizers or a grace period hold it; returns it and whether it is gone.

        Raises:
            ApiError: 404, 409 (a precondition does not hold).
        """
        obj = self.get(ref)
        self._check_preconditions(ref, obj, options)
        if options.dry_run:
            return obj, False
        finalizers = list(meta(obj).get("finalizers") or [])
        waiting_for = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(options.propagation)
        if waiting_for is not None and waiting_for not in finalizers:
            finalizers.append(waiting_for)
        grace = _grace_seconds(ref.kind, obj, options)
        if not finalizers and not grace and ref.kind is not NAMESPACES:
            return self.store.remove(ref.kind, obj), True
        marked = _marked(ref.kind, obj, grace, finalizers, self.store.clock())
        left = obj if marked == obj else self.store.put(ref.kind, marked)
        return left, self.store.get(*ref) is None

    def finish(self, ref: Ref) -> None:
        """Remove an object whose deletion nothing holds any longer (a namespace that is empty)."""
        self.store.remove(ref.kind, self.get(ref))

    def _create(
        self, kind: Kind, obj: Object, writer: Writer, namespace: str, *, dry_run: bool, applied: bool, admit: Admit
    ) -> Object:
        obj = check_shape(kind, obj)
        if meta(obj).get("resourceVersion"):
            raise status.ApiError(500, "", "resourceVersion should not be set on objects to be created")
        self._check_namespace(kind, namespace, obj)
        obj = with_metadata(
            obj,
            name=meta(obj).get("name") or self._generated_name(kind, namespace, meta(obj).get("generateName", "")),
            namespace=namespace if kind.namespaced else None,
            uid=str(uuid.UUID(int=random.getrandbits(128), version=4)),  # which a seed repeats
            creationTimestamp=self._now(),
            generation=1 if kind.generation else None,
            deletionTimestamp=None,
            deletionGracePeriodSeconds=None,
            managedFields=meta(obj).get("managedFields") if applied else None,
        )
        obj = {**obj, "apiVersion": kind.stored_version, "kind": kind.kind}
        if kind.status:
            obj.pop("status", None)
        obj = self._completed(kind, None, obj)
        admit(None, obj)
        name = meta(obj)["name"]
        if self.store.get(kind, namespace, name) is not None:
            raise status.already_exists(kind, name)
        check_quota(self.store, kind, obj)
        if not applied:
            obj = managed_fields.track_update(None, obj, writer, custom=kind.custom, now=self._now())
        return obj if dry_run else self.store.put(kind, obj)

    def _now(self) -> str:
        return timestamp(self.store.clock())

    def _replace(
        self, ref: Ref, old: Object, new: Object, writer: Writer, *, dry_run: bool, admit: Admit, applied: bool = False
    ) -> Object:
        kind = ref.kind
        new = check_shape(kind, new)
        self._check_identity(ref, old, new)
        asked = meta(new).get("managedFields")
        new = _carried_over(kind, old, new, writer.subresource, keep_managers=not applied)
        new = self._completed(kind, old, new)
        admit(old, new)
        if not applied and asked == [{}]:  # by which all of it is forgotten
            new = with_metadata(new, managedFields=None)
        elif not applied:
            new = managed_fields.track_update(old, new, writer, custom=kind.custom, now=self._now())
        if kind.generation and _content(kind, new) != _content(kind, old):
            new = with_metadata(new, generation=meta(old).get("generation", 0) + 1)
        if new == old or dry_run:
            return new
        held = meta(new).get("finalizers") or meta(new).get("deletionGracePeriodSeconds") or kind is NAMESPACES
        if meta(new).get("deletionTimestamp") and not held:
            return self.store.remove(kind, new)
        return self.store.put(kind, new)

    def _completed(self, kind: Kind, old: Object | None, new: Object) -> Object:
        new = with_defaults(kind, old, tidied(kind, new, argo_crds=self._argo_crds))
        if self._argo_crds:
            new = with_argo_defaults(kind, new)
        validate(kind, old, new)
        if kind is SERVICES and lookup(new, "spec", "type") != "ExternalName":
            address = lookup(new, "spec", "clusterIP") or lookup(old, "spec", "clusterIP")
            if not address:
                address = cluster_ip(
                    {lookup(service, "spec", "clusterIP") or "" for service in self.store.select(SERVICES)}
                )
            new = {**new, "spec": {**new["spec"], "clusterIP": address, "clusterIPs": [address]}}
        return new

    def _check_namespace(self, kind: Kind, namespace: str, obj: Object) -> None:
        if not kind.namespaced:
            return
        given = meta(obj).get("namespace")
        if given and given != namespace:
            raise status.bad_request(_OTHER_NAMESPACE)
        found = self.store.get(NAMESPACES, "", namespace)
        if found is None:
            raise status.not_found(NAMESPACES, namespace)
        if meta(found).get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise status.forbidden(kind, meta(obj).get("name", ""), why, causes=[cause])

    def _check_identity(self, ref: Ref, old: Object | None, new: Object) -> None:
        given = meta(new)
        if given.get("name", ref.name) != ref.name:
            raise status.bad_request(
                f"the name of the object ({given['name']}) does not match the name on the URL ({ref.name})"
            )
        if ref.kind.namespaced and given.get("namespace", ref.namespace) != ref.namespace:
            raise status.bad_request(_OTHER_NAMESPACE)
        if old is None:
            return
        uid = old["metadata"]["uid"]
        if given.get("uid") not in (None, "", uid):
            why = f"Precondition failed: UID in precondition: {given['uid']}, UID in object meta: {uid}"
            raise status.conflict(ref.kind, ref.name, why)
        if given.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
            raise status.stale(ref.kind, ref.name)

    def _check_versioned(self, ref: Ref, new: Object) -> None:
        """Custom resources are replaced in a version that the writer knows, or not at all."""
        if ref.kind.custom and not lookup(new, "metadata", "resourceVersion"):
            why = "Invalid value: 0: must be specified for an update"
            problem = ("FieldValueInvalid", "metadata.resourceVersion", why)
            raise status.invalid(ref.kind, ref.name, [problem], kind_name=ref.kind.resource)

    def _check_preconditions(self, ref: Ref, obj: Object, options: DeleteOptions) -> None:
        for name, wanted in (("uid", options.uid), ("resourceVersion", options.resource_version)):
            found = obj["metadata"][name]
            if wanted and wanted != found:
                why = f"the {name} in the precondition ({wanted}) does not match the {name} in record ({found})"
                raise status.conflict(ref.kind, ref.name, f"{why}. The object might have been recreated")

    def _generated_name(self, kind: Kind, namespace: str, prefix: str) -> str | None:
        if not prefix:
            return None
        for _ in range(_NAME_ATTEMPTS):
            name = f"{prefix}{random_suffix()}"
            if self.store.get(kind, namespace, name) is None:
                return name
        raise status.already_exists(kind, name)


def _carried_over(kind: Kind, old: Object, new: Object, subresource: str, *, keep_managers: bool) -> Object:
    """`new` with what this kind of request cannot change taken from `old`."""
    kept = {name: meta(old).get(name) for name in _SERVER_OWNED}
    kept["managedFields"] = meta(old if keep_managers else new).get("managedFields")
    if subresource == "status":
        metadata = meta(old) if kind.custom else {**meta(new), "labels": meta(old).get("labels")}
        new = {**old, "metadata": metadata, "status": new.get("status")}
    elif kind.status:
        new = {**new, "status": old.get("status")}
    new = {name: value for name, value in new.items() if value is not None}
    return with_metadata({**new, "apiVersion": kind.stored_version, "kind": kind.kind}, **kept)


def _content(kind: Kind, obj: Object) -> dict[str, Any]:
    """What `metadata.generation` counts the changes of."""
    ignored = ("metadata", "status") if kind.status else ("metadata",)
    counted = {name: value for name, value in obj.items() if name not in ignored}
    return {**counted, "annotations": meta(obj).get("annotations") or {}} if kind is DEPLOYMENTS else counted


def _grace_seconds(kind: Kind, obj: Object, options: DeleteOptions) -> int:
    """How long a kubelet may take to stop a pod; 0 for everything else, and for a pod that no kubelet has yet."""
    if kind is not PODS or not (lookup(obj, "spec", "nodeName") or lookup(obj, "status", "startTime")):
        return 0
    if options.grace_seconds is not None:
        return options.grace_seconds
    own = lookup(obj, "spec", "terminationGracePeriodSeconds")
    return own if isinstance(own, int) else _DEFAULT_GRACE_SECONDS


def _marked(kind: Kind, obj: Object, grace: int, finalizers: list[str], now: datetime) -> Object:
    """`obj` on its way out; a second deletion can only shorten the grace period."""
    current = meta(obj)
    if current.get("deletionTimestamp") and grace >= (current.get("deletionGracePeriodSeconds") or 0):
        return obj
    generation = current.get("generation")
    if generation and not current.get("deletionTimestamp"):
        generation += 1
    marked = with_metadata(
        obj,
        finalizers=finalizers or None,
        deletionTimestamp=timestamp(now + timedelta(seconds=grace)),
        deletionGracePeriodSeconds=grace if kind is not NAMESPACES else None,
        generation=generation,
    )
    if kind is NAMESPACES:
        marked = {**marked, "status": {**(obj.get("status") or {}), "phase": "Terminating"}}
    return marked
