"""What a failed activity or child workflow has to say."""

from __future__ import annotations

from temporalio.exceptions import ActivityError, ChildWorkflowError


def cause_of(error: BaseException) -> str:
    """The innermost message of a failure, which is the one that a person can act on."""
    while isinstance(error, ActivityError | ChildWorkflowError) and error.cause is not None:
        error = error.cause
    return str(getattr(error, "message", "") or error)[:2000]
