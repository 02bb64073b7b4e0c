"""Experiment objects on a real control plane, and their status beside the one that Argo's controller writes."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from aiohttp import web

from activities.kubernetes.client import ANALYSIS_TEMPLATES, EXPERIMENTS, REPLICA_SETS, SERVICES, Object
from sandbox.temporal import TemporalServer
from tests.kubernetes.apps import CONTAINER
from tests.kubernetes.conftest import Spaces
from tests.kubernetes.hands import Plugin
from tests.kubernetes.plane import Plane
from tests.kubernetes.roles import Roles
from tests.kubernetes.test_handover import Hands

pytestmark = pytest.mark.asyncio(loop_scope="session")

_numbers = itertools.count(1)
ENDED = {"Successful", "Failed", "Error", "Inconclusive"}
TERMINATE = '{"spec":{"terminate":true}}'
GO_ON = '{"spec":{"terminate":null}}'


@pytest_asyncio.fixture(loop_scope="session")
async def measured() -> AsyncIterator[str]:
    """Address of a server that says how many errors there were."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"errors": int(request.match_info["errors"])})

    server = web.Application()
    server.router.add_get("/{errors}", answer)
    runner = web.AppRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


class Trial:
    """Experiments in one namespace, under whichever controller is at work there."""

    def __init__(self, plane: Plane, namespace: str) -> None:
        self._plane = plane
        self._namespace = namespace
        self.analysis = {"templateName": f"errors-{next(_numbers)}"}

    async def prepare(self, address: str) -> None:
        """Make an analysis template with the number of errors as an argument."""
        provider = {"web": {"url": address + "{{args.errors}}", "jsonPath": "{$.errors}"}}
        metric = {"name": "errors", "provider": provider, "successCondition": "result == 0"}
        body = {
            "apiVersion": ANALYSIS_TEMPLATES.api_version,
            "kind": ANALYSIS_TEMPLATES.kind,
            "metadata": {"name": self.analysis["templateName"], "namespace": self._namespace},
            "spec": {"args": [{"name": "errors"}], "metrics": [metric]},
        }
        await self._plane.create([body])

    def analyses(self, errors: int, *, required: bool) -> list[Object]:
        """One analysis that sees so many errors."""
        args = [{"name": "errors", "value": str(errors)}]
        return [{"name": "x", **self.analysis, "args": args, "requiredForCompletion": required}]

    async def run(self, spec: Object, *, terminated: bool = False) -> tuple[Object, Object]:
        """The status once all pods are there, and once there is none; without times, names and hashes."""
        name = f"exp{next(_numbers)}"
        await self._plane.create([experiment(name, self._namespace, spec)])
        running = await self.until(name, lambda status: bool(status.get("availableAt")))
        if terminated:
            patch = ("patch", "experiments.argoproj.io", name, "-n", self._namespace, "--type=merge", "-p", TERMINATE)
            await self._plane.kubectl(*patch)
        ended = await self.until(name, _is_over)
        await self._plane.gone(SERVICES, self._namespace, f"{name}-a")
        assert {f"{name}-a", f"{name}-b"} <= await self._plane.names(REPLICA_SETS, self._namespace)
        await self._plane.kubectl("delete", "experiments.argoproj.io", name, "-n", self._namespace)
        for each in ("a", "b"):
            await self._plane.gone(REPLICA_SETS, self._namespace, f"{name}-{each}")
        return comparable(running, name), comparable(ended, name)

    async def until(self, name: str, holds: Callable[[Object], bool]) -> Object:
        """The status as soon as that holds for it."""
        found = await self._plane.wait(
            EXPERIMENTS, self._namespace, name, lambda each: holds(each.get("status") or {}), 60
        )
        return dict(found["status"])


def experiment(name: str, namespace: str, spec: Object) -> Object:
    """An Experiment of two templates, one of them with a Service."""
    return {
        "apiVersion": EXPERIMENTS.api_version,
        "kind": EXPERIMENTS.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "templates": [template(name, "a", replicas=2, service={}), template(name, "b")],
            "scaleDownDelaySeconds": 1,
            **spec,
        },
    }


