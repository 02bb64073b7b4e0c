"""What giants that are refused cost the others: a release alone and beside them, and the refusals themselves.

`python -m benchmarks.giants [-n 9] [--times 5] [-o json]`. A watcher, workers and the embedded Kubernetes API run in
this process against a real Temporal server. The release is the first of a Rollout, from the object to Healthy; the
giants (10,000 steps, 2,000 containers, 400 levels) are created just before it. What large objects within the limits
cost, `benchmarks.large_objects` measures.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from temporalio.client import Client

from activities.kubernetes.client import ROLLOUTS
from benchmarks.machine import Machine
from sandbox.temporal import TemporalServer
from tests.unit.manifests.test_limits import GIANTS
from tests.workers.test_watcher_limits import giant
from tests.workers.watched import NAMESPACE, Place, open_place
from tidegate.client import data_converter
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import ManifestError

KINDS = ("steps", "containers", "nested")
MOST_DELAY = 2.0  # times the release alone


class Figures(BaseModel):
    """Seconds: a release alone and beside giants, the median of each, and the processor time of one refusal by kind."""

    model_config = ConfigDict(frozen=True)

    alone: float
    beside: float
    rejections: dict[str, float]
    machine: Machine

    @property
    def delay(self) -> float:
        """How many times longer a release takes beside giants."""
        return self.beside / self.alone


def rejection(kind: str) -> float:
    """Processor time of refusing one giant, in seconds."""
    begin = time.process_time()
    try:
        from_objects([GIANTS[kind][0]])
    except ManifestError:
        return time.process_time() - begin
    raise RuntimeError(f"{kind}: it was not refused")


async def released(temporal: Client, giants: int) -> float:
    """Seconds from the object to Healthy, `giants` objects having been created just before it."""
    with tempfile.TemporaryDirectory() as home:
        async with open_place(temporal, Path(home)) as place, place.watching():
            for number in range(giants):
                await _create(place, KINDS[number % len(KINDS)], number)
            begin = time.monotonic()
            await place.apply()
            await place.healthy()
            return time.monotonic() - begin


async def _create(place: Place, kind: str, number: int) -> None:
    body = giant(kind)
    body["metadata"]["name"] += f"-{number}"
    await place.kube.create(ROLLOUTS.path(NAMESPACE), body)


async def measure(giants: int, times: int) -> Figures:
    """The figures; alone and beside others take turns, so that the machine's other work is shared."""
    with tempfile.TemporaryDirectory() as folder:
        server = TemporalServer(Path(folder))
        await server.start()
        try:
            temporal = await Client.connect(server.address, data_converter=data_converter())
            await released(temporal, 0)  # imports and caches
            pairs = [(await released(temporal, 0), await released(temporal, giants)) for _ in range(times)]
        finally:
            await server.stop()
    alone, beside = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Figures(
        alone=alone,
        beside=beside,
        rejections={kind: rejection(kind) for kind in GIANTS},
        machine=Machine.now(),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=9, help="giants beside a release")
    parser.add_argument("--times", type=int, default=5, help="measurements of each kind, of which the median counts")
    parser.add_argument("-o", choices=["text", "json"], default="text")
    options = parser.parse_args()
    figures = asyncio.run(measure(options.n, options.times))
    if options.o == "json":
        print(figures.model_dump_json(indent=2))
        return
    print(f"a release alone           {figures.alone:6.2f} s")
    print(f"beside {options.n:3} giants         {figures.beside:6.2f} s   {figures.delay:.2f} x (goal {MOST_DELAY:g})")
    for kind, seconds in figures.rejections.items():
        print(f"refusal of {kind:14} {1000 * seconds:6.1f} ms of processor")
    print(figures.machine)


if __name__ == "__main__":
    main()
