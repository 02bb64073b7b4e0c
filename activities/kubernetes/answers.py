"""Answers of an API server: objects, or typed failures in its own words. Size and depth are limited."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
from kubernetes.aio.client.exceptions import ApiException
from temporalio.exceptions import ApplicationError

from activities.transport.errors import retry_delay
from tidegate.contract import ErrorType

MAX_RESPONSE_BYTES = 32 * 1024 * 1024
MAX_REASON = 100
MAX_LEVELS = 200  # of JSON; more than a release takes of an object, and far from what exhausts the stack
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


@contextmanager
def failures(method: str, path: str) -> Iterator[None]:
    """Turn what the client raises into typed failures."""
    try:
        yield
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a line beyond the limit
        raise ApplicationError(
            f"Kubernetes API: {method} {path}: {type(error).__name__} {error}", type=ErrorType.UNAVAILABLE
        ) from error
    except ApiException as error:
        raise failure(method, path, error.status or 0, str(error.body or error.reason), {}) from error


def decode(method: str, path: str, status: int, data: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """The object of an answer. Raises ApplicationError for any other."""
    if not 200 <= status <= 299:
        raise failure(method, path, status, data[:4096].decode(errors="replace"), headers)
    if len(data) > MAX_RESPONSE_BYTES:
        raise ApplicationError(
            f"Kubernetes API: {method} {path}: answer of {len(data)} bytes is over the limit of {MAX_RESPONSE_BYTES}",
            type=ErrorType.REJECTED,
            non_retryable=True,
        )
    try:
        answer = _parsed(data)
    except ValueError as error:
        raise ApplicationError(
            f"Kubernetes API: {method} {path}: answer is not JSON", type=ErrorType.UNAVAILABLE
        ) from error
    if not isinstance(answer, dict):
        raise ApplicationError(f"Kubernetes API: {method} {path}: answer is no object", type=ErrorType.UNAVAILABLE)
    return answer


def _parsed(data: bytes) -> Any:
    """JSON of the API server. Raises ValueError.

    What is nested so deeply that Python's reader gives up is cut down to what a release refuses as too deep: in a list
    of all, an object of one team must not hide those of the others.
    """
    try:
        return json.loads(data)
    except RecursionError:
        return json.loads(_pruned(data))


def _pruned(data: bytes) -> bytes:
    kept, level, begin = [], 0, 0
    for token in _JSON_TOKEN.finditer(data):
        if token[0] in (b"[", b"{"):
            level += 1
            if level == MAX_LEVELS + 1:
                kept += [data[begin : token.start()], b"null"]
        elif token[0] in (b"]", b"}"):
            level -= 1
            if level == MAX_LEVELS:
                begin = token.end()
    return b"".join([*kept, data[begin:]])


def failure(method: str, path: str, status: int, body: str, headers: Mapping[str, str]) -> ApplicationError:
    """The failure that a status means, with the server's message; its reason, if it gives one, is the only detail."""
    reason: tuple[str, ...] = ()
    try:
        document = _parsed(body.encode("utf-8", "replace"))
        text = str(document["message"])
        reason = (str(document["reason"])[:MAX_REASON],) if document.get("reason") else ()
    except (AttributeError, ValueError, KeyError, TypeError):
        text = body[:300]
    kinds: dict[int, tuple[ErrorType, bool]] = {
        401: (ErrorType.UNAUTHORIZED, False),  # a service account's token is rotated on disk and read again
        403: (ErrorType.UNAUTHORIZED, False),  # a role binding may follow its workload
        404: (ErrorType.NOT_FOUND, True),
        409: (ErrorType.CONFLICT, False),
        429: (ErrorType.RATE_LIMITED, False),
    }
    rejected = (ErrorType.REJECTED, True) if 400 <= status < 500 else (ErrorType.UNAVAILABLE, False)
    kind, final = kinds.get(status, rejected)
    asks_to_wait = status == 429 and "Retry-After" in headers
    return ApplicationError(
        f"Kubernetes API: {method} {path}: {status} {text}",
        *reason,
        type=kind,
        non_retryable=final,
        next_retry_delay=retry_delay(headers, datetime.now(UTC)) if asks_to_wait else None,
    )
