"""The ServiceNow activity on the wire: one incident for one cause, whatever happens in between."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from temporalio.exceptions import ApplicationError

from activities.servicenow.fields import ServiceNowSettings
from activities.servicenow.incidents import CHART, ServiceNow
from activities.servicenow.tables import MAX_CORRELATION_ID, correlation_id_of, correlation_prefix
from sandbox.servicenow.server import ServiceNowApi
from tests.activities.instance import CLIENT_SECRET, PASSWORD, PATH, REQUEST, basic, forward, open_instance
from tests.activities.instance import error_of as error_of_call
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tidegate.analysis.status import Phase
from tidegate.contract import Chart, Curve, ErrorType, IncidentNote, IncidentRef, IncidentRequest, Point


@pytest_asyncio.fixture
async def api() -> AsyncIterator[ServiceNowApi]:
    async with open_instance() as api:
        yield api


def oauth(url: str, client_secret: str = CLIENT_SECRET) -> MemorySecrets:
    return MemorySecrets({PATH: {"url": url, "client_id": "tidegate", "client_secret": client_secret}})


async def open_incident(secrets: MemorySecrets, request: IncidentRequest = REQUEST, **settings: Any) -> IncidentRef:
    async with http_client() as http:
        reference: IncidentRef = await run_activity(
            ServiceNow(secrets, http, ServiceNowSettings(**settings)).open_incident, request
        )
    return reference


async def error_of(secrets: MemorySecrets, **settings: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await open_incident(secrets, **settings)
    return caught.value


async def test_an_incident_is_opened_with_its_evidence(api: ServiceNowApi) -> None:
    fields = {"category": "software", "assignment_group": "Payments on-call", "u_environment": "production"}
    reference = await open_incident(basic(api.url), fields=fields)
    [incident] = api.records.incidents.values()
    assert (reference.number, reference.created) == ("INC0010001", True)
    assert incident.fields["sys_id"] == reference.sys_id
    expected = {**fields, "urgency": "2", "impact": "2", "priority": "3", "correlation_id": REQUEST.correlation_id}
    assert expected.items() <= incident.fields.items()
    attached = {file.fields["file_name"]: json.loads(file.content) for file in api.records.files_of(incident)}
    assert attached == REQUEST.attachments


async def test_the_readings_are_attached_as_a_picture_once(api: ServiceNowApi) -> None:
    point = Point(at=datetime(2026, 3, 1, tzinfo=UTC), value=0.2, verdict=Phase.FAILED)
    chart = Chart(title="payments/checkout", curves=(Curve(gate="gate", metric="error-rate", points=(point,)),))
    request = REQUEST.model_copy(update={"chart": chart})
    for _ in range(2):
        await open_incident(basic(api.url), request)
    [incident] = api.records.incidents.values()
    [state_digest] = [file for file in api.records.files_of(incident) if file.fields["file_name"] == CHART]
    assert state_digest.fields["content_type"] == "image/png"
    assert Image.open(io.BytesIO(state_digest.content)).size[0] == 1000


async def test_a_note_is_added_once_and_others_stay(api: ServiceNowApi) -> None:
    await open_incident(basic(api.url))
    async with http_client() as http:
        instance = ServiceNow(basic(api.url), http, ServiceNowSettings())
        for event in ("undone", "undone", "healthy"):
            note = IncidentNote(correlation_id=REQUEST.correlation_id, event=event, text=f"{event}: done")
            await run_activity(instance.note_incident, note)
    [incident] = api.records.incidents.values()
    assert [note.text for note in incident.journals["work_notes"]] == [
        "undone: done\n[undone]",
        "healthy: done\n[healthy]",
    ]


async def test_the_link_shows_the_incident_to_a_person(api: ServiceNowApi) -> None:
    reference = await open_incident(basic(api.url))
    async with http_client() as http:
        page = await http.get(reference.url, follow_redirects=True)
    assert str(page.url) == api.page_url(reference.number)
    assert REQUEST.short_description in page.text


async def test_asking_again_changes_nothing(api: ServiceNowApi) -> None:
    first = await open_incident(basic(api.url))
    second = await open_incident(basic(api.url))
    assert second == first.model_copy(update={"created": False})
    assert (len(api.records.incidents), len(api.records.attachments)) == (1, 2)


async def test_another_cause_is_another_incident(api: ServiceNowApi) -> None:
    first = await open_incident(basic(api.url))
    second = await open_incident(basic(api.url), REQUEST.model_copy(update={"correlation_id": "something else"}))
    assert first.number != second.number


@pytest.mark.parametrize("attached", [0, 1])
async def test_a_crash_between_create_and_attach_is_made_good(api: ServiceNowApi, attached: int) -> None:
    async def crash(request: web.Request) -> web.Response:
        if request.path.endswith("/attachment/file") and len(api.records.attachments) == attached:
            return web.Response(status=502, text="Bad Gateway")
        return await forward(api, request)

    async with Script().then_do(crash) as proxy:
        error = await error_of(basic(proxy.url))
        assert (error.type, error.non_retryable) == (ErrorType.UNAVAILABLE, False)
        assert len(api.records.attachments) == attached
    reference = await open_incident(basic(api.url))
    assert not reference.created
    names = sorted(file.fields["file_name"] for file in api.records.attachments.values())
    assert (len(api.records.incidents), names) == (1, sorted(REQUEST.attachments))


async def test_an_answer_that_was_lost_does_not_open_a_second_incident(api: ServiceNowApi) -> None:
    async def lose(request: web.Request) -> web.Response:
        response = await forward(api, request)
        return web.Response(status=504) if request.method == "POST" else response

    async with Script().then_do(lose) as proxy:
        await error_of(basic(proxy.url))
    assert not (await open_incident(basic(api.url))).created
    assert len(api.records.incidents) == 1


async def test_a_query_that_the_platform_ignores_finds_no_stranger() -> None:
    stranger = {"sys_id": "a" * 32, "number": "INC1", "correlation_id": "another"}
    mine = {"sys_id": "b" * 32, "number": "INC2", "correlation_id": REQUEST.correlation_id}
    request = REQUEST.model_copy(update={"attachments": {}})
    async with Script().then(200, {"result": [stranger]}).then(201, {"result": mine}) as server:
        assert (await open_incident(basic(server.url), request)).number == "INC2"


# --------------------------------------------------------------------------------------------------------- credentials


async def test_oauth_uses_one_token_for_all_calls(api: ServiceNowApi) -> None:
    await open_incident(oauth(api.url))
    assert api.requests["POST /oauth_token.do"] == 1


async def test_a_revoked_token_is_replaced(api: ServiceNowApi) -> None:
    async with http_client() as http:
        service_now = ServiceNow(oauth(api.url), http)
        await run_activity(service_now.open_incident, REQUEST)
        api.revoke_tokens()
        again = await run_activity(service_now.open_incident, REQUEST)
    assert not again.created
    assert api.requests["POST /oauth_token.do"] == 2


async def test_a_token_is_replaced_before_it_ends(api: ServiceNowApi) -> None:
    now = [0.0]
    async with http_client() as http:
        service_now = ServiceNow(oauth(api.url), http, clock=lambda: now[0])
        for moment, tokens in ((0, 1), (1738, 1), (1740, 2)):
            now[0] = moment
            await run_activity(service_now.open_incident, REQUEST)
            assert api.requests["POST /oauth_token.do"] == tokens


@pytest.mark.parametrize("kind", [basic, oauth])
async def test_rotated_credentials_are_read_again_once(api: ServiceNowApi, kind: Any) -> None:
    secrets = kind(api.url, "old")
    secrets.after = kind(api.url).content
    assert (await open_incident(secrets)).created
    assert secrets.refreshed == [PATH]


@pytest.mark.parametrize("kind", [basic, oauth])
async def test_credentials_that_stay_wrong_are_not_shown(api: ServiceNowApi, kind: Any) -> None:
    error = await error_of(kind(api.url, "wrong-secret-of-a-test"))
    assert (error.type, error.non_retryable) == (ErrorType.UNAUTHORIZED, False)
    assert "wrong-secret" not in str(error.message)
    assert len(api.records.incidents) == 0


async def test_a_password_that_comes_back_is_masked() -> None:
    async with Script().then(400, {"error": {"message": f"no {PASSWORD}", "detail": "x"}}) as server:
        error = await error_of(basic(server.url))
    assert error.message.endswith("400 GET /api/now/table/incident: no *****: x")


@pytest.mark.parametrize("secret", [{"username": "u"}, {"client_id": "c"}, {}])
async def test_incomplete_credentials_say_what_is_missing(secret: dict[str, str]) -> None:
    error = await error_of(MemorySecrets({PATH: {"url": "http://127.0.0.1:1", **secret}}))
    assert (error.type, error.non_retryable) == (ErrorType.REJECTED, True)
    assert PATH in error.message


async def test_the_address_of_the_settings_comes_first(api: ServiceNowApi) -> None:
    assert (await open_incident(basic("http://127.0.0.1:1"), url=api.url + "/")).created
    error = await error_of(MemorySecrets({PATH: {"username": "u", "password": "p"}}))
    assert "no address" in error.message


# ------------------------------------------------------------------------------------------------------------- trouble


async def test_a_rate_limit_is_waited_out(api: ServiceNowApi) -> None:
    api.rate_limit.limit = 0
    error = await error_of(basic(api.url))
    assert error.type == ErrorType.RATE_LIMITED
    assert error.next_retry_delay is not None
    assert timedelta(0) < error.next_retry_delay <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("status", "body", "kind", "final"),
    [
        (403, {"error": {"message": "ACL", "detail": "no"}}, ErrorType.UNAUTHORIZED, False),
        (404, {"error": {"message": "gone", "detail": None}}, ErrorType.NOT_FOUND, True),
        (400, b"bad", ErrorType.REJECTED, True),
        (500, b"", ErrorType.UNAVAILABLE, False),
        (200, b"<html>Your instance is hibernating</html>", ErrorType.UNAVAILABLE, False),
        (200, b"[" * 500_000, ErrorType.UNAVAILABLE, False),
        (200, {"result": "no list"}, ErrorType.UNAVAILABLE, False),
        (200, {"result": [{"sys_id": "../x", "number": "INC1"}]}, ErrorType.UNAVAILABLE, False),
        (200, b" " * (1024 * 1024 + 1), ErrorType.UNAVAILABLE, False),
    ],
)
async def test_failures_say_whether_a_retry_helps(status: int, body: Any, kind: ErrorType, final: bool) -> None:
    async with Script().then(status, body) as server:
        error = await error_of(basic(server.url))
    assert (error.type, error.non_retryable) == (kind, final)


async def test_redirects_are_refused_so_that_credentials_stay_where_they_belong() -> None:
    async with Script().then(200, {"result": []}) as other, Script().then(302, b"", Location=other.url) as server:
        assert (await error_of(basic(server.url))).type == ErrorType.REJECTED
    assert other.seen == []


async def test_nobody_at_the_address_is_unavailable() -> None:
    assert (await error_of(basic("http://127.0.0.1:1"))).type == ErrorType.UNAVAILABLE


# --------------------------------------------------------------------------------------------------------------- texts


async def test_long_texts_are_cut_to_what_the_columns_hold(api: ServiceNowApi) -> None:
    request = IncidentRequest(correlation_id="c" * 500 + "^x", short_description="s" * 500, description="d" * 9000)
    first = await open_incident(basic(api.url), request)
    assert (await open_incident(basic(api.url), request)).number == first.number
    fields = next(iter(api.records.incidents.values())).fields
    lengths = [len(fields[name]) for name in ("correlation_id", "short_description", "description")]
    assert lengths == [100, 160, 4000]


@given(st.text(max_size=300).filter(str.strip), st.text(max_size=300).filter(str.strip))
def test_correlation_ids_fit_and_stay_distinct(one: str, other: str) -> None:
    first, second = correlation_id_of(one), correlation_id_of(other)
    assert 0 < len(first) <= MAX_CORRELATION_ID
    assert "^" not in first
    assert (first == second) == (one == other)


@given(st.text(min_size=1, max_size=200), st.integers(0, 10**10 - 1), st.uuids())
def test_what_a_release_opened_is_found_by_its_beginning(release: str, revision: int, run: UUID) -> None:
    found = correlation_id_of(f"{release}/{revision}/{run}/aborted")
    assert found == f"{correlation_prefix(release)}{revision}/{run}/aborted"
    assert len(found) <= MAX_CORRELATION_ID


async def test_a_note_for_what_is_not_there_yet_is_asked_for_again(api: ServiceNowApi) -> None:
    note = IncidentNote(correlation_id=REQUEST.correlation_id, event="restored", text="traffic is back")
    error = await error_of_call(basic(api.url), "note_incident", note)
    assert (error.type, error.non_retryable) == (ErrorType.UNAVAILABLE, False)
    assert "is not there yet" in error.message


async def test_attachments_are_listed_once_and_a_picture_that_is_there_is_not_drawn(api: ServiceNowApi) -> None:
    point = Point(at=datetime(2026, 3, 1, tzinfo=UTC), value=0.2, verdict=Phase.FAILED)
    chart = Chart(title="payments/checkout", curves=(Curve(gate="gate", metric="error-rate", points=(point,)),))
    request = REQUEST.model_copy(update={"chart": chart})
    await open_incident(basic(api.url), request)
    assert api.requests["GET /api/now/attachment"] == 1
    await open_incident(basic(api.url), request)
    assert (api.requests["GET /api/now/attachment"], api.requests["POST /api/now/attachment/file"]) == (2, 3)


async def test_no_cause_is_refused() -> None:
    error = await error_of_request(REQUEST.model_copy(update={"correlation_id": " "}))
    assert (error.type, error.non_retryable) == (ErrorType.REJECTED, True)


async def error_of_request(request: IncidentRequest) -> ApplicationError:
    async with httpx.AsyncClient() as http:
        with pytest.raises(ApplicationError) as caught:
            await run_activity(ServiceNow(basic("http://127.0.0.1:1"), http).open_incident, request)
    return caught.value
