"""What a client gets to see: objects and lists in the API version it speaks, as JSON or as a Table."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web

from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Object, meta
from sandbox.kubernetes_api.paths import ResourcePath
from sandbox.kubernetes_api.status import ApiError, bad_request
from sandbox.kubernetes_api.tables import table

_TABLE = "as=Table"
_ACCEPTED = ("application/json", "application/*", "*/*")


@dataclass(frozen=True)
class Representation:
    """How to answer one request. `include_object` (Metadata, Object or None) is what each row of a Table carries."""

    as_table: bool
    include_object: str

    @classmethod
    def of(cls, request: web.Request) -> Representation:
        """What the Accept header asks for, the first form that the server has.

        Raises:
            ApiError: 406 when it has none of them.
        """
        accept = request.headers.get("Accept", "") or "*/*"
        include_object = request.query.get("includeObject", "Metadata")
        for media_range in accept.split(","):
            media_type, *parameters = (part.strip() for part in media_range.split(";"))
            if media_type not in _ACCEPTED:
                continue
            if _TABLE in parameters:
                return cls(True, include_object)
            if not any(parameter.startswith("as=") for parameter in parameters):
                return cls(False, include_object)
        raise ApiError(
            406, "NotAcceptable", f"only the following media types are accepted: application/json (not {accept})"
        )

    def one(self, path: ResourcePath, obj: Object) -> Object:
        """One object."""
        shown = in_version(obj, path.api_version)
        return (
            table(path.kind, [shown], meta(obj).get("resourceVersion", ""), self.include_object)
            if self.as_table
            else shown
        )

    def many(self, path: ResourcePath, items: Sequence[Object], metadata: Mapping[str, object]) -> Object:
        """A list; as from the real server, items of typed resources say neither `kind` nor `apiVersion`."""
        if self.as_table:
            rows = [in_version(item, path.api_version) for item in items]
            answer = table(path.kind, rows, "", self.include_object)
            return {**answer, "metadata": dict(metadata)}
        return {
            "kind": f"{path.kind.kind}List",
            "apiVersion": path.api_version,
            "metadata": dict(metadata),
            "items": [_item(path.kind, item, path.api_version) for item in items],
        }


def in_version(obj: Object, api_version: str) -> Object:
    """An object as a client of that API version sees it."""
    return {
        "apiVersion": api_version,
        "kind": obj["kind"],
        **{k: v for k, v in obj.items() if k not in ("apiVersion", "kind")},
    }


def _item(kind: Kind, obj: Object, api_version: str) -> Object:
    return (
        in_version(obj, api_version)
        if kind.custom
        else {k: v for k, v in obj.items() if k not in ("apiVersion", "kind")}
    )


class Place(NamedTuple):
    """Where a list in pages goes on: at which version it is, and after which object."""

    version: int
    namespace: str
    name: str


def page(
    objects: list[Object], limit: int, start: Place, matches: Callable[[Object], bool]
) -> tuple[list[Object], str, int]:
    """The objects of one page, the token that continues after it (empty at the end), and how many remain."""
    left = [obj for obj in objects if _key(obj) > start[1:] and matches(obj)]
    if not limit or len(left) <= limit:
        return left, "", 0
    shown = left[:limit]
    place = json.dumps([start.version, *_key(shown[-1])])
    return shown, base64.urlsafe_b64encode(place.encode()).decode().rstrip("="), len(left) - limit


def decode_place(token: str) -> Place:
    """What a token says.

    Raises:
        ApiError: 400 for one that was not handed out.
    """
    try:
        version, namespace, name = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return Place(int(version), str(namespace), str(name))
    except (binascii.Error, ValueError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {token!r}") from error


def _key(obj: Object) -> tuple[str, str]:
    return meta(obj).get("namespace", ""), meta(obj)["name"]
