"""An analysis run of a release as Argo's AnalysisRun object: what `kubectl get analysisruns` and Argo's tools show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus, Phase, Summary
from tidegate.contract import AnalysisRunUpdate, Document, Target
from tidegate.manifests.kinds import ARGO_VERSION, REVISION
from tidegate.manifests.network import HASH_LABEL
from tidegate.manifests.plain_text import harmless
from tidegate.report.timestamps import rfc3339

ROLLOUT_TYPE = "rollout-type"
STEP_INDEX = "step-index"


def analysis_run_object(
    update: AnalysisRunUpdate, target: Target, *, uid: str, hash_: str, selector: Mapping[str, str]
) -> Document:
    """The object, `.spec` and `.status` included, owned by the Rollout. Source: argo-rollouts, analysis runs.

    `uid` is that of the Rollout, `selector` its `spec.selector.matchLabels`. Of labels with one key the selector's win,
    then the metadata's that the analysis asks for, as in Argo.
    """
    run = update.run
    labels = {HASH_LABEL: hash_, ROLLOUT_TYPE: run.kind}
    if run.step is not None:
        labels[STEP_INDEX] = str(run.step)
    labels = labels | update.labels | dict(selector)
    annotations = {REVISION: str(run.revision)} | update.annotations
    return _object(update, target.namespace, _owner("Rollout", target.name, uid), labels, annotations)


def experiment_run_object(update: AnalysisRunUpdate, target: Target, *, uid: str) -> Document:
    """The same for a run that the Experiment object `target` owns, which has the labels that it asks for alone."""
    owner = _owner("Experiment", target.name, uid)
    return _object(update, target.namespace, owner, dict(update.labels), dict(update.annotations))


def _owner(kind: str, name: str, uid: str) -> Document:
    return {
        "apiVersion": ARGO_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _object(
    update: AnalysisRunUpdate, namespace: str, owner: Document, labels: Document, annotations: Document
) -> Document:
    return {
        "apiVersion": ARGO_VERSION,
        "kind": "AnalysisRun",
        "metadata": {
            "name": update.run.name,
            "namespace": namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": analysis_run_spec(update.spec),
        "status": analysis_run_status(update.run.status),
    }


def analysis_run_spec(spec: Document) -> Document:
    """`.spec`, in which an argument from a Secret is its reference and nothing else (law 7).

    A value beside the reference is not used, so nothing is lost without it.
    """
    arguments = spec.get("args")
    return spec | {"args": [_without_secret(each) for each in arguments]} if isinstance(arguments, list) else spec


def analysis_run_status(status: AnalysisStatus) -> Document:
    """`.status` in Argo's fields (argo-rollouts, AnalysisRunStatus): what is empty or 0 is left out, as Go does.

    Metrics that were never measured are not listed.
    """
    measured = [_metric(each) for each in status.metrics if each.measurements or each.phase is not Phase.PENDING]
    return {
        "phase": str(status.phase),
        **_given(
            message=harmless(status.message),
            startedAt=status.started_at and rfc3339(status.started_at),
            completedAt=status.completed_at and rfc3339(status.completed_at),
            metricResults=measured,
        ),
        "runSummary": _summary(status.run_summary),
        "dryRunSummary": _summary(status.dry_run_summary),
    }


def _metric(metric: MetricStatus) -> Document:
    return {
        "name": metric.name,
        "phase": str(metric.phase),
        **_given(
            message=harmless(metric.message),
            measurements=[_measurement(each) for each in metric.measurements],
            count=metric.count,
            successful=metric.successful,
            failed=metric.failed,
            inconclusive=metric.inconclusive,
            error=metric.error,
            consecutiveError=metric.consecutive_error,
            consecutiveSuccess=metric.consecutive_success,
            dryRun=metric.dry_run,
        ),
    }


def _measurement(measurement: Measurement) -> Document:
    return {
        "phase": str(measurement.phase),
        "startedAt": rfc3339(measurement.started_at),
        **_given(
            message=harmless(measurement.message),
            value=harmless(measurement.value),
            finishedAt=measurement.finished_at and rfc3339(measurement.finished_at),
            resumeAt=measurement.resume_at and rfc3339(measurement.resume_at),
            metadata=measurement.metadata,
        ),
    }


def _summary(summary: Summary) -> Document:
    return _given(**summary.model_dump())


def _given(**fields: Any) -> Document:
    return {name: value for name, value in fields.items() if value}


def _without_secret(argument: Any) -> Any:
    source = argument.get("valueFrom") if isinstance(argument, Mapping) else None
    if not isinstance(source, Mapping) or not source.get("secretKeyRef"):
        return argument
    return {name: value for name, value in argument.items() if name != "value"}
