"""Kubernetes errors: a `Status` object with the reason, code and details that clients branch on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Object


class ApiError(Exception):
    """A request that is answered with a `Status`.

    Attributes:
        code: HTTP status code.
        reason: machine-readable CamelCase reason, such as `NotFound`.
        message: what a person reads.
        details: `status.details`, or None.
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> Object:
        """The answer's body."""
        body: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details is not None:
            body["details"] = self.details
        return body


def _details(kind: Kind, name: str, **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name, "kind": kind.plural, **more}
    if kind.group:
        details["group"] = kind.group
    return details


def success(kind: Kind, name: str, uid: str) -> Object:
    """The `Status` of a deletion that left nothing behind."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": _details(kind, name, uid=uid),
    }


def bad_request(message: str) -> ApiError:
    """400: the request itself cannot be understood."""
    return ApiError(400, "BadRequest", message)


def not_found(kind: Kind, name: str) -> ApiError:
    """404: no such object."""
    return ApiError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def unknown_path() -> ApiError:
    """404: no such resource, version or subresource."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed(method: str) -> ApiError:
    """405: the resource has no such verb."""
    return ApiError(405, "MethodNotAllowed", f"the server does not allow {method} on the requested resource", {})


def already_exists(kind: Kind, name: str) -> ApiError:
    """409: create met an object of that name."""
    return ApiError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> ApiError:
    """409: the object is not in the state that the request relies on."""
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def stale(kind: Kind, name: str) -> ApiError:
    """409: a newer resourceVersion stands."""
    return conflict(
        kind, name, "the object has been modified; please apply your changes to the latest version and try again"
    )


def apply_conflict(causes: Sequence[tuple[str, str]]) -> ApiError:
    """409 of server-side apply: `causes` are (field path, message that names the other manager)."""
    noun = "conflict" if len(causes) == 1 else "conflicts"
    listed = ", ".join(f"{message}: {path}" for path, message in causes)
    details = {"causes": [{"reason": "FieldManagerConflict", "message": m, "field": path} for path, m in causes]}
    return ApiError(409, "Conflict", f"Apply failed with {len(causes)} {noun}: {listed}", details)


def expired(message: str) -> ApiError:
    """410: the client has to list again."""
    return ApiError(410, "Expired", message)


def too_large(limit: int) -> ApiError:
    """413: the body is above `limit` bytes."""
    return ApiError(
        413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}", {"causes": [{"message": "limit"}]}
    )


def unsupported_media_type(given: str, allowed: Sequence[str]) -> ApiError:
    """415: the body or patch comes in a form that this resource does not take."""
    supported = ", ".join(allowed)
    message = (
        f"the body of the request was in an unknown format - accepted media types include: {supported} (not {given!r})"
    )
    return ApiError(415, "UnsupportedMediaType", message, {})


def invalid(kind: Kind, name: str, problems: Sequence[tuple[str, str, str]], *, kind_name: str = "") -> ApiError:
    """422: the object breaks rules. `problems` are (cause reason such as `FieldValueRequired`, field path, message).

    `kind_name` says what the object is called where that is not its kind: by its resource, before it is decoded.
    """
    causes = [{"reason": reason, "message": message, "field": field} for reason, field, message in problems]
    texts = [f"{field}: {message}" for _, field, message in problems]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    called = kind_name or f"{kind.kind}{'.' + kind.group if kind.group else ''}"
    details = _details(kind, name, causes=causes) | ({} if kind_name else {"kind": kind.kind})
    return ApiError(
        422,
        "Invalid",
        f'{called} "{name}" is invalid: {listed}',
        details if kind_name else details | {"kind": kind.kind},
    )


def forbidden(kind: Kind, name: str, why: str, code: int = 403, **details: Any) -> ApiError:
    """403 (or what else an admission says): it is not allowed. `details` are those beside name and kind."""
    which = f' "{name}"' if name else ""
    reason = "Forbidden" if code == 403 else "Invalid"
    found = {key: value for key, value in _details(kind, name, **details).items() if value}
    return ApiError(code, reason, f"{kind.resource}{which} is forbidden: {why}", found)


def invalid_options(options: str, why: str) -> ApiError:
    """422: a parameter of the request, one of those options, says what it cannot say."""
    return ApiError(422, "Invalid", f'{options}.meta.k8s.io "" is invalid: {why}')


def rejected_patch(message: str) -> ApiError:
    """422 of a JSON Patch that does not apply, a failed `test` included."""
    return ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {message}", {})


def future_version(wanted: int, current: int) -> ApiError:
    """504: the client has seen a resourceVersion that this server has not reached."""
    message = f"Too large resource version: {wanted}, current: {current}"
    details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
    return ApiError(504, "Timeout", message, details | {"retryAfterSeconds": 1})


def internal_error(error: Exception) -> ApiError:
    """500: a fault of this server; the text names the exception's type and message."""
    return ApiError(500, "InternalError", f"Internal error occurred: {type(error).__name__}: {error}")
