"""`release` of the client, and the example of its page, against a real Temporal server and a scripted release."""

from __future__ import annotations

import asyncio
import re
import runpy
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.processes import until
from tests.workers.conftest import Answering
from tidegate.client import (
    Released,
    ReleaseOutcome,
    RolloutRef,
    StillRunningError,
    TidegateClient,
    TidegateError,
    release,
    release_async,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "client.md"
CHECKOUT = RolloutRef("payments", "checkout")
IMAGE = {"checkout": "registry.internal/payments/checkout:1.1.0"}


@pytest.fixture
def manifests(tidegate: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `checkout`, in the working directory of a process that is connected to the server of these tests."""
    shutil.copytree(ROOT / "examples" / "checkout" / "corrected", tmp_path / "checkout")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEGATE_NAMESPACE")
    return tmp_path / "checkout"


async def while_running(client: TidegateClient, work: Callable[[], Any], then: str) -> Any:
    """The answer of a call in a thread; as soon as its release is under way, an operator does something with it."""
    running = asyncio.create_task(asyncio.to_thread(work))

    async def started() -> bool:
        try:
            return (await client.status(CHECKOUT)).finished_at is None
        except TidegateError:
            return False

    await until(started, 20, "a release is under way")
    await getattr(client, then)(CHECKOUT, by="ana")
    return await running


async def test_the_example_of_the_page_runs(
    client: TidegateClient, answering: Answering, manifests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert manifests.name == "checkout"
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 10

    file = manifests.parent / "example.py"
    file.write_text(example)

    def run() -> object:
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(file))
        return ended.value.code

    async with answering():
        assert await while_running(client, run, "promote") == 0
    assert capsys.readouterr().out.startswith("promoted\n")


async def test_an_abort_is_a_result_and_no_error(client: TidegateClient, answering: Answering, manifests: Path) -> None:
    async with answering():
        found: Released = await while_running(client, lambda: release([manifests], IMAGE), "abort")
    assert (found.outcome, found.promoted) == (ReleaseOutcome.ROLLED_BACK, False)
    assert found.images == IMAGE
    assert found.status is not None


async def test_what_only_a_person_can_end_is_a_result(
    client: TidegateClient, answering: Answering, manifests: Path
) -> None:
    async with answering():
        found = await while_running(client, lambda: release([manifests], IMAGE), "pause")
        assert (found.outcome, found.revision) == (ReleaseOutcome.HELD, 0)
        assert "a person" in found.reason
        await client.abort(CHECKOUT)


async def test_a_wait_that_is_over_is_an_error_and_the_release_goes_on(
    client: TidegateClient, answering: Answering, manifests: Path
) -> None:
    async with answering():
        with pytest.raises(StillRunningError):
            await release_async([manifests], IMAGE, timeout=timedelta(seconds=0.5))
        assert (await client.status(CHECKOUT)).finished_at is None
        await client.abort(CHECKOUT)
