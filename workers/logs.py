"""Logs of a worker: JSON on a pipe, readable on a terminal, each line bound to its workflow and activity."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger
from temporalio import activity, workflow
from temporalio.runtime import LogForwardingConfig, LoggingConfig, TelemetryFilter

from workers.log_context import add_trace_fields, add_workflow_fields

MASK = "*****"
# The name of a value that must never be read; `secret_path` and the like only say where one is.
_SECRET_NAME = re.compile(
    r"(?:^|[_.\- ])(?:authorization|(?:api|app|application)[_-]?key|passw(?:or)?d|token|secret|secret[_-]?id)$",
    re.IGNORECASE,
)
_CAMEL_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Local variables stay out of it: some of them hold secrets.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
_SDK_CONTEXTS = ("temporal_workflow", "temporal_activity")
_SDK_FIELDS = ("workflow_id", "run_id", "workflow_run_id", "workflow_type", "activity_id", "activity_type", "attempt")


def configure_logs(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's logs of a level such as `INFO` to `stream`, stderr by default."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_trace_fields,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if stream.isatty()
        else [_TRACEBACKS, structlog.processors.JSONRenderer(default=str)]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _flatten_sdk_context, add_workflow_fields],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Its request lines at INFO would tell of every poll of an outside system.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # The ids are fields of their own here; in the message they would stand twice.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def core_logging() -> LoggingConfig:
    """Logs of the SDK's core, such as its warnings while a server is away, through the same handler."""
    return LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core"), append_target_to_name=False),
    )


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask every value, at any depth, whose name is that of a secret: the last line of defence (law 7)."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(_CAMEL_HUMP.sub("_", name)):
        return MASK
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    return value


def _flatten_sdk_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name in _SDK_CONTEXTS:
        context = event.pop(name, None)
        if isinstance(context, Mapping):
            event.update({key: context[key] for key in _SDK_FIELDS if key in context})
    event.pop("temporal_log", None)  # the core's own record, whose text is the message already
    return event
