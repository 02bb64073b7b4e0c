"""Failures as people read them in Temporal: a deliberate error is a sentence, without the stack trace of its place.

A mistake in the code, of whatever type, keeps its trace.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError, FailureError

from tidegate.contract import ErrorType


class PlainFailures(DefaultFailureConverter):
    """Leaves out the stack trace of a deliberate error, and those of its causes."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Write an exception into a failure of Temporal's API."""
        with _without_traces(exception):
            super().to_failure(exception, payload_converter, failure)


class EncryptedPlainFailures(PlainFailures):
    """The same, with the message moved to where the payload codec encrypts it."""

    def __init__(self) -> None:
        super().__init__(encode_common_attributes=True)


@contextmanager
def _without_traces(exception: BaseException) -> Iterator[None]:
    """Take the traces from a deliberate error and its causes within the block: what the worker logs keeps them."""
    errors = list(_chain(exception)) if _is_deliberate(exception) else []
    traces = [error.__traceback__ for error in errors]
    for error in errors:
        error.__traceback__ = None
    try:
        yield
    finally:
        for error, trace in zip(errors, traces, strict=True):
            error.__traceback__ = trace


def _is_deliberate(exception: BaseException) -> bool:
    if isinstance(exception, ApplicationError):
        return exception.type in list(ErrorType)
    return isinstance(exception, FailureError)


def _chain(exception: BaseException) -> Iterator[BaseException]:
    """The error and its causes, by the rules of the language's own tracebacks."""
    seen: set[int] = set()
    error: BaseException | None = exception
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
