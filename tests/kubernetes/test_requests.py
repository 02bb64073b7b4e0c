"""What Tidegate asks of the API server, by the server's own audit log: no more than it has the right to, and when."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sandbox.machine import patience
from tests.kubernetes import given
from tests.kubernetes.apps import App, version
from tests.kubernetes.hands import Kubectl
from tests.kubernetes.installed import Installed
from tests.kubernetes.plane import Plane
from tests.kubernetes.roles import ACCOUNTS

pytestmark = pytest.mark.asyncio(loop_scope="session")

STANDS_FOR_SECONDS = 20
QUIET_FOR_SECONDS = 3


class Audit:
    """The entries of Tidegate's accounts that are written from now on."""

    def __init__(self, path: Path, users: set[str]) -> None:
        self._path = path
        self._users = users
        self._from = path.stat().st_size

    def entries(self) -> list[dict[str, Any]]:
        """All so far; a line that is being written is left for later."""
        with self._path.open("rb") as log:
            log.seek(self._from)
            lines = [line for line in log if line.endswith(b"\n")]
        found = [json.loads(line) for line in lines]
        return [each for each in found if each["user"]["username"] in self._users]


@pytest.fixture
def audit(tidegate: Installed) -> Audit:
    users = {tidegate.roles.user(account) for account in ACCOUNTS}
    return Audit(given.path(given.AUDIT_LOG, "a file: the API server's audit log"), users)


async def test_a_standing_pause_asks_nothing(app: App, plane: Plane, audit: Audit) -> None:
    # Deadlines of others may pass meanwhile, such as those on the pods of an older version.
    await plane.kubectl("delete", "rollouts.argoproj.io", "--all", "-n", app.namespace)
    await app.create()
    await app.healthy()
    await Kubectl(plane).set_image(*app.where, version(7))
    await app.paused_at(1)
    await app.weight_is(20)
    assert audit.entries(), "the log is not of this API server"
    asked = await asked_meanwhile(audit)
    if asked and all(verb == "list" for verb, _ in asked):  # watches begin anew with a list, minutes apart
        asked = await asked_meanwhile(audit)
    assert not asked, f"within {STANDS_FOR_SECONDS} s: {asked}"


async def asked_meanwhile(audit: Audit) -> Counter[tuple[str, str]]:
    """What is asked for a while when all is quiet, by verb and path; watches apart."""
    before = await quiet(audit)
    await asyncio.sleep(STANDS_FOR_SECONDS)
    asked = Counter((each["verb"], each["requestURI"].partition("?")[0]) for each in audit.entries()[before:])
    return Counter({key: count for key, count in asked.items() if key[0] != "watch"})


async def quiet(audit: Audit) -> int:
    """How many entries there are when nothing is written any more: what others left to be done is done."""
    async with asyncio.timeout(patience(90)):
        while True:
            before = len(audit.entries())
            await asyncio.sleep(QUIET_FOR_SECONDS)
            if len(audit.entries()) == before:
                return before


async def test_no_right_is_missing(app: App, plane: Plane, audit: Audit) -> None:
    await app.create()
    await app.healthy()
    kubectl = Kubectl(plane)
    await kubectl.set_image(*app.where, version(7))
    await app.paused_at(1)
    await kubectl.promote_full(*app.where)
    await app.healthy()
    denied = [
        (each["verb"], each["requestURI"])
        for each in audit.entries()
        if each.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
    ]
    assert denied == []
