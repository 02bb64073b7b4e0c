"""Becomes the program named in its arguments after asking the kernel to kill it when its parent dies.

It runs as a script, `launcher.py PARENT_PID PROGRAM ARG...`: a process of its own is the safe place to do this, since
code between fork and exec in a process with threads can deadlock.
"""

from __future__ import annotations

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Replace this process by the program in `argv[1:]`; `argv[0]` is the process id of its parent."""
    parent, program = int(argv[0]), argv[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request above was in force
        sys.exit(f"launcher: parent {parent} is gone")
    os.execvp(program[0], program)  # noqa: S606  becoming the program is the purpose; no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
