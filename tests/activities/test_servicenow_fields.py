"""Columns of an incident by settings and annotations, and the links in its description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from activities.servicenow.fields import GRAPH_URL, LEVELS, ServiceNowSettings, columns_of, links
from sandbox.servicenow.server import ServiceNowApi
from tests.activities.instance import REQUEST, basic, carry_out, open_instance
from tests.activities.outside import Script
from tidegate.contract import Facts, Graph, render

FACTS = Facts(
    namespace="payments",
    rollout="checkout",
    cluster="eu1",
    revision="7",
    images="checkout:2",
    step="setWeight: 20",
    weight="20",
    by="ana",
    cause="error-rate {by}",
    workflow="rollout/eu1/payments/checkout",
    run="run-of-a-test",
)
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRAPH = Graph(metric="p99", query="p99:trace.http{env:prod} by {host}", start=BEGIN, end=BEGIN.replace(minute=30))


@pytest_asyncio.fixture
async def api() -> AsyncIterator[ServiceNowApi]:
    async with open_instance() as api:
        yield api


async def opened(api: ServiceNowApi, asked: dict[str, str] | None = None, **settings: Any) -> dict[str, str]:
    request = REQUEST.model_copy(update={"facts": FACTS, "fields": asked or {}, "graphs": (GRAPH,), "attachments": {}})
    reference = await carry_out(basic(api.url), "open_incident", request, **settings)
    return api.records.incidents[reference.sys_id].fields


async def test_settings_are_templates_and_annotations_come_first(api: ServiceNowApi) -> None:
    settings = {"category": "{cluster}/{step}", "assignment_group": "On-call {namespace}", "urgency": "3"}
    fields = await opened(api, {"assignment_group": "Team {rollout}", "impact": "1"}, fields=settings)
    expected = {"category": "eu1/setWeight: 20", "assignment_group": "Team checkout", "urgency": "3", "impact": "1"}
    assert expected.items() <= fields.items()
    assert "is not used" not in fields["description"]


async def test_the_short_description_can_be_a_template_of_the_settings(api: ServiceNowApi) -> None:
    fields = await opened(api, fields={"short_description": "{rollout} {revision} failed at {weight} %"})
    assert fields["short_description"] == "checkout 7 failed at 20 %"


async def test_a_fact_is_never_read_as_a_template(api: ServiceNowApi) -> None:
    assert (await opened(api, fields={"category": "{cause}"}))["category"] == "error-rate {by}"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("urgency", "9", "it has to be one of 1, 2, 3"),
        ("urgency", "", "it is empty"),
        ("impact", "{nobody}", "there is no {nobody}"),
        ("impact", "{", "write {{ and }}"),
        ("assigned_to", "the admin", "allowed are"),
        ("state", "7", "is filled by Tidegate"),
        ("sys_domain", "global", "is filled by Tidegate"),
        ("Not A Column", "x", "is no name of a column"),
        ("category", "x" * 1001, "it is longer than 1000 characters"),
    ],
)
async def test_what_cannot_be_used_is_said_and_the_incident_is_opened(
    api: ServiceNowApi, name: str, value: str, why: str
) -> None:
    fields = await opened(api, {name: value})
    assert (fields["urgency"], fields["impact"], fields["state"], fields["assigned_to"]) == ("2", "2", "1", "")
    assert fields["description"].startswith(f"the Rollout's {name!r}=")
    assert why in fields["description"]
    assert REQUEST.description in fields["description"]


async def test_an_administrator_says_what_a_rollout_may_set(api: ServiceNowApi) -> None:
    asked = {"u_team": "payments", "urgency": "1"}
    fields = await opened(api, asked, allowed_fields=("u_team",))
    assert (fields["u_team"], fields["urgency"]) == ("payments", "2")
    assert "allowed are u_team" in fields["description"]


async def test_a_group_that_is_not_there_leaves_the_incident_to_the_usual_one(api: ServiceNowApi) -> None:
    api.records.groups = frozenset({"On-call"})
    fields = await opened(api, {"assignment_group": "Misspelled"}, fields={"assignment_group": "On-call"})
    assert fields["assignment_group"] == "On-call"
    assert fields["description"].startswith("ServiceNow did not take assignment_group='Misspelled' of the Rollout")
    assert REQUEST.description in fields["description"]


async def test_what_the_instance_refuses_is_left_out(api: ServiceNowApi) -> None:
    made = {"sys_id": "a" * 32, "number": "INC1", "correlation_id": REQUEST.correlation_id}
    request = REQUEST.model_copy(update={"fields": {"urgency": "1"}, "attachments": {}})
    server = Script().then(200, {"result": []}).then(400, {"error": {"message": "bad", "detail": "urgency"}})
    async with server.then(201, {"result": made}).then(200, {"result": made}):
        reference = await carry_out(basic(server.url), "open_incident", request)
        first, second, told = (seen.json for seen in server.seen[1:])
    assert reference.number == "INC1"
    assert (first["urgency"], second["urgency"], told["urgency"]) == ("1", "2", "2")
    assert "ServiceNow did not take urgency='1'" in told["description"]


# --------------------------------------------------------------------------------------------------------------- links


async def test_the_description_leads_to_the_run_and_to_what_the_gate_saw(api: ServiceNowApi) -> None:
    description = (await opened(api, temporal_ui="https://temporal.internal/namespaces/prod/"))["description"]
    run = (
        "https://temporal.internal/namespaces/prod/workflows/rollout%2Feu1%2Fpayments%2Fcheckout/run-of-a-test/history"
    )
    query = "exp_query=p99%3Atrace.http%7Benv%3Aprod%7D%20by%20%7Bhost%7D&from_ts=1772366400000&to_ts=1772368200000"
    assert f"Temporal: {run}" in description.splitlines()
    assert f"Graph of p99: https://app.datadoghq.com/metric/explorer?{query}&live=false" in description.splitlines()


async def test_no_link_leads_nowhere(api: ServiceNowApi) -> None:
    description = (await opened(api, graph_url=""))["description"]
    assert description == REQUEST.description


@given(st.text())
def test_no_query_breaks_a_link(query: str) -> None:
    query = query.encode(errors="replace").decode()
    graph = GRAPH.model_copy(update={"query": query})
    [line] = links(Facts(), [graph], "https://temporal.internal", GRAPH_URL)
    assert len(line.split()) == 4
    assert line.count("from_ts=1772366400000") == 1


# ------------------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize("text", ["{nobody}", "{}", "{by.name}", "{by[0]}", "{by!r}", "{by:>9}", "{", "}"])
def test_a_template_that_cannot_be_used_is_refused_beforehand(text: str) -> None:
    with pytest.raises(ValidationError, match=r"fields\.category"):
        ServiceNowSettings(fields={"category": text})


@pytest.mark.parametrize("column", ["state", "sys_id", "correlation_id", "", "A", "a-b", "a^b"])
def test_columns_that_others_fill_are_refused_beforehand(column: str) -> None:
    with pytest.raises(ValidationError, match="fields"):
        ServiceNowSettings(fields={column: "x"})
    with pytest.raises(ValidationError, match="allowed_fields"):
        ServiceNowSettings(allowed_fields=(column,))


def test_braces_can_be_meant() -> None:
    assert render("{{{by}}}", FACTS) == "{ana}"


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50)))
def test_nothing_that_a_rollout_says_hurts(asked: dict[str, str]) -> None:
    columns = columns_of({"urgency": "2"}, asked, ("urgency", "category"), FACTS)
    assert set(columns.requested) <= {"urgency", "category"}
    assert len(columns.requested) + len(columns.complaints) == len(asked)
    assert columns.all["urgency"] in LEVELS
