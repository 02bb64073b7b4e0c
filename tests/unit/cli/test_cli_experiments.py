"""An Experiment as `tidegate get experiment` draws it."""

from __future__ import annotations

from datetime import UTC, datetime

from tidegate.cli.experiments import experiment_view
from tidegate.contract import ExperimentReport

STATUS = {
    "phase": "Running",
    "availableAt": "2026-01-01T10:00:00Z",
    "templateStatuses": [
        {"name": "a", "replicas": 2, "readyReplicas": 1, "availableReplicas": 1, "status": "Progressing"},
        {
            "name": "b",
            "replicas": 1,
            "readyReplicas": 1,
            "availableReplicas": 1,
            "status": "Running",
            "serviceName": "s",
        },
    ],
    "analysisRuns": [{"name": "x", "analysisRun": "compare-x", "phase": "Running"}],
}


def view(**fields: object) -> list[str]:
    known = {"cluster": "default", "namespace": "payments", "name": "compare", "uid": "u", "status": STATUS}
    return [line.plain for line in experiment_view(ExperimentReport.model_validate({**known, **fields}))]


def test_what_it_waits_for_is_named_with_templates_and_analyses() -> None:
    until = datetime(2026, 1, 1, 10, 10, tzinfo=UTC)
    assert view(waiting_for="the end of its duration", until=until) == [
        "Name:            compare",
        "Namespace:       payments",
        "Status:          ◌ Running",
        "Available:       2026-01-01 10:00:00 UTC",
        "Waits for:       the end of its duration, until 10:10:00 UTC at the latest",
        "",
        "TEMPLATE  STATUS         READY  AVAILABLE  SERVICE",
        "a         ◌ Progressing  1/2    1",
        "b         ◌ Running      1/1    1          s",
        "",
        "ANALYSIS  STATUS     RUN        MESSAGE",
        "x         ◌ Running  compare-x",
    ]


def test_one_that_was_left_says_why() -> None:
    lines = view(left="its object was deleted", waiting_for="", status={"phase": "Failed", "message": "why"})
    assert lines[2:] == ["Status:          ✖ Failed", "Message:         why", "Left:            its object was deleted"]
