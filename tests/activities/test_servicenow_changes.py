"""Standard changes: one for a run of a release, opened before its steps and closed with its outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import pytest_asyncio

from sandbox.servicenow.records import Incident
from sandbox.servicenow.server import ServiceNowApi
from tests.activities.instance import RELEASE, basic, carry_out, error_of, losing, open_instance
from tests.activities.outside import Script, http_client
from tidegate.contract import ChangeRef, CloseChange, ErrorType, Facts, OpenChange

TEMPLATE = "0123456789abcdef0123456789abcdef"
BEGIN = datetime(2026, 3, 1, 13, 0, tzinfo=timezone(timedelta(hours=1)))
OPEN = OpenChange(
    correlation_id=f"{RELEASE}/7/run-of-a-test/change",
    short_description="payments/checkout: release of checkout:2",
    description="Steps: setWeight: 20",
    start=BEGIN,
    facts=Facts(namespace="payments", rollout="checkout"),
)
CLOSE = CloseChange(
    correlation_id=OPEN.correlation_id,
    successful=True,
    text="Tidegate: healthy",
    end=BEGIN + timedelta(minutes=5),
)
SETTINGS: dict[str, Any] = {"change_fields": {"assignment_group": "On-call {namespace}"}}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[ServiceNowApi]:
    async with open_instance() as api:
        api.changes.templates[TEMPLATE] = {"category": "Software", "risk": "low"}
        yield api


async def opened(api: ServiceNowApi, request: OpenChange = OPEN, **settings: Any) -> ChangeRef:
    reference: ChangeRef = await carry_out(basic(api.url), "open_change", request, **{**SETTINGS, **settings})
    return reference


async def closed(api: ServiceNowApi, request: CloseChange = CLOSE, **settings: Any) -> ChangeRef:
    reference: ChangeRef = await carry_out(basic(api.url), "close_change", request, **{**SETTINGS, **settings})
    return reference


def only(api: ServiceNowApi) -> Incident:
    [change] = api.changes.rows.values()
    return change


async def test_a_release_has_a_standard_change_that_is_being_implemented(api: ServiceNowApi) -> None:
    reference = await opened(api)
    expected = {
        "number": reference.number,
        "state": "-1",
        "type": "standard",
        "chg_model": "Standard",
        "assignment_group": "On-call payments",
        "short_description": OPEN.short_description,
        "correlation_id": OPEN.correlation_id,
        "start_date": "2026-03-01 12:00:00",
    }
    assert expected.items() <= only(api).fields.items()
    assert (reference.created, reference.message) == (True, "CHG0030001 is open")


async def test_the_link_shows_the_change_to_a_person(api: ServiceNowApi) -> None:
    reference = await opened(api)
    await closed(api)
    async with http_client() as http:
        page = await http.get(reference.url, follow_redirects=True)
    assert page.status_code == 200
    for text in (OPEN.short_description, "Closed", "Tidegate: healthy"):
        assert text in page.text


@pytest.mark.parametrize("template", ["", TEMPLATE])
async def test_asking_again_finds_the_change(api: ServiceNowApi, template: str) -> None:
    first = await opened(api, change_template=template)
    second = await opened(api, change_template=template)
    assert second == first.model_copy(update={"created": False})
    assert len(api.changes.rows) == 1


async def test_a_template_gives_what_its_owners_say(api: ServiceNowApi) -> None:
    await opened(api, change_template=TEMPLATE)
    fields = only(api).fields
    assert (fields["risk"], fields["std_change_producer_version"]) == ("low", TEMPLATE)
    assert (fields["state"], fields["assignment_group"]) == ("-1", "On-call payments")


@pytest.mark.parametrize(
    ("good", "settings", "code"),
    [
        (True, {}, "successful"),
        (False, {}, "unsuccessful"),
        (False, {"failure_code": "Backed out"}, "Backed out"),
    ],
)
async def test_the_change_is_closed_with_the_outcome(
    api: ServiceNowApi, good: bool, settings: dict[str, str], code: str
) -> None:
    await opened(api)
    reference = await closed(api, CLOSE.model_copy(update={"successful": good}), **settings)
    expected = {
        "state": "3",
        "close_code": code,
        "close_notes": CLOSE.text,
        "end_date": "2026-03-01 12:05:00",
        "active": "false",
    }
    assert expected.items() <= only(api).fields.items()
    assert reference.message == f"CHG0030001 is closed as {code}"


async def test_closing_again_changes_nothing(api: ServiceNowApi) -> None:
    await opened(api)
    await closed(api)
    again = await closed(api, CLOSE.model_copy(update={"successful": False}))
    assert (only(api).fields["close_code"], again.message) == ("successful", "CHG0030001 was ended before")


async def test_opening_again_after_the_end_opens_nothing(api: ServiceNowApi) -> None:
    await opened(api)
    await closed(api)
    assert not (await opened(api)).created
    assert only(api).fields["state"] == "3"


async def test_what_people_canceled_stays_canceled(api: ServiceNowApi) -> None:
    await opened(api)
    api.changes.update(only(api), {"state": "4"}, "ana")
    assert (await closed(api)).message == "CHG0030001 was ended before"
    assert only(api).fields["state"] == "4"


@pytest.mark.parametrize(
    ("template", "lost"), [("", 0), ("", 1), ("", 2), (TEMPLATE, 0), (TEMPLATE, 1), (TEMPLATE, 2), (TEMPLATE, 3)]
)
async def test_lost_answers_leave_one_change_that_goes_on(api: ServiceNowApi, template: str, lost: int) -> None:
    settings = {**SETTINGS, "change_template": template}
    async with losing(api, lambda write: write == lost) as proxy:
        error = await error_of(basic(proxy.url), "open_change", OPEN, **settings)
    assert error.type == ErrorType.UNAVAILABLE
    assert not (await opened(api, change_template=template)).created
    fields = only(api).fields
    assert (fields["state"], fields["assignment_group"]) == ("-1", "On-call payments")


@pytest.mark.parametrize("lost", [0, 1])
async def test_lost_answers_close_the_change_all_the_same(api: ServiceNowApi, lost: int) -> None:
    await opened(api)
    async with losing(api, lambda write: write == lost) as proxy:
        assert (await error_of(basic(proxy.url), "close_change", CLOSE)).type == ErrorType.UNAVAILABLE
    await closed(api)
    assert (only(api).fields["state"], only(api).fields["close_code"]) == ("3", "successful")


async def test_annotations_come_first_and_what_is_not_allowed_is_said(api: ServiceNowApi) -> None:
    await opened(api, OPEN.model_copy(update={"fields": {"assignment_group": "Team {rollout}", "risk": "low"}}))
    fields = only(api).fields
    assert (fields["assignment_group"], fields["risk"]) == ("Team checkout", "")
    assert fields["description"].startswith("the Rollout's 'risk'='low' is not used: allowed are")


async def test_a_group_that_the_instance_does_not_take_is_the_settings(api: ServiceNowApi) -> None:
    api.changes.groups = frozenset({"On-call payments"})
    await opened(api, OPEN.model_copy(update={"fields": {"assignment_group": "Misspelled"}}))
    fields = only(api).fields
    assert (fields["assignment_group"], fields["state"]) == ("On-call payments", "-1")
    assert "did not take assignment_group='Misspelled'" in fields["description"]


# ------------------------------------------------------------------------------------------------------------- trouble


async def test_a_change_that_is_not_there_yet_is_asked_for_again(api: ServiceNowApi) -> None:
    error = await error_of(basic(api.url), "close_change", CLOSE)
    assert (error.type, error.non_retryable) == (ErrorType.UNAVAILABLE, False)
    assert "is not there yet" in error.message


async def test_a_change_without_its_group_is_opened_once_and_waits(api: ServiceNowApi) -> None:
    for _ in range(2):
        error = await error_of(basic(api.url), "open_change", OPEN)
        assert (error.type, error.non_retryable) == (ErrorType.UNAUTHORIZED, False)
        assert "mandatory: assignment_group" in error.message
    api.changes.update(only(api), {"assignment_group": "Payments"}, "ana")
    assert not (await opened(api)).created
    assert only(api).fields["state"] == "-1"


async def test_a_template_that_is_not_there_is_not_found(api: ServiceNowApi) -> None:
    error = await error_of(basic(api.url), "open_change", OPEN, change_template="f" * 32)
    assert error.type == ErrorType.NOT_FOUND


@pytest.mark.parametrize(
    ("state", "message"),
    [("-5", "does not go on from state -5 to -2"), ("17", "is in state '17', which no standard change has")],
)
async def test_a_change_that_does_not_move_is_tried_again(state: str, message: str) -> None:
    row = {"sys_id": "a" * 32, "number": "CHG1", "correlation_id": OPEN.correlation_id, "state": state}
    async with Script().then(200, {"result": [row]}).then(200, {"result": row}) as server:
        error = await error_of(basic(server.url), "open_change", OPEN)
    assert (error.type, error.non_retryable) == (ErrorType.UNAVAILABLE, False)
    assert message in error.message


@pytest.mark.parametrize(("verb", "request_"), [("open_change", OPEN), ("close_change", CLOSE)])
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": {"message": "no", "detail": "x"}}, ErrorType.UNAUTHORIZED),
        (429, b"", ErrorType.RATE_LIMITED),
        (500, b"", ErrorType.UNAVAILABLE),
        (200, b"<html>hibernating</html>", ErrorType.UNAVAILABLE),
        (200, {"result": {"number": 7}}, ErrorType.UNAVAILABLE),
    ],
)
async def test_trouble_is_tried_again(verb: str, request_: Any, status: int, body: Any, kind: ErrorType) -> None:
    async with Script().then(status, body) as server:
        error = await error_of(basic(server.url), verb, request_)
    assert (error.type, error.non_retryable) == (kind, False)


@pytest.mark.parametrize("body", [{"sys_id": "a" * 32}, {"sys_id": {"value": "../x"}}, [], None])
async def test_an_answer_about_a_template_is_not_trusted(body: Any) -> None:
    async with Script().then(200, {"result": []}).then(200, {"result": body}) as server:
        error = await error_of(basic(server.url), "open_change", OPEN, change_template=TEMPLATE)
    assert error.type == ErrorType.UNAVAILABLE


@pytest.mark.parametrize(("verb", "request_"), [("open_change", OPEN), ("close_change", CLOSE)])
async def test_an_instance_that_is_slow_or_away_is_tried_again(verb: str, request_: Any) -> None:
    async with Script().then_drip() as server:
        slow = await error_of(basic(server.url), verb, request_, timeout_seconds=0.2)
    away = await error_of(basic("http://127.0.0.1:1"), verb, request_)
    assert {slow.type, away.type} == {ErrorType.UNAVAILABLE}
