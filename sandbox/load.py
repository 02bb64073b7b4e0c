"""The load generator: HTTP requests at a constant rate, whatever the answers; a program of its own.

    python -m sandbox.load --url http://127.0.0.1:8080 --host checkout --rate 300 [--summary FILE]

It runs until SIGINT or SIGTERM and prints nothing. SIGUSR1 writes the summary at once, the end writes it in any case.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvloop

REQUEST_SECONDS = 10.0


@dataclass
class Summary:
    """What was sent and what came back. `sent` = answered + transport errors + `pending`; `skipped` never went out."""

    seconds: float = 0.0
    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    transport_errors: Counter[str] = field(default_factory=Counter)
    pending: int = 0
    skipped: int = 0

    def write(self, file: Path) -> None:
        """Write it as JSON; a reader never sees half of it."""
        document = {
            "seconds": round(self.seconds, 3),
            "sent": self.sent,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "transport_errors": dict(self.transport_errors),
            "pending": self.pending,
            "skipped": self.skipped,
        }
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps(document))
        os.replace(temporary, file)


class Load:
    """An open loop: requests go out on time even when earlier ones hang, up to `concurrency` under way.

    Beyond that requests are skipped and counted, so that a service that hangs shows up as such and not as memory.
    """

    def __init__(self, url: str, host: str, rate: float, *, concurrency: int = 512) -> None:
        """`rate` is requests for each second, `host` the Host header that they carry."""
        self.summary = Summary()
        self._url = url
        self._host = host
        self._rate = rate
        self._concurrency = concurrency
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set, then wait for the answers that are still due."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        connector = aiohttp.TCPConnector(limit=self._concurrency)
        headers = {"Host": self._host}
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=headers) as session:
            began = time.monotonic()
            due = 0
            while not stop.is_set():
                self._send(session)
                due += 1
                self.summary.seconds = time.monotonic() - began
                await asyncio.sleep(max(0.0, due / self._rate - self.summary.seconds))
            await asyncio.gather(*self._under_way)

    def _send(self, session: aiohttp.ClientSession) -> None:
        if len(self._under_way) >= self._concurrency:
            self.summary.skipped += 1
            return
        task = asyncio.create_task(self._request(session))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _request(self, session: aiohttp.ClientSession) -> None:
        summary = self.summary
        summary.sent += 1
        summary.pending += 1
        try:
            async with session.get(self._url) as answer:
                await answer.read()
                summary.statuses[answer.status] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            summary.transport_errors[type(error).__name__] += 1
        finally:
            summary.pending -= 1


async def serve(url: str, host: str, rate: float, summary_file: Path | None) -> None:
    """Run until SIGINT or SIGTERM."""
    load = Load(url, host, rate)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    if summary_file is not None:
        loop.add_signal_handler(signal.SIGUSR1, load.summary.write, summary_file)
    await load.run(stop)
    if summary_file is not None:
        load.summary.write(summary_file)


def main(argv: list[str]) -> None:
    """Entry point of `python -m sandbox.load`."""
    parser = argparse.ArgumentParser(prog="sandbox.load", description="Send HTTP requests at a constant rate.")
    parser.add_argument("--url", required=True, help="where to send them, such as http://127.0.0.1:8080/")
    parser.add_argument("--host", required=True, help="the Host header: the service that is asked for")
    parser.add_argument("--rate", type=float, default=300.0, help="requests for each second (default: %(default)s)")
    parser.add_argument("--summary", type=Path, help="JSON file for what was sent and what came back")
    options = parser.parse_args(argv)
    if options.rate <= 0:
        parser.error(f"--rate: {options.rate:g} is not above 0")
    uvloop.run(serve(options.url, options.host, options.rate, options.summary))


if __name__ == "__main__":
    main(sys.argv[1:])
