"""The embedded ServiceNow on the wire: who may enter, what it stores, how it fails, and what people see."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.servicenow.server import TOKEN_SECONDS, ServiceNowApi

USER = ("tidegate", "password-of-a-test")
CLIENT = {"client_id": "client", "client_secret": "client-secret-of-a-test"}
TABLE = "/api/now/table/incident"
CHANGES = "/api/now/table/change_request"
FILES = "/api/now/attachment"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def api(clock: Clock) -> AsyncIterator[ServiceNowApi]:
    api = ServiceNowApi(username=USER[0], password=USER[1], **CLIENT, clock=clock)
    await api.start()
    yield api
    await api.stop()


@pytest_asyncio.fixture
async def http(api: ServiceNowApi) -> AsyncIterator[httpx.AsyncClient]:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(base_url=api.url, auth=USER, verify=trust) as client:
        yield client


async def create(http: httpx.AsyncClient, **fields: Any) -> dict[str, str]:
    response = await http.post(TABLE, content=json.dumps({"short_description": "s", **fields}))
    assert response.status_code == 201
    result: dict[str, str] = response.json()["result"]
    assert response.headers["Location"].endswith(f"{TABLE}/{result['sys_id']}")
    return result


# -------------------------------------------------------------------------------------------------------- who may enter


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!", "Basic dGlkZWdhdGU6d3Jvbmc=", "Bearer x", "Digest y"])
async def test_nobody_enters_without_credentials(http: httpx.AsyncClient, header: str) -> None:
    request = http.build_request("GET", TABLE, headers={"Authorization": header} if header else {})
    response = await http.send(request, auth=None)
    assert response.status_code == 401
    assert response.json() == {
        "error": {"message": "User Not Authenticated", "detail": "Required to provide Auth information"},
        "status": "failure",
    }


@pytest.mark.parametrize(
    "grant",
    [
        {"grant_type": "client_credentials"},
        {"grant_type": "password", "username": USER[0], "password": USER[1]},
    ],
)
async def test_a_token_opens_the_door_until_it_ends(
    api: ServiceNowApi, http: httpx.AsyncClient, clock: Clock, grant: dict[str, str]
) -> None:
    token = (await http.post("/oauth_token.do", data={**CLIENT, **grant})).json()
    assert (token["token_type"], token["expires_in"]) == ("Bearer", TOKEN_SECONDS)

    async def status() -> int:
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        return (await http.send(http.build_request("GET", TABLE, headers=headers), auth=None)).status_code

    assert await status() == 200
    clock.now += TOKEN_SECONDS
    assert await status() == 401


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"grant_type": "client_credentials", "client_id": "client", "client_secret": "x"}, "invalid_client"),
        ({"grant_type": "password", "username": USER[0], "password": "x", **CLIENT}, "access_denied"),
        ({"grant_type": "magic", **CLIENT}, "unsupported_grant_type"),
        ({}, "invalid_client"),
    ],
)
async def test_tokens_are_refused_in_the_shape_of_oauth(http: httpx.AsyncClient, form: Any, code: str) -> None:
    response = await http.post("/oauth_token.do", data=form)
    assert (response.status_code, response.json()["error"]) == (401, code)


async def test_the_rate_limit_says_when_to_come_back(api: ServiceNowApi, http: httpx.AsyncClient, clock: Clock) -> None:
    api.rate_limit.limit, api.rate_limit.period = 1, 60
    assert (await http.get(TABLE)).headers["X-RateLimit-Limit"] == "1"
    response = await http.get(TABLE)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "55")
    assert int(response.headers["X-RateLimit-Reset"]) == clock.now + 55
    assert response.json()["error"]["message"] == "Rate limit exceeded"
    clock.now += 55
    assert (await http.get(TABLE)).status_code == 200


# ------------------------------------------------------------------------------------------------------------ incidents


async def test_an_incident_gets_what_the_platform_adds(http: httpx.AsyncClient) -> None:
    first = await create(http, urgency=1, impact=1, made_up="dropped", u_own="kept", active=False)
    second = await create(http)
    assert (first["number"], second["number"]) == ("INC0010001", "INC0010002")
    assert (first["priority"], second["priority"]) == ("1", "5")
    assert (first["state"], first["sys_created_by"], first["opened_at"]) == ("1", "tidegate", "2026-01-02 03:04:05")
    assert (first["u_own"], first["active"], "made_up" in first) == ("kept", "true", False)
    assert all(isinstance(value, str) for value in first.values())


@pytest.mark.parametrize(("impact", "urgency", "priority"), [(1, 2, "2"), (2, 2, "3"), (3, 2, "4"), (9, 9, "5")])
async def test_priority_follows_impact_and_urgency(
    http: httpx.AsyncClient, impact: int, urgency: int, priority: str
) -> None:
    assert (await create(http, impact=impact, urgency=urgency))["priority"] == priority


async def test_incidents_are_changed_and_read(http: httpx.AsyncClient) -> None:
    made = await create(http)
    path = f"{TABLE}/{made['sys_id']}"
    changed = (await http.patch(path, json={"urgency": "1", "impact": "1", "work_notes": "looked"})).json()["result"]
    assert changed["priority"] == "1"
    plain = (await http.get(path)).json()["result"]
    shown = (await http.get(path, params={"sysparm_display_value": "true"})).json()["result"]
    assert plain["work_notes"] == ""
    assert shown["work_notes"] == "2026-01-02 03:04:05 - tidegate (work_notes)\nlooked"


async def test_resolving_needs_a_reason(http: httpx.AsyncClient) -> None:
    path = f"{TABLE}/{(await create(http))['sys_id']}"
    refused = await http.patch(path, json={"state": "6", "urgency": "1"})
    assert (refused.status_code, "Data Policy" in refused.json()["error"]["detail"]) == (403, True)
    assert (await http.get(path)).json()["result"]["urgency"] == "3"
    done = await http.patch(path, json={"state": "6", "close_code": "Solved", "close_notes": "reverted"})
    assert done.json()["result"]["state"] == "6"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("correlation_id=b", ["b"]),
        ("correlation_id!=b", ["a", "c"]),
        ("correlation_id=b^short_description=other", []),
        ("short_descriptionLIKEFIR", ["a"]),
        ("correlation_idSTARTSWITHc", ["c"]),
        ("correlation_idNOT INa,b", ["c"]),
        ("ORDERBYDESCcorrelation_id", ["c", "b", "a"]),
        ("no_such_field=x", ["a", "b", "c"]),
        ("???", ["a", "b", "c"]),
    ],
)
async def test_queries_and_the_trap_in_them(http: httpx.AsyncClient, query: str, found: list[str]) -> None:
    for name, text in (("a", "first"), ("b", "second"), ("c", "third")):
        await create(http, correlation_id=name, short_description=text)
    response = await http.get(TABLE, params={"sysparm_query": query, "sysparm_fields": "correlation_id"})
    assert response.json()["result"] == [{"correlation_id": name} for name in found]


async def test_lists_come_in_pages(http: httpx.AsyncClient) -> None:
    for _ in range(3):
        await create(http)
    response = await http.get(TABLE, params={"sysparm_limit": 1, "sysparm_offset": 1, "sysparm_fields": "number"})
    assert response.json()["result"] == [{"number": "INC0010002"}]
    assert response.headers["X-Total-Count"] == "3"


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", f"{TABLE}/{'0' * 32}", b"", 404),
        ("POST", TABLE, b"no json", 400),
        ("POST", TABLE, b"[]", 400),
        ("GET", "/api/now/table/unknown", b"", 404),
        ("DELETE", TABLE, b"", 405),
        ("POST", TABLE, b" " * (16 * 1024 * 1024 + 1), 413),
    ],
)
async def test_failures_have_the_platforms_shape(
    http: httpx.AsyncClient, method: str, path: str, content: bytes, status: int
) -> None:
    response = await http.request(method, path, content=content)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "detail"}


# -------------------------------------------------------------------------------------------------------------- changes


async def test_a_standard_change_goes_from_state_to_state(http: httpx.AsyncClient) -> None:
    made = (await http.post(CHANGES, json={"type": "standard", "assignment_group": "Payments"})).json()["result"]
    path = f"{CHANGES}/{made['sys_id']}"
    assert (made["number"], made["state"]) == ("CHG0030001", "-5")
    skipped = await http.patch(path, json={"state": "-1"})
    assert (skipped.status_code, "cannot be moved" in skipped.json()["error"]["detail"]) == (403, True)
    for state in ("-2", "-1", "0"):
        assert (await http.patch(path, json={"state": state})).json()["result"]["state"] == state
    unsaid = await http.patch(path, json={"state": "3", "close_code": "successful"})
    assert (unsaid.status_code, "close_notes" in unsaid.json()["error"]["detail"]) == (403, True)
    done = {"state": "3", "close_code": "successful", "close_notes": "healthy"}
    assert (await http.patch(path, json=done)).json()["result"]["active"] == "false"
    assert (await http.patch(path, json={"state": "0"})).status_code == 403


async def test_a_change_by_a_template_is_answered_with_values_and_names(
    api: ServiceNowApi, http: httpx.AsyncClient
) -> None:
    template = "f" * 32
    path = f"/api/sn_chg_rest/change/standard/{template}"
    assert (await http.post(path, json={})).status_code == 404
    api.changes.templates[template] = {"risk": "low"}
    made = (await http.post(path, json={"risk": "high", "short_description": "s"})).json()["result"]
    assert made["risk"] == {"value": "low", "display_value": "low"}
    assert made["type"]["value"] == "standard"
    page = await http.get("/nav_to.do", params={"uri": f"change_request.do?sys_id={made['sys_id']['value']}"})
    assert page.headers["Location"] == f"/change_request/{made['number']['value']}"
    assert (await http.get("/change_request/CHG1")).status_code == 404


async def test_a_group_that_is_not_there_leaves_the_column_empty(api: ServiceNowApi, http: httpx.AsyncClient) -> None:
    api.records.groups = frozenset({"Payments"})
    assert (await create(http, assignment_group="Payments"))["assignment_group"] == "Payments"
    assert (await create(http, assignment_group="Nobody"))["assignment_group"] == ""


# ---------------------------------------------------------------------------------------------------------- attachments


async def test_a_file_is_stored_listed_and_given_back(http: httpx.AsyncClient) -> None:
    where = {"table_name": "incident", "table_sys_id": (await create(http))["sys_id"], "file_name": "run.json"}
    headers = {"Content-Type": "application/json"}
    stored = await http.post(f"{FILES}/file", params=where, content=b'{"a": 1}', headers=headers)
    assert (stored.status_code, stored.json()["result"]["size_bytes"]) == (201, "8")
    query = {"sysparm_query": f"table_sys_id={where['table_sys_id']}^file_name=run.json"}
    [listed] = (await http.get(FILES, params=query)).json()["result"]
    assert where.items() <= listed.items()
    given = await http.get(listed["download_link"])
    assert (given.content, given.headers["Content-Type"]) == (b'{"a": 1}', "application/json")
    assert (await http.get(f"{FILES}/{listed['sys_id']}")).json()["result"] == listed


async def test_a_file_needs_a_record_a_name_and_a_type(http: httpx.AsyncClient) -> None:
    where = {"table_name": "incident", "table_sys_id": "0" * 32, "file_name": "x"}
    typed = {"Content-Type": "text/plain"}
    orphan = await http.post(f"{FILES}/file", params=where, content=b"x", headers=typed)
    nameless = await http.post(f"{FILES}/file", params={"table_name": "incident"}, content=b"x", headers=typed)
    untyped = await http.post(f"{FILES}/file", params=where, content=b"x")
    absent = await http.get(f"{FILES}/{'0' * 32}/file")
    assert [each.status_code for each in (orphan, nameless, untyped, absent)] == [404, 400, 415, 404]


# ---------------------------------------------------------------------------------------------------------------- pages


async def test_the_page_shows_everything_and_runs_nothing(api: ServiceNowApi, http: httpx.AsyncClient) -> None:
    evil = "<script>alert(1)</script>"
    made = await create(http, short_description=evil, description=f"{evil}\n\ud800", work_notes=f"note {evil}")
    where = {"table_name": "incident", "table_sys_id": made["sys_id"], "file_name": f"{evil}.json"}
    headers = {"Content-Type": "application/json"}
    await http.post(f"{FILES}/file", params=where, content=b'{"phase":"Failed"}', headers=headers)
    await http.post(f"{FILES}/file", params=where | {"file_name": "x.bin"}, content=b"\xff\xfe", headers=headers)
    for url in (api.page_url(made["number"]), f"{api.url}/"):
        request = httpx.Request("GET", url)
        page = await http.send(request, auth=None)
        assert page.status_code == 200
        assert evil not in page.text
        assert "&lt;script&gt;" in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert not any(secret in page.text for secret in (USER[1], CLIENT["client_secret"]))
    page = await http.get(api.page_url(made["number"]))
    assert "note &lt;script&gt;" in page.text
    assert "&quot;phase&quot;: &quot;Failed&quot;" in page.text
    assert "not text" in page.text


async def test_the_platforms_own_link_leads_to_the_page(api: ServiceNowApi, http: httpx.AsyncClient) -> None:
    made = await create(http)
    response = await http.get("/nav_to.do", params={"uri": f"incident.do?sys_id={made['sys_id']}"})
    assert (response.status_code, response.headers["Location"]) == (302, f"/incident/{made['number']}")
    for path in ("/nav_to.do?uri=x", "/nav_to.do", "/incident/INC1"):
        assert (await http.get(path)).status_code == 404


async def test_an_empty_list_says_so(http: httpx.AsyncClient) -> None:
    assert "No incident" in (await http.get("/")).text
