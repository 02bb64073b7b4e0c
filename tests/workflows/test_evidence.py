"""What a release asks of ServiceNow, from its manifest and what it knows: columns, facts, graphs, changes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.report.accounts import START, at, failed, gate, measured, metric, release, rolled_back, weight
from tests.unit.report.test_comparisons import RECORDED
from tidegate.analysis.status import Phase
from tidegate.contract import Observation, ParsedRollout, ReleaseRequest, ReleaseStatus, Source
from tidegate.manifests.documents import load
from workflows.incident_requests import change_outcome, change_request, incident_request, resolve_request, traffic_note
from workflows.plan import Plan

EXAMPLES = Path(__file__).parents[2] / "examples" / "checkout"
CAUSE = "error-rate assessed Failed"


def planned(more: dict[str, str] | None = None, **annotations: str) -> Plan:
    """The example's Rollout with `more` annotations; `_` in the names of the others stands for `-`."""
    loaded = load([EXAMPLES / name for name in ("rollout.yaml", "analysis-template.yaml")])
    rollout = loaded.rollout()
    named = {f"tidegate.io/servicenow-{name.replace('_', '-')}": value for name, value in annotations.items()}
    raw: dict[str, Any] = deepcopy(rollout.raw)
    raw["metadata"]["annotations"] = named | (more or {})
    request = ReleaseRequest(
        namespace="payments", name="checkout", rollout=raw, templates=tuple(each.raw for each in loaded.templates)
    )
    return Plan.of(request, ParsedRollout.read(raw), Observation(at=datetime.now(UTC)), None)


def known(**more: Any) -> ReleaseStatus:
    return release(gate(Phase.FAILED, failed()), by="ana", source=Source(commit="abc123"), **more)


def test_annotations_ask_for_columns() -> None:
    generic = {"tidegate.io/servicenow-field.category": "software", "tidegate.io/servicenow-field.urgency": "3"}
    plan = planned(generic, assignment_group="Payments", urgency="1", impact="{step}", change="true")
    asked = {"assignment_group": "Payments", "urgency": "1", "impact": "{step}", "category": "software"}
    assert incident_request(plan, known(), CAUSE).fields == asked
    opened = change_request(plan, known())
    assert opened is not None
    assert opened.fields == asked


def test_no_annotation_asks_for_nothing() -> None:
    assert incident_request(planned(), known(), CAUSE).fields == {}


def test_the_facts_are_those_of_the_release() -> None:
    facts = incident_request(planned(), known(), CAUSE).facts
    assert (facts.namespace, facts.rollout, facts.cluster, facts.revision) == ("payments", "checkout", "default", "1")
    assert (facts.step, facts.weight, facts.by, facts.commit, facts.cause) == ("analysis", "10", "ana", "abc123", CAUSE)
    assert (facts.workflow, facts.run) == ("rollout/default/payments/checkout", "1")
    assert facts.images


def test_graphs_show_the_queries_of_what_failed_and_some_time_around() -> None:
    reading = measured(2, "0.2", Phase.FAILED).model_copy(update={"query": "errors / hits\nerrors: e{*}\nhits: h{*}"})
    lone = measured(3, "1", Phase.FAILED).model_copy(update={"query": "p99:trace{*}"})
    status = release(
        gate(
            Phase.FAILED,
            metric(reading, phase=Phase.FAILED),
            metric(lone, name="p99-latency", phase=Phase.FAILED),
            metric(lone, name="of-another-provider", phase=Phase.FAILED),
            metric(lone, name="fine", phase=Phase.SUCCESSFUL),
        )
    )
    plan = planned()
    names = [each["name"] for template in plan.templates for each in template["spec"]["metrics"]]
    assert {"error-rate", "p99-latency"} <= set(names)
    graphs = incident_request(plan, status, CAUSE).graphs
    assert [(graph.metric, graph.query) for graph in graphs] == [
        ("error-rate", "e{*}"),
        ("error-rate", "h{*}"),
        ("p99-latency", "p99:trace{*}"),
    ]
    assert (graphs[0].start, graphs[0].end) == (at(-8), at(12))


