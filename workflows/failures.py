"""What a failed activity or child workflow has to say, and the refusal of a workflow under another's id."""

from __future__ import annotations

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from tidegate.contract import ErrorType


def cause_of(error: BaseException) -> str:
    """The innermost message of a failure, which is the one that a person can act on."""
    while isinstance(error, ActivityError | ChildWorkflowError) and error.cause is not None:
        error = error.cause
    return str(getattr(error, "message", "") or error)[:2000]


def check_id(what: str, found: str, right: str) -> None:
    """Let a workflow run under its own id alone, which keeps two from doing the same (law 4).

    Raises a non-retryable `InvalidSpec` that names the right one.
    """
    if found != right:
        raise ApplicationError(
            f"workflow id {found!r}: a {what} runs under its own id or not at all: start it as {right!r}",
            type=ErrorType.INVALID_SPEC,
            non_retryable=True,
        )
