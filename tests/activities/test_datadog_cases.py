"""Datadog parity: the real provider on the wire against what Argo Rollouts did with the same input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.exceptions import ApplicationError

from activities.datadog import Datadog
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tidegate.analysis.reading import Reading
from tidegate.contract import MeasureRequest

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
NOW = 1598867910
ANSWER = {"series": [], "data": {"attributes": {"columns": []}}}
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"the parity cases are not at {CASES}")


def cases(family: str) -> list[Any]:
    file = CASES / f"{family}.yaml"
    found = yaml.safe_load(file.read_text())["cases"] if file.is_file() else []
    return [
        pytest.param(case["input"], case["expected"], id=case["id"])
        for case in found
        if not has_null_point(case["input"])
    ]


def has_null_point(given: dict[str, Any]) -> bool:
    """Whether Tidegate's rule differs: Argo reads a null as 0, which would let missing data pass for a good reading."""
    series = (given.get("body") or {}).get("series") or []
    return any(None in point for each in series for point in each.get("pointlist") or [])


async def measure(server: Script, given: dict[str, Any]) -> Reading:
    """Measure the metric of a case; `namespace/name` of its secrets is the path in the store."""

    def placed(values: dict[str, str]) -> dict[str, str]:
        return {key: value.replace("$SERVER", server.url) for key, value in values.items()}

    given_none = "secrets" not in given and "env" not in given
    standard = {"DD_API_KEY": "ak", "DD_APP_KEY": "pk", "DD_ADDRESS": server.url}
    environment = standard if given_none else placed(given.get("env") or {})
    secrets = {f"secret/{path}": placed(content) for path, content in (given.get("secrets") or {}).items()}
    async with http_client() as http:
        provider = Datadog(MemorySecrets(secrets), http, environment=environment, clock=lambda: NOW)
        request = MeasureRequest(namespace="app-ns", run="run", metrics=(given["metric"],))
        [reading] = await run_activity(provider.measure, request)
    return reading


@pytest.mark.parametrize(("given", "expected"), cases("datadog_config"))
async def test_config(given: dict[str, Any], expected: dict[str, Any]) -> None:
    async with Script().then(200, ANSWER) as server:
        reading = await measure(server, given)
        assert reading.error == expected.get("error", "")
        assert bool(server.seen) == expected["valid"]


@pytest.mark.parametrize(("given", "expected"), cases("datadog_request"))
async def test_request(given: dict[str, Any], expected: dict[str, Any]) -> None:
    async with Script().then(200, ANSWER) as server:
        await measure(server, given)
        [seen] = server.seen
    wanted = expected["request"]
    assert (seen.method, seen.path) == (wanted["method"], wanted["path"])
    for name in ("DD-API-KEY", "DD-APPLICATION-KEY"):
        assert seen.headers[name] == wanted["headers"][name]
    if "query" in wanted:
        assert dict(seen.query) == {name: str(value) for name, value in wanted["query"].items()}
    if "body" in wanted:
        assert seen.headers["Content-Type"] == wanted["headers"]["Content-Type"]
        attributes = seen.json["data"]["attributes"]
        attributes["queries"].sort(key=lambda query: query["name"])
        # Beside Argo's formula stand its queries by themselves, to tell "no errors" from "no data".
        attributes["formulas"] = attributes["formulas"][:1]
        assert seen.json | {"data": {"type": "scalar_request", "attributes": attributes}} == wanted["body"]


@pytest.mark.parametrize(("given", "expected"), cases("datadog_response"))
async def test_response(given: dict[str, Any], expected: dict[str, Any]) -> None:
    raw = given["raw_body"].encode() if "raw_body" in given else go_json(given["body"])
    async with Script().then(given["status"], raw) as server:
        if given["status"] == 429:
            with pytest.raises(ApplicationError, match="rate limit"):  # never an Error measurement
                await measure(server, given)
            return
        reading = await measure(server, given)
    message = expected.get("message", "")
    if "no data returned" in message:
        assert reading.no_data
        assert not reading.error
    elif expected["phase"] == "Error":
        assert reading.error == message or reading.error.startswith(expected.get("message_prefix") or "\0")
    else:
        assert reading.error == ""
        assert reading.value == expected["value"]
        check_metadata(reading.metadata, expected.get("metadata") or {})


def go_json(body: Any) -> bytes:
    """JSON as Go writes it: sorted keys, no spaces."""
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def check_metadata(actual: dict[str, str], expected: dict[str, Any]) -> None:
    read = {key: json.loads(value) if key == "groups" else value for key, value in actual.items()}
    assert read == expected
