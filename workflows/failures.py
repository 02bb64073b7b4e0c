"""Causes of failed activities and child workflows, and the check of a workflow's own id."""

from __future__ import annotations

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from tidegate.contract import ErrorType


def cause_of(error: BaseException) -> str:
    """The innermost message of a failure, up to 2000 characters."""
    while isinstance(error, ActivityError | ChildWorkflowError) and error.cause is not None:
        error = error.cause
    return str(getattr(error, "message", "") or error)[:2000]


def check_id(what: str, found: str, right: str) -> None:
    """Check that a workflow runs under its own id, so that no two do the same (law 4).

    Raises a non-retryable `InvalidSpec` that names the right one.
    """
    if found != right:
        raise ApplicationError(
            f"workflow id {found!r}: a {what} runs under its own id or not at all: start it as {right!r}",
            type=ErrorType.INVALID_SPEC,
            non_retryable=True,
        )
