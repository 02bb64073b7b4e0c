"""Rejections by a cluster: which are reported to people and when, and which are only tried again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from tidegate.contract import ErrorType, is_known

LONGEST: Final = 1000  # characters that are told of what a server says
_DEFINITE: Final = (ErrorType.UNAUTHORIZED, ErrorType.REJECTED)  # a webhook, a right, a quota, a field
_PASSING: Final = (ErrorType.UNAVAILABLE, ErrorType.CONFLICT, ErrorType.RATE_LIMITED)  # may be over in a moment
_ATTEMPTS: Final = 4  # after which what may be over in a moment is told, too


def is_rejection(error: BaseException) -> bool:
    """True when a cluster said no to a request that may be taken the next time."""
    return isinstance(error, ApplicationError) and error.type in (*_DEFINITE, *_PASSING)


def is_definite(error: ApplicationError) -> bool:
    """True when it will say the same a moment later."""
    return error.type in _DEFINITE


def to_report(error: ApplicationError, known: Iterable[str], *, at_once: bool = False) -> bool:
    """True when a release has to hear of it now: it is not known yet, and will not be over in a moment."""
    return not is_known(message_of(error), known) and (at_once or is_definite(error) or _attempt() >= _ATTEMPTS)


def message_of(error: ApplicationError) -> str:
    """Message of the server, cut to the length that is reported."""
    return error.message[:LONGEST]


def again(error: ApplicationError, delay: timedelta | None = None) -> ApplicationError:
    """The failure of an attempt after which another one follows, when the server says so or after `delay`."""
    return ApplicationError(error.message, type=error.type, next_retry_delay=error.next_retry_delay or delay)


def _attempt() -> int:
    return activity.info().attempt if activity.in_activity() else 1
