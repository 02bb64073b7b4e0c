"""What the start of each command costs: CPU seconds of its process, from the interpreter on.

`python -m benchmarks.start [--times 5] [--only lint ...]`. The commands that connect are given an address where nobody
listens, so that a row is their own start: what they import, and the one call that fails. CPU seconds are those of the
process and of its threads (`resource.getrusage` of the children), the least and the median; modules are those that it
imported. The last rows are the floor: the interpreter alone, and the Temporal SDK, which each one needs that connects.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.machine import Machine

ROOT: Final = Path(__file__).resolve().parent.parent
MANIFESTS: Final = str(ROOT / "examples" / "checkout")
COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "--help": ("--help",),
    "version": ("version",),
    "completion": ("completion", "bash"),
    "schema": ("schema", "release"),
    "lint": ("lint", "-f", MANIFESTS),
    "get": ("get", "rollout", "checkout"),
    "list": ("list",),
    "status": ("status", "checkout"),
    "explain": ("explain", "checkout"),
    "history": ("history", "checkout"),
    "promote": ("promote", "checkout"),
    "abort": ("abort", "checkout"),
    "retry": ("retry", "checkout"),
    "restart": ("restart", "checkout"),
    "undo": ("undo", "checkout"),
    "start": ("start", "-f", MANIFESTS),
    "plan": ("plan", "-f", MANIFESTS),
    "doctor": ("doctor",),
}
FLOOR: Final = {"python": "pass", "import temporalio.client": "import temporalio.client"}
CODE: Final = (
    "import sys; from tidegate.cli.app import run; code = run(sys.argv[1:]);"
    "print(len(sys.modules), file=sys.stderr); import os; sys.stderr.flush(); os._exit(code)"
)


def cpu_seconds(argv: Sequence[str]) -> tuple[float, str]:
    """CPU seconds of a process, and the last line that it wrote to stderr."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
        "KUBECONFIG": "/none",
        "TIDEGATE_NAMESPACE": "default",
    }
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, done.stderr.strip().rpartition("\n")[2]


def measured(argv: Sequence[str], times: int) -> tuple[str, str, str]:
    """The least and the median of CPU seconds, and the number of modules."""
    runs = [cpu_seconds(argv) for _ in range(times)]
    taken = [seconds for seconds, _ in runs]
    return f"{min(taken):.2f}", f"{statistics.median(taken):.2f}", runs[-1][1]


def rows(names: Sequence[str], times: int) -> Table:
    """Measure one command after the other."""
    table = Table("command", "least CPU s", "median CPU s", "modules")
    for name in names:
        table.add_row(name, *measured([sys.executable, "-c", CODE, *COMMANDS[name]], times))
    for name, code in FLOOR.items():
        counted = f"{code}; import sys; print(len(sys.modules), file=sys.stderr)"
        table.add_row(name, *measured([sys.executable, "-c", counted], times))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="of how many runs the median is taken")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS), help="these commands alone")
    asked = parser.parse_args()
    console = Console()
    console.print(rows(asked.only, asked.times))
    console.print(str(Machine.now()))


if __name__ == "__main__":
    main()
