"""A runtime of the SDK as a process has it, and what Prometheus reads of it."""

from __future__ import annotations

import re

import httpx

from sandbox.processes import LOOPBACK, free_port
from workers.process import open_runtime
from workers.settings import Settings

_SAMPLE = re.compile(r"^(tidegate_[a-z_]+)(?:{(.*)})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_OF_THE_SDK = ("namespace", "task_queue", "workflow_type", "activity_type")


class Metering:
    """`meter` and `runtime` are to be counted with; `samples` are our own."""

    def __init__(self) -> None:
        address = f"{LOOPBACK}:{free_port()}"
        self._url = f"http://{address}/metrics"
        self.runtime = open_runtime(Settings(telemetry=address))
        self.meter = self.runtime.metric_meter

    def samples(self, *prefixes: str) -> dict[str, float]:
        """Values by name and label values, in the order of the labels' names; buckets and sums are left out."""
        found: dict[str, float] = {}
        for name, labels, value in _SAMPLE.findall(httpx.get(self._url).text):
            if name.startswith(prefixes) and not name.endswith(("_bucket", "_sum")):
                own = [text for label, text in sorted(_LABEL.findall(labels)) if label not in _OF_THE_SDK]
                key = " ".join((name, *own))
                found[key] = found.get(key, 0) + float(value)
        return found

    def sum_of(self, histogram: str) -> float:
        """Sum of all observations."""
        text = httpx.get(self._url).text
        return sum(float(value) for name, _, value in _SAMPLE.findall(text) if name == f"{histogram}_sum")
