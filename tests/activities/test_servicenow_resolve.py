"""Incidents that a healthy release resolves: those of its predecessors that nobody ended, once, with a note."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from sandbox.servicenow.records import Incident
from sandbox.servicenow.server import ServiceNowApi
from tests.activities.instance import RELEASE, REQUEST, basic, carry_out, error_of, losing, open_instance
from tests.activities.outside import Script
from tidegate.contract import ErrorType, ResolvedIncidents, ResolveIncidents

HEALTHY = ResolveIncidents(
    release=RELEASE,
    revision=8,
    run_id="this",
    at=datetime.now(UTC) + timedelta(days=1),
    text="Tidegate: revision 8 is healthy",
)


@pytest_asyncio.fixture
async def api() -> AsyncIterator[ServiceNowApi]:
    async with open_instance() as api:
        yield api


async def opened(api: ServiceNowApi, cause: str) -> Incident:
    request = REQUEST.model_copy(update={"correlation_id": cause, "attachments": {}})
    reference = await carry_out(basic(api.url), "open_incident", request)
    return api.records.incidents[reference.sys_id]


async def resolve(api: ServiceNowApi, request: ResolveIncidents = HEALTHY, **settings: Any) -> ResolvedIncidents:
    resolved: ResolvedIncidents = await carry_out(basic(api.url), "resolve_incidents", request, **settings)
    return resolved


async def test_an_open_incident_is_resolved_with_one_note(api: ServiceNowApi) -> None:
    incident = await opened(api, f"{RELEASE}/7/before/aborted")
    told = await resolve(api)
    assert (told.numbers, told.message) == (("INC0010001",), "resolved: INC0010001")
    fields = {name: incident.fields[name] for name in ("state", "close_code", "close_notes")}
    assert fields == {"state": "6", "close_code": "Solution provided", "close_notes": HEALTHY.text}
    again = await resolve(api)
    assert (again.numbers, again.message) == ((), "no incident was left open")
    [note] = incident.journals["work_notes"]
    assert note.text == f"{HEALTHY.text}\n[{RELEASE}/8/this/healthy]"


async def test_the_resolution_code_is_the_instances(api: ServiceNowApi) -> None:
    incident = await opened(api, f"{RELEASE}/7/before/aborted")
    await resolve(api, resolve_code="Solved (Permanently)")
    assert incident.fields["close_code"] == "Solved (Permanently)"


@pytest.mark.parametrize("state", ["6", "7", "8"])
async def test_what_people_ended_stays_as_they_left_it(api: ServiceNowApi, state: str) -> None:
    incident = await opened(api, f"{RELEASE}/7/before/aborted")
    api.records.update(incident, {"state": state, "close_code": "Duplicate", "close_notes": "of another"}, "ana")
    assert (await resolve(api)).numbers == ()
    assert (incident.fields["state"], incident.fields["close_code"]) == (state, "Duplicate")
    assert "work_notes" not in incident.journals


async def test_what_people_opened_again_stays_open(api: ServiceNowApi) -> None:
    incident = await opened(api, f"{RELEASE}/7/before/aborted")
    await resolve(api)
    api.records.update(incident, {"state": "2"}, "ana")
    assert (await resolve(api)).numbers == ()
    assert incident.fields["state"] == "2"


@pytest.mark.parametrize(
    ("cause", "resolved"),
    [
        (f"{RELEASE}/7/before/aborted", True),
        (f"{RELEASE}/8/another/aborted", True),
        (f"{RELEASE}/8/this/aborted", False),
        (f"{RELEASE}/9/later/aborted", False),
        (f"{RELEASE}-eu/7/before/aborted", False),
        (f"{RELEASE}/7/before/change", False),
        (f"{RELEASE}/x/before/aborted", False),
        (f"{RELEASE.upper()}/7/before/aborted", False),
    ],
)
async def test_only_earlier_aborts_of_the_same_release_are_meant(
    api: ServiceNowApi, cause: str, resolved: bool
) -> None:
    incident = await opened(api, cause)
    await resolve(api)
    assert (incident.fields["state"] == "6") is resolved


async def test_an_abort_after_this_moment_is_another_story(api: ServiceNowApi) -> None:
    incident = await opened(api, f"{RELEASE}/8/another/aborted")
    await resolve(api, HEALTHY.model_copy(update={"at": datetime.now(UTC) - timedelta(minutes=1)}))
    assert incident.fields["state"] == "1"


async def test_long_names_are_found_and_kept_apart(api: ServiceNowApi) -> None:
    names = [f"rollout/default/payments/{'x' * 200}{last}" for last in "ab"]
    run = "01a2b3c4-0000-7000-8000-000000000000"
    mine, other = [await opened(api, f"{name}/1000/{run}/aborted") for name in names]
    await resolve(api, HEALTHY.model_copy(update={"release": names[0], "revision": 1001}))
    assert (mine.fields["state"], other.fields["state"]) == ("6", "1")


async def test_incidents_of_others_are_left_alone(api: ServiceNowApi) -> None:
    incident = await opened(api, f"{RELEASE}/7/before/aborted")
    api.records.update(incident, {"correlation_display": "Somebody else"}, "ana")
    assert (await resolve(api)).numbers == ()


async def test_a_lost_answer_resolves_nothing_twice(api: ServiceNowApi) -> None:
    for run in ("one", "two"):
        await opened(api, f"{RELEASE}/7/{run}/aborted")
    async with losing(api, lambda write: write == 0) as proxy:
        error = await error_of(basic(proxy.url), "resolve_incidents", HEALTHY)
    assert error.type == ErrorType.UNAVAILABLE
    assert (await resolve(api)).numbers == ("INC0010002",)
    assert [len(each.journals["work_notes"]) for each in api.records.incidents.values()] == [1, 1]


# ------------------------------------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": {"message": "no", "detail": "x"}}, ErrorType.UNAUTHORIZED),
        (429, b"", ErrorType.RATE_LIMITED),
        (500, b"", ErrorType.UNAVAILABLE),
        (200, b"<html>hibernating</html>", ErrorType.UNAVAILABLE),
        (200, {"result": [{"sys_id": "../x", "number": "INC1"}]}, ErrorType.UNAVAILABLE),
    ],
)
async def test_trouble_is_tried_again(status: int, body: Any, kind: ErrorType) -> None:
    async with Script().then(status, body) as server:
        error = await error_of(basic(server.url), "resolve_incidents", HEALTHY)
    assert (error.type, error.non_retryable) == (kind, False)


async def test_an_instance_that_never_finishes_its_answer_is_left() -> None:
    async with Script().then_drip() as server:
        error = await error_of(basic(server.url), "resolve_incidents", HEALTHY, timeout_seconds=0.2)
    assert error.type == ErrorType.UNAVAILABLE


async def test_a_time_that_is_none_is_not_guessed() -> None:
    row = {
        "sys_id": "a" * 32,
        "number": "INC1",
        "correlation_id": f"{RELEASE}/8/another/aborted",
        "state": "1",
        "sys_created_on": "soon",
    }
    async with Script().then(200, {"result": [row]}) as server:
        error = await error_of(basic(server.url), "resolve_incidents", HEALTHY)
    assert "sys_created_on is no time: 'soon'" in error.message


async def test_an_instance_that_keeps_an_incident_open_is_told(api: ServiceNowApi) -> None:
    row = {"sys_id": "a" * 32, "number": "INC1", "correlation_id": f"{RELEASE}/7/before/aborted", "state": "1"}
    answers: list[Any] = [[row], {"work_notes": ""}, row, row]
    server = Script()
    for answer in answers:
        server.then(200, {"result": answer})
    async with server:
        error = await error_of(basic(server.url), "resolve_incidents", HEALTHY)
    assert "INC1 was not resolved" in error.message
