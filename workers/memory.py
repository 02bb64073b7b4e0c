"""Size of a worker's workflow cache, from its memory limit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

# `python -m benchmarks.workflow_cache` measured 95 MiB without a release, and 0.5 to 1 MiB for each of 100 and of 20
# that stood in a pause without gates. A release with gates keeps more, so a large part is left over.
EMPTY_BYTES: Final = 128 * 2**20
WORKFLOW_BYTES: Final = 2**20
SHARE: Final = 0.6
FEWEST: Final = 10
MOST: Final = 10_000

_CGROUP: Final = Path("/sys/fs/cgroup")


def cached_workflows(limit: int) -> int:
    """Number of releases and analysis runs that fit into `limit` bytes; others are replayed when they are needed."""
    return max(FEWEST, min(MOST, int((limit - EMPTY_BYTES) * SHARE) // WORKFLOW_BYTES))


def memory_limit(cgroup: Path = _CGROUP) -> int:
    """Bytes that this process may use: what its control group allows, or all that the machine has.

    Both versions of control groups are read: https://docs.kernel.org/admin-guide/cgroup-v2.html#memory.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (cgroup / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            return min(machine, int(text))
    return machine
