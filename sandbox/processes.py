"""Child programs of the embedded world: each in its own session, awaited until ready, stopped without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import aiohttp
import structlog

from sandbox.machine import patience

log = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.02
TAIL_BYTES = 4000
LOWEST_PORT = 10000
PORT_ATTEMPTS = 1000
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LAUNCHER = Path(__file__).with_name("launcher.py")

Ready = Callable[[], Awaitable[bool]]

_given: set[int] = set()


class ProgramError(Exception):
    """A program did not come up, or ended when it should not have. The message holds the end of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on and that this process has not given away before.

    It lies below the ports that the kernel hands out by itself: whoever listens on port 0, or connects to somebody,
    between this call and the start of the program cannot be given it. Another process that asks for it by number may
    still take it; the program that then fails to bind says so in its log.

    Raises OSError when no port is left.
    """
    below = _lowest_ephemeral_port()
    for _ in range(PORT_ATTEMPTS):
        port = random.randrange(LOWEST_PORT, below)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise OSError(errno.EADDRINUSE, f"no free port of {LOOPBACK} found below those that the kernel hands out")


def is_free(port: int) -> bool:
    """Whether nobody listens on this TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _lowest_ephemeral_port() -> int:
    """Where the range of the kernel's own choice begins; IANA's where the kernel does not say (RFC 6335, section 6)."""
    with contextlib.suppress(OSError):
        return max(int(PORT_RANGE.read_text().split()[0]), LOWEST_PORT + PORT_ATTEMPTS)
    return 49152


async def until(condition: Ready, timeout: float, what: str) -> None:
    """Poll `condition` until it is true. Raises TimeoutError naming `what` after `timeout` seconds.

    The seconds are those of an idle machine: a slower one has as much longer. The condition may raise OSError or
    aiohttp.ClientError (connection refused and the like): that means "not yet".
    """
    began, limit = time.monotonic(), timeout
    while True:
        with contextlib.suppress(OSError, aiohttp.ClientError):
            if await condition():
                return
        if time.monotonic() - began >= limit:
            limit = max(limit, patience(timeout))  # looked at only here: nothing else has to know how slow it is
            if time.monotonic() - began >= limit:
                slow = f", which this machine makes {limit:.3g} s" if limit > timeout else ""
                raise TimeoutError(f"{what}: not so after {timeout:g} s{slow}")
        await asyncio.sleep(POLL_SECONDS)


class Program:
    """One child program with its log file. It may be started again after `stop` or `kill`, with the same arguments.

    On Linux the kernel kills the child when the thread that started it ends, so start it from the thread that lives
    longest (the main one). Elsewhere a killed parent leaves the child behind.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """`env` is added to PATH, LANG and TMPDIR of this process; nothing else is inherited, so no secret leaks."""
        self.name = name
        self.argv = tuple(argv)
        self.log_file = log_file
        self.starts = 0  # how many times it was started
        self._env = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ} | dict(env or {})
        self._cwd = cwd
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the child has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running child. Raises ProgramError when there is none."""
        if self._child is None or self._child.poll() is not None:
            raise ProgramError(f"{self.name} does not run")
        return self._child.pid

    async def start(self, ready: Ready, timeout: float = 10.0) -> None:
        """Start the child and wait until `ready` is true.

        Raises ProgramError with the log's tail when it ends first or is not ready after `timeout` seconds; nothing
        of it is left then.
        """
        if self.running:
            raise ProgramError(f"{self.name} runs already (pid {self.pid})")
        started = time.monotonic()
        self._spawn()
        try:
            await self._await_ready(ready, timeout)
        except BaseException:
            self._reap()
            raise
        log.debug("program ready", program=self.name, pid=self.pid, seconds=round(time.monotonic() - started, 3))

    async def stop(self, grace: float = 5.0) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds; nothing happens when it does not run."""
        await self._end(signal.SIGTERM, grace)

    async def kill(self) -> None:
        """SIGKILL at once: the child gets no chance to tidy up (a crash, as far as others can tell)."""
        await self._end(signal.SIGKILL, 0.0)

    async def _await_ready(self, ready: Ready, timeout: float) -> None:
        async def ready_or_ended() -> bool:
            return not self.running or await ready()

        try:
            await until(ready_or_ended, timeout, f"{self.name} is ready")
        except TimeoutError as error:
            raise ProgramError(f"{self.name} was not ready after {timeout:g} s{self._tail()}") from error
        if self._child is not None and self._child.returncode is not None:
            code = self._child.returncode
            raise ProgramError(f"{self.name} ended with code {code} before it was ready{self._tail()}")

    def send(self, what: signal.Signals) -> None:
        """Send a signal to the running child. Raises ProgramError when there is none."""
        os.kill(self.pid, what)

    async def _end(self, how: signal.Signals, grace: float) -> None:
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(how)
            with contextlib.suppress(TimeoutError):
                await until(self._ended, grace, f"{self.name} ended")
        self._reap()

    async def _ended(self) -> bool:
        return not self.running

    def _reap(self) -> None:
        """Kill what is left of the child's session (itself, and what it may have started) and collect it."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def _spawn(self) -> None:
        self.starts += 1
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-ISs", str(LAUNCHER), str(os.getpid()), *self.argv]
        with self.log_file.open("ab") as output:
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )

    def _tail(self) -> str:
        try:
            text = self.log_file.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
        except OSError as error:
            return f" (its log cannot be read: {error})"
        return f"; the end of {self.log_file}:\n{text}" if text else f" ({self.log_file} is empty)"
