"""What was spent: requests in an API server's audit log, processor time and memory of processes (Linux' /proc)."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_RESET_PEAK: Final = "5"  # in clear_refs: the peak begins again with what is resident now (proc(5))
WATCH: Final = "watch"


class AuditLog:
    """The API server's audit log from a moment on: one JSON object a line (audit.k8s.io/v1)."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._from = file.stat().st_size

    def requests(self, agents: Collection[str]) -> Counter[tuple[str, str]]:
        """How many requests these user agents, by how their names begin, made: by verb and kind of object.

        A watch counts when it ends: how many there are is no cost of a release.
        """
        counted: Counter[tuple[str, str]] = Counter()
        with self._file.open("rb") as log:
            log.seek(self._from)
            for line in log:
                if not line.endswith(b"\n"):  # it is being written
                    break
                event = json.loads(line)
                if event.get("stage") == "ResponseComplete" and str(event.get("userAgent")).startswith(tuple(agents)):
                    on = event.get("objectRef") or {}
                    resource = "/".join(filter(None, (on.get("resource"), on.get("subresource"))))
                    counted[str(event.get("verb")), resource or str(event.get("requestURI"))] += 1
        return counted


def by_verb(requests: Counter[tuple[str, str]]) -> Counter[str]:
    """Requests by verb, watches left out."""
    counted: Counter[str] = Counter()
    for (verb, _), number in requests.items():
        if verb != WATCH:
            counted[verb] += number
    return counted


def cpu_seconds(pid: int) -> float:
    """Processor time of a process since it began, user and system."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def forget_peak(pid: int) -> None:
    """Let the peak of a process's memory be what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def memory_mb(pid: int, field: str) -> float:
    """A line of the process's memory in MB: `VmRSS` what is resident, `VmHWM` the peak of it."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines[field].split()[0]) / 1024
