"""Errors of Temporal and of payloads, as the errors of the client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from pydantic import ValidationError
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError, RPCStatusCode

from tidegate.client.errors import (
    CompensationError,
    ConfigurationError,
    InconclusiveError,
    InvalidSpecError,
    NoSuchAnalysisRunError,
    NoSuchReleaseError,
    NotFoundError,
    NoWorkerError,
    RefusedError,
    ReleaseError,
    RolledBackError,
    StoppedError,
    TidegateError,
    UnreachableError,
)
from tidegate.contract import SEARCH_ATTRIBUTES, CompensationState, ErrorType, ReleaseResult
from tidegate.manifests.plain_text import harmless

_SHOWN = 80


def malformed(error: ValidationError) -> RefusedError:
    """The error for a request that cannot be made: field, value and what is allowed."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the request"
    shown = first["input"] if isinstance(first["input"], str) else ""
    message = f"{where}: {shown[:_SHOWN]!r} is not valid"
    return RefusedError(harmless(message), first["msg"].removeprefix("Value error, "), ErrorType.INVALID_SPEC)


_ENDINGS: dict[str, type[ReleaseError]] = {
    ErrorType.ROLLOUT_ABORTED: RolledBackError,
    ErrorType.ROLLOUT_INCONCLUSIVE: InconclusiveError,
    ErrorType.INVALID_SPEC: InvalidSpecError,
}


def release_error(cause: BaseException) -> ReleaseError:
    """The error for the failure of a release's workflow."""
    if isinstance(cause, ApplicationError):
        result = _result_of(cause)
        failed = (
            [each for each in result.status.compensations if each.state is CompensationState.FAILED] if result else []
        )
        if failed:
            names = "; ".join(f"{each.name}: {each.detail}" for each in failed)
            return CompensationError(f"{cause.message}; this did not succeed: {names}", "finish it by hand", result)
        return _ENDINGS.get(cause.type or "", ReleaseError)(cause.message, "", result)
    if isinstance(cause, CancelledError):
        return RolledBackError(f"the release was cancelled: {cause.message}")
    return StoppedError(
        f"the release did not end by itself: {cause}",
        "nothing was undone: look at the traffic weights, then start it again, or the stable version",
    )


def _result_of(cause: ApplicationError) -> ReleaseResult | None:
    for detail in cause.details:
        try:
            return ReleaseResult.model_validate(detail)
        except ValidationError:
            continue
    return None


def _time_of(cause: ApplicationError) -> datetime | None:
    for detail in cause.details:
        with suppress(TypeError, ValueError):
            if (at := datetime.fromisoformat(detail)).tzinfo is not None:
                return at
    return None


@contextmanager
def translated(subject: str) -> Iterator[None]:
    """Turn the failure of a call about `subject` (a workflow id) into one of the errors above."""
    try:
        yield
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        text, kind = (cause.message, cause.type or "") if isinstance(cause, ApplicationError) else (str(cause), "")
        at = _time_of(cause) if isinstance(cause, ApplicationError) else None
        raise RefusedError(f"{subject}: refused: {text}", kind=kind, at=at) from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        if isinstance(error.__cause__, asyncio.CancelledError):  # the caller was cancelled, and has to see that
            raise error.__cause__ from None
        raise no_worker(subject) from error
    except RPCError as error:
        raise _rpc_error(subject, error) from error


def no_worker(subject: str) -> NoWorkerError:
    """The error for a call without a worker in time."""
    return NoWorkerError(
        f"{subject}: no worker answered in time",
        "start `tidegate-worker` with the role `workflows` or `all`; Temporal keeps the request until then",
    )


def not_found(subject: str, retention: timedelta | None = None) -> NotFoundError:
    """The error for a workflow id that Temporal does not have; `retention` is named when it is known."""
    kept = f", or it ended more than {_span(retention)} ago and Temporal has removed it" if retention else ""
    remedy = "; the name, -n/--namespace or --cluster may differ"
    if _is_analysis(subject):
        return NoSuchAnalysisRunError(
            f"{subject}: there is no such analysis run{kept}", f"see `tidegate list analysisruns -A`{remedy}"
        )
    return NoSuchReleaseError(f"{subject}: there is no such release{kept}", f"see `tidegate list -A`{remedy}")


def already_ended(subject: str) -> RefusedError:
    """The error for a message to a closed workflow."""
    what = "analysis run" if _is_analysis(subject) else "release"
    return RefusedError(f"{subject}: the {what} has ended", "start a new one", ErrorType.REJECTED)


def overtaken(subject: str, images: str) -> RefusedError:
    """The error for a repeated request, when another version was requested since its first attempt."""
    return RefusedError(
        f"{subject}: refused: another version was asked for after this one, which had to wait: {images}",
        "ask again if this one is to take its place",
        ErrorType.SUPERSEDED,
    )


def _is_analysis(subject: str) -> bool:
    return subject.startswith("analysis/")


def _span(span: timedelta) -> str:
    hours = round(span / timedelta(hours=1))
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"


def _rpc_error(subject: str, error: RPCError) -> TidegateError:
    text = error.message
    match error.status:
        case RPCStatusCode.NOT_FOUND if "completed" in text or "closing workflow" in text:
            return already_ended(subject)
        case RPCStatusCode.NOT_FOUND if text.lower().startswith("namespace"):
            return ConfigurationError(f"Temporal: {text}", "set TEMPORAL_NAMESPACE, or create the namespace")
        case RPCStatusCode.NOT_FOUND:
            return not_found(subject)
        case RPCStatusCode.UNAVAILABLE:
            return UnreachableError(f"Temporal is not available: {text}", "try again, or check TEMPORAL_ADDRESS")
        case RPCStatusCode.FAILED_PRECONDITION if "failed state" in text:
            return NoWorkerError(
                f"{subject}: the workers' code fails on it, it takes no message: {text}",
                "see the workers' logs; the watcher terminates it after TIDEGATE_WATCHER__STUCK_LIMIT and recovers",
            )
        case RPCStatusCode.CANCELLED | RPCStatusCode.DEADLINE_EXCEEDED | RPCStatusCode.FAILED_PRECONDITION:
            return no_worker(subject)
        case RPCStatusCode.PERMISSION_DENIED | RPCStatusCode.UNAUTHENTICATED:
            return RefusedError(f"Temporal refuses the call: {text}", "check TEMPORAL_API_KEY or TEMPORAL_TLS_*")
        case RPCStatusCode.INVALID_ARGUMENT if "search attribute" in text.lower():
            names = ", ".join(key.name for key in SEARCH_ATTRIBUTES)
            return RefusedError(
                f"Temporal: {text}",
                f"register {names} once for the namespace: `temporal operator search-attribute create`",
            )
        case _:
            return TidegateError(f"{subject}: Temporal answers {error.status.name}: {text}")
