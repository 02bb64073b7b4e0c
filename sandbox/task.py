"""What the containers of a Job do: a few words of shell, read and never run, so that any template can be tried.

    command                                 what comes of it
    sleep 2.5                               ends after that many seconds with 0
    true, false, exit 3, echo done          end at once, with 0, 1, 3, 0
    sh -c "sleep 2; exit 1"                 one after the other; `&&` stops at the first that fails
    anything else                           ends with 127 as a command that is not found; a broken script with 2

Images are `busybox` and `alpine` of any registry and tag; no other is in the registry.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sandbox.checkout import UnknownImageError

_IMAGE = re.compile(r"(?:[\w.:-]+/)*(?:busybox|alpine)(?::[\w.-]+)?")
_SHELLS = ("sh", "bash", "ash")
_LONGEST_SECONDS = 24 * 3600.0
_NOT_FOUND = 127
_BROKEN = 2


class Task(NamedTuple):
    """How long containers run and how they end: `exit_code` is the first that is not 0."""

    seconds: float
    exit_code: int


def task_of(containers: Iterable[tuple[str, Sequence[str]]]) -> Task:
    """What the containers of a pod do together, each given by image and by command with arguments.

    Raises UnknownImageError for an image that is not in the registry.
    """
    tasks = []
    for image, words in containers:
        if not _IMAGE.fullmatch(image):
            raise UnknownImageError(f"{image}: not found")
        tasks.append(_run(words))
    codes = (task.exit_code for task in tasks)
    return Task(max((task.seconds for task in tasks), default=0.0), next(filter(None, codes), 0))


def _run(words: Sequence[str]) -> Task:
    if len(words) == 3 and words[0].rpartition("/")[2] in _SHELLS and words[1] == "-c":
        return _script(words[2])
    return _command(words)


def _script(text: str) -> Task:
    seconds, code = 0.0, 0
    for line in re.split(r"[;\n]", text):
        for part in line.split("&&"):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:
                return Task(seconds, _BROKEN)
            if not words:
                continue
            task = _command(words)
            seconds, code = seconds + task.seconds, task.exit_code
            if words[0] == "exit":
                return Task(seconds, code)
            if code:
                break
    return Task(seconds, code)


def _command(words: Sequence[str]) -> Task:
    match [word.rpartition("/")[2] if index == 0 else word for index, word in enumerate(words)]:
        case [] | ["true" | ":"] | ["echo", *_]:
            return Task(0.0, 0)
        case ["false"]:
            return Task(0.0, 1)
        case ["exit", code] if code.isdecimal():
            return Task(0.0, int(code) % 256)
        case ["sleep", seconds] if re.fullmatch(r"\d+(\.\d+)?", seconds):
            return Task(min(float(seconds), _LONGEST_SECONDS), 0)
    return Task(0.0, _NOT_FOUND)
