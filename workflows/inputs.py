"""Inputs of workflows and of updates, decoded by hand.

An input that the SDK cannot decode fails the workflow task again and again: the workflow makes no progress and keeps
its id locked. So every input is taken as it comes and rejected here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from tidegate.contract import ErrorType, ReleaseRequest, Unreadable
from tidegate.manifests.plain_text import harmless

M = TypeVar("M", bound=BaseModel)

_LONGEST_VALUE = 200


def read_input(model: type[M], value: Any, what: str) -> M:
    """The input as `model`; `what` is what messages call it, such as `release request`.

    Raises a non-retryable `InvalidSpec` that names field, value and what is allowed.
    """
    if isinstance(value, model):
        return value
    if isinstance(value, Unreadable):
        raise invalid(f"{what}: it cannot be read: {value}; send one JSON object with the encoding json/plain")
    if value is None:
        raise invalid(f"{what}: there is none; send one JSON object")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the input"
    shown = "" if first["type"] == "missing" else f"{_shown(first.get('input'))}: "
    raise invalid(harmless(f"{what}: {where}: {shown}{first['msg'].removeprefix('Value error, ')}"))


def invalid(message: str) -> ApplicationError:
    """The error for a request that can never be carried out."""
    return ApplicationError(message, type=ErrorType.INVALID_SPEC, non_retryable=True)


def requested_at(request: ReleaseRequest) -> datetime:
    """Time of the first attempt at a request that is accepted now."""
    now = workflow.now()
    return now if request.requested_at is None else min(request.requested_at, now)


def _shown(value: Any) -> str:
    text = repr(value if not isinstance(value, str) else value[:_LONGEST_VALUE])
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
