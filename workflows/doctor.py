"""Checks of the outside systems by the workers that reach them, so that credentials stay with the workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Any, Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.metric import MetricRules
    from tidegate.analysis.reading import Reading
    from tidegate.analysis.rules import RunRules
    from tidegate.analysis.spec import SpecError, build_run_spec
    from tidegate.contract import (
        DOCTOR_WORKFLOW,
        FOLLOW_UP_QUEUE,
        Activity,
        Check,
        Checks,
        CheckState,
        CheckSystems,
        DoctorRequest,
        MeasureRequest,
        ReleaseRequest,
        cluster_queue,
        metrics_queue,
    )
    from tidegate.manifests.findings import ManifestError
    from workflows.admission import check, parse_request, read_manifest
    from workflows.failures import cause_of
    from workflows.forecast import observe
    from workflows.inputs import read_input
    from workflows.measuring import measure
    from workflows.operator_calls import TIMEOUT, read
    from workflows.plan import Plan
    from workflows.reverts import REPOSITORY

MEASURED: Final = ("datadog", "prometheus", "web")
MEND_QUERY: Final = "tidegate analysis run -f TEMPLATE, with the query mended"
NO_ANSWER: Final = "tidegate doctor; if it stays so, look into the log of the worker of this task queue"

# What gives the series of a query the tag of a version, by the provider.
NO_SERIES: Final = {
    "datadog": (
        "kubectl set env -n datadog daemonset/datadog-agent "
        'DD_KUBERNETES_POD_LABELS_AS_TAGS=\'{"rollouts-pod-template-hash": "rollouts-pod-template-hash"}\''
    ),
    "prometheus": "relabel __meta_kubernetes_pod_label_rollouts_pod_template_hash, or mend the labels of the query",
    "web": "mend the jsonPath of the metric",
}


@workflow.defn(name=DOCTOR_WORKFLOW)
class Doctor:
    """Started by an operator. It reads, and changes nothing."""

    @workflow.run
    async def run(self, request: Any = None, *more: Any) -> Checks:
        """Ask each worker once, and send each query of the release once."""
        wanted = read_input(DoctorRequest, request, "request for checks")
        repository = _repository(wanted)
        found = await asyncio.gather(
            *(_request(queue, activity, wanted.namespace, repository) for queue, activity in _wanted(wanted))
        )
        lines = [line for lines in found for line in lines]
        if wanted.release is not None:
            lines += [line async for line in _queries(parse_request(wanted.release), wanted.queues)]
        return Checks(checks=tuple(lines))


def _wanted(request: DoctorRequest) -> Iterator[tuple[str, Activity]]:
    """Task queues that have workers, and the check of each."""
    checks = (
        (cluster_queue(request.cluster), Activity.CHECK_CLUSTER),
        (metrics_queue("datadog"), Activity.CHECK_DATADOG),
        (metrics_queue("prometheus"), Activity.CHECK_PROMETHEUS),
        (FOLLOW_UP_QUEUE, Activity.CHECK_FOLLOW_UP),
    )
    yield from ((queue, activity) for queue, activity in checks if queue in request.queues)


async def _request(queue: str, activity: Activity, namespace: str, repository: str) -> tuple[Check, ...]:
    """The lines of one worker; one of its own where it gives none."""
    try:
        systems = CheckSystems(namespace=namespace, repository=repository)
        return (await read(activity, systems, Checks, queue, f"check the systems of {queue}")).checks
    except ActivityError as error:
        return (_wrong(f"worker of {queue}", cause_of(error), NO_ANSWER),)


def _repository(request: DoctorRequest) -> str:
    """Address of the repository that an abort would write to; empty without one. Raises `InvalidSpec`."""
    if request.release is None:
        return ""
    return read_manifest(parse_request(request.release)).annotations.get(REPOSITORY, "")


async def _queries(request: ReleaseRequest, queues: Collection[str]) -> AsyncIterator[Check]:
    """Yield a line for each metric of the release's analyses that has a threshold.

    The stable version takes the place of the canary, as that one has no pods yet: its series has the same tags.
    """
    try:
        plan, _ = check(request, read_manifest(request), await observe(request))
        metrics = list(_metrics(plan))
    except (ApplicationError, SpecError, ManifestError) as error:
        yield _wrong("release", str(getattr(error, "message", error)), "tidegate lint -f FILE")
        return
    if plan.is_first:
        yield Check(
            name="queries", state=CheckState.ABSENT, detail="no version runs yet, whose series could be looked for"
        )
        return
    for rules, rule in metrics:
        if metrics_queue(rule.provider) in queues:
            yield await _query(plan, rules, rule)


def _metrics(plan: Plan) -> Iterator[tuple[RunRules, MetricRules]]:
    """Metrics with a threshold, each once by its name. Raises SpecError and ManifestError."""
    seen: set[str] = set()
    for _, analysis in plan.gates:
        spec = build_run_spec(
            analysis=analysis,
            templates=plan.templates,
            rollout=plan.request.rollout,
            stable_hash=plan.seen.stable_hash,
            latest_hash=plan.seen.stable_hash,
        )
        rules = RunRules.of(spec)
        for rule in rules.metrics:
            if rule.provider in MEASURED and rule.name not in seen:
                seen.add(rule.name)
                yield rules, rule


async def _query(plan: Plan, rules: RunRules, rule: MetricRules) -> Check:
    """The line of one query, which was sent once."""
    request = MeasureRequest(
        namespace=plan.request.namespace,
        run=plan.request.name,
        metrics=(dict(rule.document),),
        secret_args={name: dict(reference) for name, reference in rules.secrets.items()},
    )
    name = f"query {rule.name}"
    try:
        [reading] = await measure(plan.request.cluster, rule.provider, request, TIMEOUT)
    except ActivityError as error:
        return _wrong(name, cause_of(error), NO_ANSWER)
    return _result(name, plan.seen.stable_hash, reading, NO_SERIES[rule.provider])


def _result(name: str, version: str, reading: Reading, remedy: str) -> Check:
    query = " ".join(reading.query.split())
    if reading.error:
        return _wrong(
            name,
            f"{reading.error}: {query}" if query else reading.error,
            MEND_QUERY,
        )
    if reading.no_data:
        detail = f"no series for the stable version {version} in the canary's place: {query}"
        return _wrong(name, detail, remedy)
    return Check(name=name, detail=f"{reading.value} for {version}")


def _wrong(name: str, detail: str, remedy: str) -> Check:
    return Check(name=name, state=CheckState.WRONG, detail=detail, remedy=remedy)
