"""Failures of outside systems as Temporal's ApplicationError: which type, and whether and when to try again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from tidegate.contract import ErrorType

DEFAULT_DELAY = timedelta(seconds=10)
MIN_DELAY = timedelta(seconds=1)
MAX_DELAY = timedelta(hours=1)
# A reset this large is a moment (ServiceNow), a smaller one a number of seconds from now (Datadog).
_FIRST_PLAUSIBLE_TIME = 1_000_000_000


def failure(system: str, status: int, detail: str, headers: Mapping[str, str], now: datetime) -> ApplicationError:
    """The error for an HTTP answer with an unwelcome status; `detail` is quoted and must hold no secret.

    401 and 403 stay retryable: a rotated credential or a grant may follow.
    """
    if status == 429:
        return rate_limited(f"{system}: rate limit exceeded", retry_delay(headers, now))
    message = f"{system}: {status} {detail}".rstrip()
    if status in (401, 403):
        return ApplicationError(message, type=ErrorType.UNAUTHORIZED)
    if status == 404:
        return ApplicationError(message, type=ErrorType.NOT_FOUND, non_retryable=True)
    if status == 408 or status >= 500:
        return ApplicationError(message, type=ErrorType.UNAVAILABLE)
    return ApplicationError(message, type=ErrorType.REJECTED, non_retryable=True)


def unavailable(system: str, detail: object) -> ApplicationError:
    """The error for a system that did not answer, or not in a way that can be understood; a retry may help."""
    return ApplicationError(f"{system}: {detail}", type=ErrorType.UNAVAILABLE)


def rejected(system: str, detail: object) -> ApplicationError:
    """The error for input that an operator has to correct before a retry can help."""
    return ApplicationError(f"{system}: {detail}", type=ErrorType.REJECTED, non_retryable=True)


def not_configured(system: str, setting: str) -> ApplicationError:
    """The error for a system without configuration; `setting` is the variable that it needs."""
    return ApplicationError(f"{system}: not set up; set {setting}", type=ErrorType.NOT_CONFIGURED, non_retryable=True)


def rate_limited(message: str, delay: timedelta) -> ApplicationError:
    """The error that makes Temporal try again after `delay`; it is no fault, so it raises no alarm (benign)."""
    return ApplicationError(
        f"{message}, next try in {delay.total_seconds():g} s",
        type=ErrorType.RATE_LIMITED,
        next_retry_delay=delay,
        category=ApplicationErrorCategory.BENIGN,
    )


def retry_delay(headers: Mapping[str, str], now: datetime) -> timedelta:
    """Delay that the server asks for, between 1 s and 1 h; 10 s by default.

    `Retry-After` (RFC 9110 §10.2.3: seconds or a date) comes first, then `X-RateLimit-Reset`.
    """
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    delays = (_after(lowered.get("retry-after", ""), now), _after(lowered.get("x-ratelimit-reset", ""), now))
    delay = next((delay for delay in delays if delay is not None), DEFAULT_DELAY)
    return min(max(delay, MIN_DELAY), MAX_DELAY)


def _after(text: str, now: datetime) -> timedelta | None:
    # The length is limited because int() of a very long text is slow and would overflow a timedelta.
    if text.isascii() and text.isdigit() and len(text) <= 12:
        number = int(text)
        is_time = number >= _FIRST_PLAUSIBLE_TIME
        return timedelta(seconds=number - now.timestamp() if is_time else number)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
