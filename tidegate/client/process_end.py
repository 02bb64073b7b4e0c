"""How a process that has spoken to Temporal ends."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End this process with `code`, after what was written, and not by the interpreter's own way out.

    A thread of Temporal's SDK that finishes a call while the interpreter ends aborts the process (`Fatal Python error:
    PyGILState_Release`): whoever started it is told 134, and not what it came to. Nothing registered with `atexit`
    runs.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # there is none, nobody reads it, or it is closed
            stream.flush()
    os._exit(code)
