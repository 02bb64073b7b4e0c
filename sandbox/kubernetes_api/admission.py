"""Validating admission: what a write is shown to before it is stored, and how one is turned away.

Which rules there are, whoever makes the server says
(https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from sandbox.kubernetes_api.objects import Object, meta
from sandbox.kubernetes_api.status import forbidden

if TYPE_CHECKING:
    from sandbox.kubernetes_api.paths import ResourcePath

ADMINISTRATOR = "kubernetes-admin"  # who asks without credentials


class Write(NamedTuple):
    """A change of an object by a client: `user` as RBAC names it, `resource` with its subresource."""

    user: str
    group: str
    version: str
    resource: str
    operation: str  # CREATE | UPDATE
    old: Object | None
    new: Object


Admission = Callable[[Write], str]
"""Why a write is denied; empty lets it pass."""
Admit = Callable[[Object | None, Object], None]
"""The same for one request: given the object before and after. Raises ApiError."""


def admit_by(admission: Admission, user: str, path: ResourcePath) -> Admit:
    """What judges the writes of one request."""

    def admit(old: Object | None, new: Object) -> None:
        kind = path.kind
        resource = f"{kind.plural}/{path.subresource}" if path.subresource else kind.plural
        version = path.api_version.rpartition("/")[2]
        operation = "CREATE" if old is None else "UPDATE"
        if denial := admission(Write(user, kind.group, version, resource, operation, old, new)):
            raise forbidden(kind, meta(new)["name"], denial, 422, causes=[{"message": denial}])

    return admit


def admit_all(_old: Object | None, _new: Object) -> None:
    """Let everything pass."""