def test_a_query_of_several_lines_is_one_link_and_no_line_is_lost() -> None:
    lines = "sum:trace.http.request.errors{service:checkout,\n  hash:abc}.as_count()"
    named = f"errors / hits\nerrors: {lines}\nhits: sum:hits{{service:checkout,\n  hash:abc}}"
    queries = {"errors": "", "hits": ""}
    template = {"spec": {"metrics": [{"name": "ratio", "provider": {"datadog": {"queries": queries}}}]}}
    plan = planned()
    plan = replace(plan, templates=(*plan.templates, template))
    readings = {"error-rate": lines, "ratio": named}
    metrics = [
        metric(measured(2, "1", Phase.FAILED).model_copy(update={"query": query}), name=name, phase=Phase.FAILED)
        for name, query in readings.items()
    ]
    graphs = incident_request(plan, release(gate(Phase.FAILED, *metrics)), CAUSE).graphs
    whole = "sum:trace.http.request.errors{service:checkout, hash:abc}.as_count()"
    assert [graph.query for graph in graphs] == [whole, whole, "sum:hits{service:checkout, hash:abc}"]


def test_the_first_lines_of_an_incident_tell_what_why_cost_state_and_remedy() -> None:
    status = rolled_back(gate(Phase.FAILED, failed()), images={"checkout": "registry/checkout:1.2.0-bad"})
    lines = incident_request(planned(), status, CAUSE).summary.splitlines()
    reason = "error-rate is bad (failed (2) > failureLimit (1)): 0.3 seen"
    assert lines == [
        "What happened: payments/checkout revision 2 (registry/checkout:1.2.0-bad) was rolled back at 10 %, "
        "in step 2/4 (analysis)",
        f"Why: {reason}",
        "Cost: up to 10 % of the requests went to it, for 3m6s (12:01:00 to 12:04:06 UTC)",
        "Now: all traffic is on the stable version; the aborted version's pods go",
        "What to do: nothing for the traffic; look at why with tidegate explain checkout -n payments, mend the "
        "version, and start a new release",
    ]


def test_an_incident_whose_traffic_is_not_back_does_not_claim_it() -> None:
    status = rolled_back(gate(Phase.FAILED, failed()), actual_weight=10, weights=(weight(1, 10),), finished_at=None)
    summary = incident_request(planned(), status, CAUSE).summary
    assert "Now: 10 % of the traffic is still on it" in summary
    assert "What to do: mend what is refused" in summary
    assert "Cost: up to 10 % of the requests went to it, for 0s so far" in summary


def test_what_is_healthy_resolves_what_came_before() -> None:
    now = START + timedelta(hours=1)
    request = resolve_request(planned(), known(), now)
    assert (request.release, request.revision, request.run_id, request.at) == (
        "rollout/default/payments/checkout",
        1,
        "1",
        now,
    )
    assert "revision 1 of payments/checkout is healthy" in request.text


@pytest.mark.parametrize("annotation", ["true", "True "])
def test_a_change_is_opened_and_closed_under_one_cause(annotation: str) -> None:
    plan, status = planned(change=annotation), known()
    opened, closed = change_request(plan, status), change_outcome(plan, status, at(9), "Healthy", good=True)
    assert opened is not None
    assert closed is not None
    assert opened.correlation_id == closed.correlation_id == "rollout/default/payments/checkout/1/1/change"
    assert (closed.successful, closed.text) == (True, "Tidegate: Healthy")
    assert (opened.start, closed.end) == (START, at(9))
    assert "Git:  abc123" in opened.description
    assert "payments/checkout" in opened.short_description


@pytest.mark.parametrize("annotations", [{}, {"change": "false"}, {"change": "x"}])
def test_only_a_rollout_that_wants_a_change_has_one(annotations: dict[str, Any]) -> None:
    plan = planned(**annotations)
    assert change_request(plan, known()) is None
    assert change_outcome(plan, known(), at(9), "Healthy", good=True) is None


def test_a_run_and_its_reset_know_records_by_the_same_name() -> None:
    """Of what was begun before a reset nothing is begun again: what follows has to find it."""
    plan = planned(change="true")
    first, reset = known(run_id="r1", first_run_id="r1"), known(run_id="r2", first_run_id="r1")
    opened = [change_request(plan, status) for status in (first, reset)]
    assert opened[0] is not None
    assert opened[1] is not None
    assert opened[0].correlation_id == opened[1].correlation_id
    incidents = [incident_request(plan, status, CAUSE).correlation_id for status in (first, reset)]
    noted = [traffic_note(plan, status).correlation_id for status in (first, reset)]
    assert len({*incidents, *noted}) == 1


def test_an_incident_has_the_sentence_of_a_comparison_and_no_condition() -> None:
    status = RECORDED["harm"]
    compared = gate(status.phase, *status.metrics, message=status.message)
    text = incident_request(planned(), known().model_copy(update={"analyses": (compared,)}), CAUSE).description
    assert "  as-good-as-stable: Failed (canary compared with stable)\n    Harm, errors: 24 of 1,013 canary" in text
    assert "    at 50 % since 12:00:00 UTC; the canary answers 50.4 % of the requests" in text
    assert "no condition" not in text
