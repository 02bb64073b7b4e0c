"""What an installation costs: packages, MiB on disk, and the time that the import of `TidegateClient` takes.

`python -m benchmarks.distribution [--source .] [--extra worker ...] [--imports 5]`. Each row is `pip install` of the
source with one extra (the first row: with none) into an empty environment without pip. Versions are those of
requirements.lock. MiB are what site-packages takes on disk, with the byte code that pip writes. The time is the median
of several `python -X importtime` in that environment; on a busy machine the least is what compares.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.machine import Machine

ROOT: Final = Path(__file__).resolve().parent.parent
IMPORTED: Final = "tidegate.client.client"  # of `TidegateClient`; the package itself imports nothing
MIB: Final = 1024 * 1024
BLOCK: Final = 512  # the unit of st_blocks


def constraints(lock: Path) -> str:
    """Return the pins of a lock without their hashes, as `pip install --constraint` reads them."""
    return "\n".join(re.findall(r"^[a-zA-Z0-9._-]+==[^\\\n]+", lock.read_text("utf-8"), re.MULTILINE)) + "\n"


def install(source: Path, extra: str, folder: Path) -> Path:
    """Install `source` into a new environment in `folder`; returns the environment's Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pins = folder / "constraints.txt"
    pins.write_text(constraints(source / "requirements.lock"), "utf-8")
    asked = f"{source}[{extra}]" if extra else str(source)
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--constraint", str(pins)]
    subprocess.run([*command, "--disable-pip-version-check", asked], check=True)
    return python


def size(folder: Path) -> tuple[int, float]:
    """Return the number of installed packages and the MiB that a site-packages takes on disk, as `du` counts."""
    blocks = sum(file.lstat().st_blocks for file in (folder, *folder.rglob("*")))
    return len(list(folder.glob("*.dist-info"))), blocks * BLOCK / MIB


def import_milliseconds(python: Path, times: int) -> tuple[float, float]:
    """Return the median and the least of what `-X importtime` says of the whole import."""
    taken = [_import_milliseconds(python) for _ in range(times)]
    return statistics.median(taken), min(taken)


def _import_milliseconds(python: Path) -> float:
    command = [str(python), "-X", "importtime", "-c", f"import {IMPORTED}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=python.parent).stderr
    row = re.search(rf"\|\s*(\d+) \| *{re.escape(IMPORTED)}$", said, re.MULTILINE)
    if row is None:
        raise ValueError(f"-X importtime does not speak of {IMPORTED}: {said[-200:]}")
    return int(row[1]) / 1_000


def rows(source: Path, extras: Sequence[str], imports: int) -> Table:
    """Measure one environment after the other."""
    table = Table("installed", "packages", "MiB", f"import {IMPORTED}: median, least ms")
    for extra in ("", *extras):
        with tempfile.TemporaryDirectory() as folder:
            python = install(source, extra, Path(folder))
            [packages] = Path(folder).glob("lib/python*/site-packages")
            count, mib = size(packages)
            median, least = import_milliseconds(python, imports)
        name = f"tidegate\\[{extra}]" if extra else "tidegate"
        table.add_row(name, str(count), f"{mib:.0f}", f"{median:.0f}, {least:.0f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=ROOT, help="the folder of pyproject.toml")
    parser.add_argument("--extra", action="append", default=[], help="measure this extra as well; may be repeated")
    parser.add_argument("--imports", type=int, default=5, help="of how many imports the median is taken")
    asked = parser.parse_args()
    console = Console()
    console.print(rows(asked.source.resolve(), asked.extra, asked.imports))
    console.print(str(Machine.now()))


if __name__ == "__main__":
    main()
