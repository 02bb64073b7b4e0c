"""The process's log as it is configured in production, into a stream that a test reads."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from workers.logs import configure_logs


@contextmanager
def log_stream() -> Iterator[io.StringIO]:
    """Write the log of the process to a stream within the block."""
    before = logging.getLogger().handlers, logging.getLogger().level
    stream = io.StringIO()
    configure_logs("INFO", stream)
    yield stream
    logging.getLogger().handlers, logging.getLogger().level = before[0], before[1]
    structlog.reset_defaults()
