"""An analysis run as the AnalysisRun object that Argo would write."""

from __future__ import annotations

from typing import Any

from tests.unit.report.accounts import BESIDE, GATE, at, failed, gate, metric
from tidegate.analysis.status import Measurement, Phase, Summary
from tidegate.contract import AnalysisRef, AnalysisRunUpdate, Document, Target
from tidegate.report import analysis_run_object

SPEC: Document = {
    "metrics": [{"name": "error-rate", "provider": {"job": {}}}],
    "args": [{"name": "service", "value": "checkout"}],
}


def document_of(run: AnalysisRef, spec: Document = SPEC, **more: Any) -> Any:
    update = AnalysisRunUpdate(run=run, spec=spec, **more)
    target = Target(namespace="payments", name="checkout")
    return analysis_run_object(update, target, uid="u1", hash_="abc", selector={"app": "checkout"})


def status(run: AnalysisRef) -> Any:
    return document_of(run)["status"]


def test_the_run_of_a_step_is_labelled_and_owned_as_by_argo() -> None:
    document = document_of(gate(Phase.RUNNING))
    assert (document["apiVersion"], document["kind"]) == ("argoproj.io/v1alpha1", "AnalysisRun")
    assert document["metadata"] == {
        "name": GATE,
        "namespace": "payments",
        "labels": {
            "rollouts-pod-template-hash": "abc",
            "rollout-type": "Step",
            "step-index": "1",
            "app": "checkout",
        },
        "annotations": {"rollout.argoproj.io/revision": "2"},
        "ownerReferences": [
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Rollout",
                "name": "checkout",
                "uid": "u1",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    assert document["spec"] == SPEC


def test_a_run_beside_the_steps_has_no_step() -> None:
    labels = document_of(gate(Phase.RUNNING, name=BESIDE))["metadata"]["labels"]
    assert labels == {"rollouts-pod-template-hash": "abc", "rollout-type": "Background", "app": "checkout"}


def test_of_labels_with_one_key_the_selectors_win_then_the_asked_for() -> None:
    asked = {"app": "other", "step-index": "first", "team": "payments"}
    told = document_of(gate(Phase.RUNNING), labels=asked, annotations={"note": "x"})["metadata"]
    assert (told["labels"]["app"], told["labels"]["step-index"], told["labels"]["team"]) == (
        "checkout",
        "first",
        "payments",
    )
    assert told["annotations"] == {"rollout.argoproj.io/revision": "2", "note": "x"}


def test_a_secret_is_a_reference_and_nothing_else() -> None:
    source = {"secretKeyRef": {"name": "datadog", "key": "token"}}
    arguments = [{"name": "token", "value": "hush", "valueFrom": source}, {"name": "service", "value": "checkout"}, "?"]
    document = document_of(gate(Phase.RUNNING), spec={**SPEC, "args": arguments})
    assert document["spec"]["args"] == [
        {"name": "token", "valueFrom": source},
        {"name": "service", "value": "checkout"},
        "?",
    ]
    assert document["spec"]["metrics"] == SPEC["metrics"]


def test_a_spec_without_arguments_is_as_it_was_given() -> None:
    assert document_of(gate(Phase.RUNNING), spec={"metrics": []})["spec"] == {"metrics": []}


def test_a_run_that_has_not_begun() -> None:
    assert status(gate(Phase.PENDING, started_at=None)) == {"phase": "Pending", "runSummary": {}, "dryRunSummary": {}}


def test_a_failed_run_has_its_counts_and_measurements() -> None:
    counted = failed().model_copy(update={"count": 3, "successful": 1, "failed": 2})
    tested = metric(name="latency", phase=Phase.PENDING)
    ended = gate(
        Phase.FAILED,
        counted,
        tested,
        message='Metric "error-rate" assessed Failed due to failed (2) > failureLimit (1)',
        run_summary=Summary(count=2, failed=1),
        dry_run_summary=Summary(count=1, successful=1),
    )
    assert status(ended) == {
        "phase": "Failed",
        "message": 'Metric "error-rate" assessed Failed due to failed (2) > failureLimit (1)',
        "startedAt": "2026-03-01T12:01:00Z",
        "completedAt": "2026-03-01T12:04:00Z",
        "metricResults": [
            {
                "name": "error-rate",
                "phase": "Failed",
                "count": 3,
                "successful": 1,
                "failed": 2,
                "measurements": [
                    {
                        "phase": phase,
                        "value": value,
                        "startedAt": f"2026-03-01T12:0{minute}:00Z",
                        "finishedAt": f"2026-03-01T12:0{minute}:00Z",
                    }
                    for minute, value, phase in ((2, "0.2", "Failed"), (3, "0.001", "Successful"), (4, "0.3", "Failed"))
                ],
            }
        ],
        "runSummary": {"count": 2, "failed": 1},
        "dryRunSummary": {"count": 1, "successful": 1},
    }


def test_a_measurement_that_is_under_way() -> None:
    asked = Measurement(
        phase=Phase.RUNNING, started_at=at(1), resume_at=at(2), message="waits", metadata={"job-name": "j"}
    )
    counts = {"inconclusive": 1, "error": 2, "consecutive_error": 3, "consecutive_success": 4}
    found = status(gate(Phase.RUNNING, metric(asked, dry_run=True, message="so far", **counts)))["metricResults"]
    assert found == [
        {
            "name": "error-rate",
            "phase": "Running",
            "message": "so far",
            "inconclusive": 1,
            "error": 2,
            "consecutiveError": 3,
            "consecutiveSuccess": 4,
            "dryRun": True,
            "measurements": [
                {
                    "phase": "Running",
                    "startedAt": "2026-03-01T12:01:00Z",
                    "resumeAt": "2026-03-01T12:02:00Z",
                    "message": "waits",
                    "metadata": {"job-name": "j"},
                }
            ],
        }
    ]
