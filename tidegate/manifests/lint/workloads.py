"""A Rollout with `workloadRef`, judged with the pod template that its Deployment lends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tidegate.manifests.decode import decode_object
from tidegate.manifests.deployment import Deployment
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.rollouts import beside, field_findings, pod_template_findings
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.validation.rollout import pod_template_errors
from tidegate.manifests.workload import KIND, needs_template, resolved

_TEMPLATE: Path = ("spec", "template")


def lender_of(rollout: Loaded[Rollout], deployments: Sequence[Loaded[Deployment]]) -> Loaded[Deployment] | None:
    """The Deployment in a Rollout's workloadRef; None where it has none, or the Deployment was not given."""
    reference = rollout.model.spec.workload_ref
    if reference is None or reference.kind != KIND or not needs_template(rollout.raw):
        return None
    return beside(rollout, deployments, reference.name)


def with_lent_template(rollout: Loaded[Rollout], lender: Loaded[Deployment] | None) -> Loaded[Rollout]:
    """The Rollout with the template and the selector of its release; with none where they are unknown."""
    if not needs_template(rollout.raw):
        return rollout
    spec = lender.model.spec if lender is not None else None
    whole = resolved(rollout.raw, spec.template if spec else {}, spec.selector if spec else {})
    return replace(rollout, model=decode_object(Rollout, whole, rollout.label))


def lent_template_findings(
    rollout: Loaded[Rollout], lender: Loaded[Deployment] | None, *, complete: bool
) -> Iterator[Finding]:
    """Errors in the template of `rollout` that its Deployment gave, reported for the Deployment."""
    reference = rollout.model.spec.workload_ref
    if lender is not None:
        yield from field_findings(lender, pod_template_errors(rollout.model.spec), "invalid")
        yield from pod_template_findings(lender, rollout.model.spec.template, _TEMPLATE)
    elif reference is not None and reference.kind == KIND and not rollout.model.spec.template:
        path, remedy = ("spec", "workloadRef", "name"), f"give the file that holds {KIND} {reference.name}"
        message = f"{KIND} {reference.name} is not among the manifests"
        if not complete:
            message += "; what depends on its pod template is judged when a release starts"
        severity = Severity.ERROR if complete else Severity.NOTE
        yield rollout.finding(severity, "missing-workload", path, message, value=reference.name, remedy=remedy)
