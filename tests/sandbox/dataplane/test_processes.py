"""Hygiene of child programs: ready or a clear error, nothing left behind, whoever dies first."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.processes import LOOPBACK, PORT_RANGE, Program, ProgramError, free_port, is_free, until

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    async def ended() -> bool:
        return not alive(pid)

    await until(ended, 5.0, f"process {pid} ended")


def spawn(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


class Python(Program):
    """A Program that runs Python code and is ready once it has printed something."""

    def __init__(self, code: str, folder: Path) -> None:
        super().__init__("child", [sys.executable, "-c", code], log_file=folder / "child.log")

    async def up(self, timeout: float = 10.0) -> None:
        await self.start(self._printed, timeout)

    async def _printed(self) -> bool:
        return self.log_file.stat().st_size > 0


@pytest.fixture
async def stubborn(tmp_path: Path) -> AsyncIterator[Python]:
    program = Python(STUBBORN, tmp_path)
    await program.up()
    yield program
    await program.kill()


async def test_a_child_that_ignores_sigterm_is_killed(stubborn: Python) -> None:
    pid = stubborn.pid
    await stubborn.stop(grace=0.1)
    assert not stubborn.running
    assert not alive(pid)


async def test_a_killed_child_can_be_started_again(stubborn: Python) -> None:
    first = stubborn.pid
    await stubborn.kill()
    with pytest.raises(ProgramError, match="child does not run"):
        _ = stubborn.pid
    await stubborn.up()
    assert stubborn.pid != first


async def test_a_second_start_is_refused(stubborn: Python) -> None:
    with pytest.raises(ProgramError, match="runs already"):
        await stubborn.up()
    assert stubborn.running


async def test_a_child_that_ends_early_shows_its_log(tmp_path: Path) -> None:
    program = Program("tide", [sys.executable, "-c", "raise SystemExit('no water')"], log_file=tmp_path / "tide.log")

    async def never() -> bool:
        return False

    with pytest.raises(ProgramError, match=r"(?s)tide ended with code 1 before it was ready.*no water"):
        await program.start(never)


async def test_a_child_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    program = Program("child", [sys.executable, "-c", STUBBORN], log_file=tmp_path / "log")
    started: list[int] = []

    async def never() -> bool:
        started.append(program.pid)
        return False

    with pytest.raises(ProgramError, match=r"not ready after 0\.1 s"):
        await program.start(never, timeout=0.1)
    assert not alive(started[0])


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    program = Program("child", [sys.executable, "-c", STUBBORN], log_file=tmp_path / "log")

    async def never() -> bool:
        return False

    start = asyncio.create_task(program.start(never))
    await asyncio.sleep(0)
    pid = program.pid
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not alive(pid)


async def test_what_a_child_has_started_goes_with_it(tmp_path: Path) -> None:
    code = f"""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.DEVNULL)
        print(child.pid, flush=True)
        time.sleep(60)
    """
    program = Python(textwrap.dedent(code), tmp_path)
    await program.up()
    grandchild = int(program.log_file.read_text())
    await program.stop()
    await gone(grandchild)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
async def test_a_killed_parent_leaves_no_child(tmp_path: Path) -> None:
    code = f"""
        import asyncio, sys
        from pathlib import Path
        from sandbox.processes import Program

        async def main():
            program = Program("child", [sys.executable, "-c", {STUBBORN!r}], log_file=Path({str(tmp_path)!r}, "log"))
            async def ready():
                return program.log_file.stat().st_size > 0
            await program.start(ready)
            print(program.pid, file=sys.stderr, flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
    """
    parent = spawn(textwrap.dedent(code))
    assert parent.stderr is not None
    with parent.stderr as output:
        child = int(await asyncio.to_thread(output.readline))
        assert alive(child)
        parent.send_signal(signal.SIGKILL)
        await asyncio.to_thread(parent.wait)
    await gone(child)


async def test_no_secret_of_ours_is_inherited(tmp_path: Path) -> None:
    os.environ["TIDEGATE_TEST_SECRET"] = "hush"
    try:
        program = Program(
            "env",
            [sys.executable, "-c", "import os, time; print(sorted(os.environ), flush=True); time.sleep(60)"],
            log_file=tmp_path / "log",
            env={"GIVEN": "1"},
        )

        async def printed() -> bool:
            return program.log_file.stat().st_size > 0

        await program.start(printed)
        await program.stop()
    finally:
        del os.environ["TIDEGATE_TEST_SECRET"]
    text = program.log_file.read_text()
    assert "GIVEN" in text
    assert "PATH" in text
    assert "TIDEGATE_TEST_SECRET" not in text


def test_a_port_is_given_away_once() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_a_port_is_none_that_the_kernel_hands_out_by_itself() -> None:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        lowest = min(int(PORT_RANGE.read_text().split()[0]), int(listener.getsockname()[1]))
    assert all(free_port() < lowest for _ in range(50))


def test_a_port_that_somebody_listens_on_is_not_given_away() -> None:
    with socket.socket() as listener:
        port = free_port()
        listener.bind((LOOPBACK, port))
        assert not is_free(port)
    assert is_free(port)


async def test_waiting_for_a_condition_ends_with_its_name() -> None:
    async def refused() -> bool:
        raise ConnectionRefusedError

    with pytest.raises(TimeoutError, match=r"the tide turns: not so after 0\.05 s"):
        await until(refused, 0.05, "the tide turns")
