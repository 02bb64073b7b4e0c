"""The Kubernetes API with its controllers as a program that may be killed and frozen; it writes down every write.

    python -m tests.chaos.api_server --port 8001 --state FILE --journal FILE

Pods are those of `sandbox.kubelet`. A line of the journal is one write, appended at once. What stands at a start is
written first, since a write just before the server was killed may have no line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from sandbox.controllers import Controllers
from sandbox.kubernetes_api import Change, KubernetesApi
from sandbox.kubernetes_api.kinds import DEPLOYMENTS, KINDS, REPLICA_SETS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES, Kind
from sandbox.kubernetes_api.objects import Object, meta

DESTINATION_RULES = next(kind for kind in KINDS if kind.kind == "DestinationRule")
WRITTEN_DOWN = (ROLLOUTS, DEPLOYMENTS, REPLICA_SETS, SERVICES, VIRTUAL_SERVICES, DESTINATION_RULES)
STANDS = "STANDS"  # type of a line that tells what a start found


class Journal:
    """Appends lines to a file, each in one call of the system."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, change: Change) -> None:
        """Write down one write."""
        if change.kind in WRITTEN_DOWN:
            self._append(change.type, change.kind, change.object)

    def begin(self, api: KubernetesApi) -> None:
        """Write down what stands."""
        for kind in WRITTEN_DOWN:
            for found in api.store.select(kind):
                self._append(STANDS, kind, found)

    def _append(self, what: str, kind: Kind, found: Object) -> None:
        metadata = {key: value for key, value in meta(found).items() if key != "managedFields"}
        line = {"at": time.time(), "type": what, "kind": kind.kind, "object": {**found, "metadata": metadata}}
        os.write(self._file, (json.dumps(line, separators=(",", ":")) + "\n").encode())


async def serve(port: int, state: Path, journal: Path) -> None:
    """Serve on 127.0.0.1 until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    api = KubernetesApi(port=port, state_file=state)
    written = Journal(journal)
    written.begin(api)
    api.store.subscribe(written.note)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(api.stop)
        await api.start()
        await stack.enter_async_context(Controllers(api.cluster, simulator=None))
        await stop.wait()


def main(argv: list[str]) -> None:
    """Entry point of `python -m tests.chaos.api_server`."""
    parser = argparse.ArgumentParser(prog="tests.chaos.api_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="file in which the objects survive")
    parser.add_argument("--journal", type=Path, required=True, help="file to which every write is appended")
    options = parser.parse_args(argv)
    asyncio.run(serve(options.port, options.state, options.journal))


if __name__ == "__main__":
    main(sys.argv[1:])
