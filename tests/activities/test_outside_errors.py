"""Failures of outside systems as Temporal sees them: the type, whether a retry helps, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationErrorCategory

from activities.transport.errors import MAX_DELAY, MIN_DELAY, failure, retry_delay
from tidegate.contract import ErrorType

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "kind", "final"),
    [
        (400, ErrorType.REJECTED, True),
        (401, ErrorType.UNAUTHORIZED, False),
        (403, ErrorType.UNAUTHORIZED, False),
        (404, ErrorType.NOT_FOUND, True),
        (408, ErrorType.UNAVAILABLE, False),
        (429, ErrorType.RATE_LIMITED, False),
        (302, ErrorType.REJECTED, True),
        (500, ErrorType.UNAVAILABLE, False),
        (503, ErrorType.UNAVAILABLE, False),
    ],
)
def test_each_status_says_whether_a_retry_helps(status: int, kind: ErrorType, final: bool) -> None:
    error = failure("System", status, "detail", {}, NOW)
    assert (error.type, error.non_retryable) == (kind, final)
    assert error.message.startswith("System: ")
    limited = kind is ErrorType.RATE_LIMITED
    assert (error.category is ApplicationErrorCategory.BENIGN) == limited
    assert (error.next_retry_delay is not None) == limited


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({"retry-after": "Fri, 02 Jan 2026 03:05:05 GMT"}, 60),
        ({"Retry-After": "Fri, 02 Jan 2026 03:05:05"}, 60),
        ({"X-RateLimit-Reset": "42"}, 42),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 120)}, 120),
        ({"Retry-After": "5", "X-RateLimit-Reset": "42"}, 5),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "42"}, 42),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "86400"}, 3600),
        ({"Retry-After": "9" * 400}, 10),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}, 1),
        ({}, 10),
    ],
)
def test_the_server_says_when_to_come_back(headers: dict[str, str], seconds: int) -> None:
    assert retry_delay(headers, NOW) == timedelta(seconds=seconds)


@given(st.dictionaries(st.sampled_from(["Retry-After", "X-RateLimit-Reset"]), st.text(max_size=40)))
def test_no_header_makes_the_wait_absurd(headers: dict[str, str]) -> None:
    assert MIN_DELAY <= retry_delay(headers, NOW) <= MAX_DELAY
