"""The checks in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidegate.manifests.documents import Loaded, Manifests, from_objects
from tidegate.manifests.findings import Finding
from tidegate.manifests.lint.analyses import analysis_findings
from tidegate.manifests.lint.blue_green import blue_green_findings
from tidegate.manifests.lint.compare import comparison_findings
from tidegate.manifests.lint.conditions import CompileCondition
from tidegate.manifests.lint.coverage import coverage_findings
from tidegate.manifests.lint.experiment_objects import experiment_object_findings
from tidegate.manifests.lint.experiments import experiment_findings
from tidegate.manifests.lint.mesh import mesh_findings
from tidegate.manifests.lint.metrics import metric_findings
from tidegate.manifests.lint.named_metrics import Matches
from tidegate.manifests.lint.pod_metadata import pod_metadata_findings
from tidegate.manifests.lint.rollouts import (
    field_findings,
    reference_findings,
    rollout_findings,
)
from tidegate.manifests.lint.routers import router_findings, routing_findings
from tidegate.manifests.lint.scope import bindings
from tidegate.manifests.lint.selectors import changed_selector_findings, left_behind_findings
from tidegate.manifests.lint.templates import template_findings
from tidegate.manifests.lint.workloads import lender_of, lent_template_findings, with_lent_template
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.support import unsupported, unsupported_providers
from tidegate.manifests.templates import template_key, used_templates
from tidegate.manifests.validation.references import Observed, of_kind, reference_errors

# `reference` says of the cluster what these say of files.
_ANSWERED_BY_THE_CLUSTER = ("missing-template", "analysis")


def lint(
    manifests: Manifests,
    *,
    compile_condition: CompileCondition | None = None,
    matches: Matches | None = None,
    complete: bool = False,
) -> list[Finding]:
    """Everything worth saying about manifests, Rollouts and Experiments first; an error refuses them.

    `compile_condition` raises ValueError for a condition that cannot be understood, `matches` says whether a regular
    expression is found in a metric's name; without them conditions and rules are not judged. `complete` says that
    nothing but these manifests will be there: what they name and do not hold is then an error, else it is read from
    the cluster.
    """
    templates = {template_key(template.model): template for template in manifests.templates}
    findings: list[Finding] = []
    for written in manifests.rollouts:
        findings += rollout_findings(written)
        findings += changed_selector_findings(written)
        findings += unsupported(written)
        findings += routing_findings(written)
        lender = lender_of(written, manifests.deployments)
        rollout = with_lent_template(written, lender)
        findings += lent_template_findings(rollout, lender, complete=complete)
        findings += reference_findings(rollout, manifests, complete=complete)
        findings += pod_metadata_findings(rollout)
        findings += experiment_findings(rollout, templates, complete=complete)
        findings += analysis_findings(rollout, templates, matches, complete=complete)
        findings += coverage_findings(rollout, templates)
        findings += blue_green_findings(rollout, templates)
        findings += comparison_findings(rollout, templates, {})
    for experiment in manifests.experiments:
        findings += experiment_object_findings(experiment, templates, complete=complete)
    for key, template in templates.items():
        findings += unsupported_providers(template)
        bound = bindings(key, manifests.rollouts, templates)
        findings += template_findings(template, templates, bound, matches)
        findings += metric_findings(template, bound, compile_condition)
    return list(dict.fromkeys(findings))


def check_release(
    rollout: Mapping[str, Any],
    templates: Sequence[Mapping[str, Any]],
    services: Observed,
    routed: Observed,
    *,
    workload: Mapping[str, Any] | None = None,
    standing: Mapping[str, Mapping[str, str]] | None = None,
    compile_condition: CompileCondition | None = None,
) -> list[Finding]:
    """As `lint`, for a release that is about to start, against what was observed in the cluster.

    `templates` are all that there are for the Rollout, those that it does not use being left alone; `services` are by
    name and `routed` the objects of a router by `Kind/name.namespace`, None standing for what was looked for and not
    found. `workload` is the Deployment that lends the pod template, None where the Rollout has its own; `standing` the
    labels of the pods of each ReplicaSet of the Rollout that has some, by its name.
    Raises ManifestError for an object that cannot be read.
    """
    manifests = from_objects([rollout, *templates, *([workload] if workload is not None else [])])
    written = manifests.rollout()
    loaded = with_lent_template(written, lender_of(written, manifests.deployments))
    used = with_used_templates(manifests, written)
    findings = lint(used, compile_condition=compile_condition)
    by_key = {template_key(template.model): template for template in used.templates}
    findings += comparison_findings(loaded, by_key, standing or {})
    findings += left_behind_findings(loaded, standing or {})
    if loaded.model.spec.strategy.chosen is not None:
        virtual_services = of_kind(routed, "VirtualService")
        rules = {key.rpartition(".")[0]: rule for key, rule in of_kind(routed, "DestinationRule").items()}
        errors = reference_errors(loaded.model, services, virtual_services, templates, rules, routed)
        findings += field_findings(loaded, errors, "reference")
        findings += mesh_findings(loaded, virtual_services)
        findings += router_findings(loaded, routed)
    return list(dict.fromkeys(each for each in findings if each.code not in _ANSWERED_BY_THE_CLUSTER))


def with_used_templates(manifests: Manifests, rollout: Loaded[Rollout]) -> Manifests:
    """The manifests, of the templates only those that a Rollout's analyses lead to."""
    known = {template_key(template.model): template.model for template in manifests.templates}
    strategy = rollout.model.spec.strategy.chosen
    references = strategy.template_refs() if strategy else []
    used = used_templates(references, known).found
    return replace(manifests, templates=tuple(each for each in manifests.templates if template_key(each.model) in used))
