"""No process outlives the tests that started it: neither one that they wait for, nor one that such a process left.

What a process starts bears its mark in its environment, also when its parent is gone. The programs of the embedded
world get an environment without it, but they are children of the process that starts them and end with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.machine import patience

MARK = "TESTS_OF_TIDEGATE"  # a variable that holds the marks of all runs of tests that this one is within
GRACE_SECONDS = 5.0  # for what was told to end
OF_THE_INTERPRETER = "multiprocessing.resource_tracker"  # ends when the process does that it was started by


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_running() -> Iterator[str]:
    """The mark of this process. Fails at the end when something runs still, which is killed then."""
    outer, own = os.environ.get(MARK, ""), uuid.uuid4().hex
    os.environ[MARK] = f"{outer} {own}"
    yield own
    os.environ[MARK] = outer
    left = after_a_while(own)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    names = "; ".join(f"{pid}: {command}" for pid, command in left.items())
    assert not left, f"the tests of this process are over and have left running: {names}"


def after_a_while(mark: str) -> dict[int, str]:
    """What runs still when all had time to end, with its command line."""
    until = time.monotonic() + patience(GRACE_SECONDS)
    while (found := running(mark)) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def running(mark: str) -> dict[int, str]:
    """Command lines of the children of this process and of all that bears `mark`; none where there is no /proc."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            mine = int(parent) == os.getpid() or mark.encode() in (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_text().replace("\0", " ").strip()
            if mine and state != "Z" and int(folder.name) != os.getpid() and OF_THE_INTERPRETER not in command:
                found[int(folder.name)] = command
    return found
