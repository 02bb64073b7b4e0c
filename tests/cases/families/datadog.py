"""datadog_config, datadog_request, datadog_response: the real provider, asked over HTTP, and its readings judged."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from temporalio.exceptions import ApplicationError

from activities.metrics.datadog.provider import DatadogProvider
from activities.secrets.store import NamedSecrets
from tests.activities.outside import MemorySecrets, Script, Seen, http_client, run_activity
from tests.cases.family import Answer, Family, Input, equal
from tests.cases.results import rules_of
from tidegate.analysis.assess import measured
from tidegate.analysis.reading import Reading
from tidegate.analysis.status import Phase
from tidegate.contract import MeasureRequest

NOW: Final = 1598867910
NOTHING: Final = {"series": [], "data": {"attributes": {"columns": []}}}
STANDARD: Final = {"DD_API_KEY": "ak", "DD_APP_KEY": "pk", "DD_ADDRESS": "$SERVER"}
KEYS: Final = ("DD-API-KEY", "DD-APPLICATION-KEY", "Content-Type")


def ask(given: Input, status: int, body: Any) -> tuple[Reading, list[Seen]]:
    """Measure the metric of a case against a server that gives one answer; also what the server saw.

    `namespace/name` of a case's secret is its path among Tidegate's own secrets, and among those of users.
    """

    async def measure() -> tuple[Reading, list[Seen]]:
        async with Script().then(status, body) as server, http_client() as http:

            def placed(values: dict[str, str]) -> dict[str, str]:
                return {key: value.replace("$SERVER", server.url) for key, value in values.items()}

            given_none = "secrets" not in given and "env" not in given
            secrets = {
                f"{tree}/{path}": placed(content)
                for path, content in (given.get("secrets") or {}).items()
                for tree in ("secret", "secret/namespaces")
            }
            provider = DatadogProvider(
                NamedSecrets(MemorySecrets(secrets)),
                http,
                environment=placed(STANDARD if given_none else given.get("env") or {}),
                clock=lambda: NOW,
            )
            request = MeasureRequest(namespace="app-ns", run="run", metrics=(given["metric"],))
            [reading] = await run_activity(provider.measure, request)
            return reading, server.seen

    return asyncio.run(measure())


def config(given: Input) -> Answer:
    reading, seen = ask(given, 200, NOTHING)
    return {"valid": bool(seen), "error": reading.error or None}


def request(given: Input) -> Answer:
    _, [seen] = ask(given, 200, NOTHING)
    sent: dict[str, Any] = {
        "method": seen.method,
        "path": seen.path,
        "headers": {name: seen.headers[name] for name in KEYS if name in seen.headers},
    }
    if seen.method == "GET":
        return {"request": sent | {"query": dict(seen.query)}}
    attributes = seen.json["data"]["attributes"]
    attributes["queries"].sort(key=lambda query: query["name"])
    # Beside Argo's formula stand its queries by themselves, to tell "no errors" from "no data".
    attributes["formulas"] = attributes["formulas"][:1]
    return {"request": sent | {"body": seen.json | {"data": seen.json["data"] | {"attributes": attributes}}}}


def response(given: Input) -> Answer:
    body = given["raw_body"].encode() if "raw_body" in given else _as_go(given["body"])
    try:
        reading, _ = ask(given, given["status"], body)
    except ApplicationError as error:
        return {"raised": str(error.type)}
    measurement = measured(rules_of(given["metric"]), reading)
    groups = measurement.metadata.get("groups")
    return {
        "phase": str(measurement.phase),
        # Argo stores no value with an error; here it is kept, as it says what was wrong.
        "value": "" if measurement.phase is Phase.ERROR else measurement.value,
        "message": measurement.message or None,
        "metadata": measurement.metadata | ({"groups": json.loads(groups)} if groups else {}),
    }


def _as_go(body: Any) -> bytes:
    """JSON as Go writes it: sorted keys, no spaces."""
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def same_request(expected: Answer, actual: Answer) -> bool:
    """Whether a request is the expected one: its numbers are text in a URL, and only stated headers matter."""
    wanted, sent = expected["request"], actual["request"]
    query = {name: str(value) for name, value in (wanted.get("query") or {}).items()}
    headers = {name: sent["headers"].get(name) for name in wanted["headers"]}
    return equal(wanted | {"query": query}, sent | {"headers": headers})


def same_response(expected: Answer, actual: Answer) -> bool:
    if "message_prefix" not in expected:
        return equal(expected, actual)
    stated = {key: value for key, value in expected.items() if key != "message_prefix"}
    message = actual.get("message") or ""
    return message.startswith(expected["message_prefix"]) and equal(stated, {**actual, "message": None})


def response_quirk(given: Input) -> str:
    if given["status"] == 429:
        return "a rate limit is waited for, it is no Error measurement"
    series = (given.get("body") or {}).get("series") or []
    if any(None in point for each in series for point in each.get("pointlist") or []):
        return "a null is no data; read as 0 it would let missing data pass for a good reading"
    return ""


FAMILIES = (
    Family("datadog_config", config),
    Family("datadog_request", request, same_request),
    Family("datadog_response", response, same_response, response_quirk),
)
