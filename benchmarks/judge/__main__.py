"""Judge simulated rollouts by the comparison: how many good and bad versions are promoted, aborted, held, and when.

`python -m benchmarks.judge [--reps 10] [--only TEXT] [--procs 1] [--seed 1] [--rough] [--check]`. With
`--bench DIR` another benchmark's `run.py` (`rough.py` with `--rough`) drives the same rules through the adapter.
`--check` ends with 1 when a goal is not reached.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.judge.cells import Cell, grid, rough
from benchmarks.judge.fleet import Fleet
from benchmarks.judge.report import goals, rough_goals, rows
from benchmarks.judge.rollout import Outcome, run
from benchmarks.machine import Machine

ADAPTER = "tidegate=benchmarks.judge.adapter:make"


def outcomes(cell: Cell, reps: int, seed: int) -> list[Outcome]:
    """Play a cell so many times."""
    return [run(Fleet(cell.service, cell.version, f"{seed} {cell.name} {rep}")) for rep in range(reps)]


def simulate(cells: Sequence[Cell], reps: int, seed: int, procs: int = 1) -> dict[Cell, list[Outcome]]:
    """Play all cells, in one process or more."""
    play = partial(outcomes, reps=reps, seed=seed)
    if procs <= 1:
        return dict(zip(cells, map(play, cells), strict=True))
    with multiprocessing.get_context("fork").Pool(procs) as pool:
        return dict(zip(cells, pool.map(play, cells, chunksize=1), strict=True))


def elsewhere(directory: Path, given: argparse.Namespace) -> None:
    """Hand the judge to a benchmark in another directory. It ends the process itself."""
    sys.path[:0] = [str(directory), str(Path.cwd())]
    name = "rough" if given.rough else "run"
    sys.argv = [f"{name}.py", "--judges", "", "--judge", ADAPTER, "--reps", str(given.reps), "--only", given.only]
    if not given.rough:
        results = Path(".tidegate") / "judge.json"
        results.parent.mkdir(exist_ok=True)
        sys.argv += ["--procs", str(given.procs), "--seed", str(given.seed), "--json", str(results)]
    if given.check:
        sys.argv.append("--check")
    try:
        importlib.import_module(name).main()
    except ModuleNotFoundError as error:
        sys.exit(f"{directory / name}.py: {error}; that benchmark's own packages are needed")


def main() -> int:
    """Read the command line, play, print; 1 with `--check` when a goal is not reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reps", type=int, default=10, help="rollouts of each cell")
    parser.add_argument("--only", default="", help="cells whose name has this text")
    parser.add_argument("--procs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=1, help="of the noise")
    parser.add_argument("--rough", action="store_true", help="pods that differ, worse metrics, lost requests")
    parser.add_argument("--check", action="store_true", help="hold the results to the goals")
    parser.add_argument("--bench", type=Path, help="directory of another benchmark with run.py and rough.py")
    given = parser.parse_args()
    if given.bench:
        elsewhere(given.bench.resolve(), given)
        return 0
    return _own(given)


def _own(given: argparse.Namespace) -> int:
    began = time.monotonic()
    cells = [cell for cell in (rough() if given.rough else grid()) if given.only in cell.name]
    results = simulate(cells, given.reps, given.seed, given.procs)
    print(*rows(results), sep="\n")
    print(f"{len(cells)} cells x {given.reps} in {time.monotonic() - began:.0f} s; {Machine.now()}")
    found = list(rough_goals(results) if given.rough else goals(results))
    print(*found, sep="\n")
    return int(given.check and not all(goal.reached for goal in found))


if __name__ == "__main__":
    sys.exit(main())
