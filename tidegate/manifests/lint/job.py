"""Metrics that a Kubernetes Job measures: whether it can start and will end, and what of it is not honoured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.rollouts import field_findings, pod_template_findings
from tidegate.manifests.pod_template.check import pod_spec_errors
from tidegate.manifests.providers.job import CONFIDENTIAL_REMEDY, KEY, NOT_CONFIDENTIAL, SHORTEST_TTL, Job

CODE: Final = "job"
_USED_METADATA: Final = ("labels", "annotations")
_RESTARTS: Final = ("Never", "OnFailure")
_NUMBERS: Final = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "ttlSecondsAfterFinished",
)

# Field below `provider.job`, what is wrong with it, and the remedy.
Problem = tuple[Path, str, str]


def job_findings(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    """Findings on a metric at `path`; none on another provider's."""
    job = metric.provider.job
    if job is None:
        return
    at = (*path, "provider", KEY)
    pods = (*at, "spec", "template")
    for finding in (
        *pod_template_findings(template, job.spec.template, pods),
        *field_findings(template, pod_spec_errors(job.spec.template, pods, _RESTARTS), CODE),
    ):
        if "{{" not in finding.value:  # only a run knows what stands there
            yield finding
    for where, message, remedy in _problems(template.model, job):
        yield template.finding(Severity.ERROR, CODE, (*at, *where), message, remedy=remedy)
    for where, message, remedy in _surprises(job):
        yield template.finding(Severity.WARNING, CODE, (*at, *where), message, remedy=remedy)
    conditions = {"successCondition": metric.success_condition, "failureCondition": metric.failure_condition}
    for name, condition in conditions.items():
        if condition:
            message = "the end of the Job is the verdict: no condition is asked"
            at = (*path, name)
            yield template.finding(Severity.WARNING, CODE, at, message, value=condition, remedy="leave it out")


def _problems(template: AnalysisTemplate, job: Job) -> Iterator[Problem]:
    given = job.spec.to_wire()
    for name in _NUMBERS:
        number = given.get(name)
        if isinstance(number, int) and number < 0:
            yield ("spec", name), f"{number}: must be greater than or equal to 0", ""
    if job.spec.suspend or job.spec.parallelism == 0:
        where = "suspend" if job.spec.suspend else "parallelism"
        yield ("spec", where), "the Job starts no pod, and so it never ends", "leave it out"
    text = json.dumps(job.to_wire())
    for argument in template.spec.args:
        from_secret = argument.value_from is not None and argument.value_from.secret_key_ref is not None
        if from_secret and re.search(rf"\{{\{{\s*args\.{re.escape(argument.name)}\s*\}}\}}", text):
            yield (), f"args.{argument.name}: {NOT_CONFIDENTIAL}", CONFIDENTIAL_REMEDY


def _surprises(job: Job) -> Iterator[Problem]:
    spec = job.spec
    if spec.active_deadline_seconds is None:
        yield ("spec",), "a Job that hangs holds the analysis without end", "write activeDeadlineSeconds"
    ttl = spec.ttl_seconds_after_finished
    if ttl is not None and 0 <= ttl < SHORTEST_TTL:
        message = f"{ttl}: the Job is kept for {SHORTEST_TTL} s, so that its end is seen"
        yield ("spec", "ttlSecondsAfterFinished"), message, f"write at least {SHORTEST_TTL}, or leave it out"
    if spec.selector is not None or spec.manual_selector:
        where = "selector" if spec.selector is not None else "manualSelector"
        message = "each measurement has a Job of its own: with one selector they take each other's pods for theirs"
        yield ("spec", where), message, "leave it out"
    for name in job.metadata.to_wire():
        if name not in _USED_METADATA:
            message = "not used: each measurement has a Job of its own, of which labels and annotations are given"
            yield ("metadata", name), message, "leave it out"
