"""Who asks, and whether the roles bound to them allow it: https://kubernetes.io/docs/reference/access-authn-authz/rbac/.

A request without credentials is the cluster's administrator, as on the insecure port that API servers once had.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sandbox.kubernetes_api.identity import Identity, User
from sandbox.kubernetes_api.kinds import (
    ACCESS_REVIEWS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)
from sandbox.kubernetes_api.objects import Object, lookup
from sandbox.kubernetes_api.paths import ResourcePath
from sandbox.kubernetes_api.status import ApiError, forbidden
from sandbox.kubernetes_api.store import Store

_BEARER = "Bearer "
_ALL = "*"
_OF_EVERYBODY = ("create", ACCESS_REVIEWS.group, ACCESS_REVIEWS.plural)  # by the ClusterRole system:basic-user


class Attributes(NamedTuple):
    """What is asked for, in RBAC's words; no namespace means all of them or cluster scope, no name all objects."""

    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str

    @classmethod
    def of(cls, verb: str, path: ResourcePath) -> Attributes:
        """Those of a request. Nobody knows the name of what is created."""
        named = "" if verb == "create" and not path.subresource else path.name
        return cls(verb, path.kind.group, path.kind.plural, path.subresource, path.namespace, named)

    def __str__(self) -> str:
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        where = f' in the namespace "{self.namespace}"' if self.namespace else " at the cluster scope"
        return f'cannot {self.verb} resource "{resource}" in API group "{self.group}"{where}'


class Authorization:
    """Role-based access control over the roles and bindings in the store."""

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self._identity = identity

    def user(self, header: str | None) -> User | None:
        """Whose request it is by its `Authorization` header; None without one.

        Raises:
            ApiError: 401 for credentials that are none of this server's.
        """
        if header is None:
            return None
        user = self._identity.user_of(header.removeprefix(_BEARER)) if header.startswith(_BEARER) else None
        if user is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return user

    def check(self, user: User | None, verb: str, path: ResourcePath) -> None:
        """Let a request pass.

        Raises:
            ApiError: 403 when no role allows it.
        """
        asked = Attributes.of(verb, path)
        if user is None or self.allows(user, asked):
            return
        raise forbidden(path.kind, asked.name, f'User "{user.name}" {asked}')

    def allows(self, user: User, asked: Attributes) -> bool:
        """Whether a rule of a role that is bound to the user, everywhere or in the namespace, allows it."""
        if asked[:3] == _OF_EVERYBODY:
            return True
        return any(_grants(rule, asked) for rule in self._rules(user, asked.namespace))

    def review(self, user: User | None, review: Object) -> Object:
        """The answer to a SelfSubjectAccessReview."""
        wanted = lookup(review, "spec", "resourceAttributes") or {}
        asked = Attributes(
            *(str(wanted.get(key) or "") for key in ("verb", "group", "resource", "subresource", "namespace", "name"))
        )
        allowed = user is None or self.allows(user, asked)
        return {**review, "metadata": review.get("metadata") or {}, "status": {"allowed": allowed}}

    def _rules(self, user: User, namespace: str) -> Iterator[dict[str, Any]]:
        bindings = list(self._store.select(CLUSTER_ROLE_BINDINGS, ""))
        if namespace:
            bindings += self._store.select(ROLE_BINDINGS, namespace)
        for binding in bindings:
            if any(_is(subject, user) for subject in binding.get("subjects") or ()):
                yield from self._role(binding)

    def _role(self, binding: Object) -> list[dict[str, Any]]:
        reference = binding["roleRef"]
        in_namespace = reference["kind"] == "Role"
        kind, namespace = (ROLES, binding["metadata"]["namespace"]) if in_namespace else (CLUSTER_ROLES, "")
        role = self._store.get(kind, namespace, reference["name"])
        return list(role.get("rules") or ()) if role is not None else []


def _is(subject: dict[str, Any], user: User) -> bool:
    if subject["kind"] == "ServiceAccount":
        return f"system:serviceaccount:{subject['namespace']}:{subject['name']}" == user.name
    return bool(subject["name"] in user.groups if subject["kind"] == "Group" else subject["name"] == user.name)


def _grants(rule: dict[str, Any], asked: Attributes) -> bool:
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    names = rule.get("resourceNames") or ()
    return (
        not {asked.verb, _ALL}.isdisjoint(rule.get("verbs") or ())
        and not {asked.group, _ALL}.isdisjoint(rule.get("apiGroups") or ())
        and not {resource, _ALL, f"*/{asked.subresource}"}.isdisjoint(rule.get("resources") or ())
        and (not names or asked.name in names)
    )