def template(app: str, name: str, **fields: object) -> Object:
    labels = {"app": app, "side": name}
    spec = {"containers": [copy.deepcopy(CONTAINER)]}
    return {
        "name": name,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": spec},
        **fields,
    }


def comparable(status: Object, name: str) -> Object:
    """A status without what is another one each time.

    Argo's controller at times keeps the name of a Service that it has deleted, or makes an AnalysisRun twice.
    """
    text = re.sub(rf"{name}-x\.[0-9]+", f"{name}-x", json.dumps(status))
    found: Object = json.loads(text.replace(name, "EXP"))
    ended = found.get("phase") in ENDED
    found.pop("availableAt", None)
    for each in found.get("templateStatuses", []):
        each.pop("lastTransitionTime", None)
        for field in ("podTemplateHash", "serviceName") if ended else ("podTemplateHash",):
            each.pop(field, None)
    for each in found.get("conditions", []):
        del each["lastUpdateTime"], each["lastTransitionTime"]
    return found


def _is_over(status: Object) -> bool:
    templates = status.get("templateStatuses") or []
    return status.get("phase") in ENDED and not any(each["replicas"] for each in templates)


@pytest_asyncio.fixture(loop_scope="session")
async def hands(plane: Plane, temporal: TemporalServer, roles: Roles, spaces: Spaces) -> AsyncIterator[Hands]:
    yield Hands(plane, temporal, roles, spaces)
    await plane.kubectl("delete", "experiments.argoproj.io", "--all", "-n", spaces.handover)


async def test_the_status_is_the_one_that_argos_controller_writes(
    hands: Hands, plane: Plane, spaces: Spaces, measured: str
) -> None:
    trial = Trial(plane, spaces.handover)
    await trial.prepare(measured)
    good, bad = trial.analyses(0, required=True), trial.analyses(7, required=False)
    cases: list[tuple[Object, bool]] = [
        ({"duration": "5s"}, False),
        ({}, True),
        ({"analyses": good}, False),
        ({"duration": "1h", "analyses": bad}, False),
    ]
    async with hands.argo():
        theirs = [await trial.run(spec, terminated=terminated) for spec, terminated in cases]
    async with hands.tidegate():
        ours = [await trial.run(spec, terminated=terminated) for spec, terminated in cases]
    shared = [{key: each[key] for key in ("phase", "templateStatuses")} for each, _ in ours[:2]]
    assert shared == [{key: each[key] for key in ("phase", "templateStatuses")} for each, _ in theirs[:2]]
    *succeeded, failed = [ended for _, ended in ours]
    assert succeeded == [ended for _, ended in theirs[:-1]]
    # Of one that failed theirs goes on to say "is running".
    assert {**failed, "conditions": []} == {**theirs[-1][1], "conditions": []}
    assert "is running" not in json.dumps(failed["conditions"])
    assert failed["phase"] == "Failed"


async def test_argos_plugin_terminates_one_and_tries_it_again(
    hands: Hands, plane: Plane, spaces: Spaces, plugin: Plugin
) -> None:
    trial, name, where = Trial(plane, spaces.handover), f"exp{next(_numbers)}", ("-n", spaces.handover)
    await plane.create([experiment(name, spaces.handover, {"duration": "1h"})])
    async with hands.tidegate():
        await trial.until(name, lambda status: status.get("phase") == "Running")
        await plugin.terminate_experiment(spaces.handover, name)
        await trial.until(name, _is_over)
        await plane.kubectl("patch", "experiments.argoproj.io", name, *where, "--type=merge", "-p", GO_ON)
        await plugin.retry_experiment(spaces.handover, name)
        again = await trial.until(name, lambda status: status.get("phase") == "Running")
        assert [each["status"] for each in again["templateStatuses"]] == ["Running", "Running"]
        await plane.kubectl("delete", "experiments.argoproj.io", name, *where)
        await plane.gone(REPLICA_SETS, spaces.handover, f"{name}-a")
