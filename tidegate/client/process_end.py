"""The end of a process that used Temporal's SDK."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn


def exit_process(code: int) -> NoReturn:
    """End this process with `code`, after its output was flushed, and not by the interpreter's own exit.

    A thread of Temporal's SDK that finishes a call while the interpreter ends aborts the process (`Fatal Python error:
    PyGILState_Release`): its caller would see code 134 in place of the result. Functions registered with `atexit` do
    not run.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # there is none, it has no reader, or it is closed
            stream.flush()
    os._exit(code)
