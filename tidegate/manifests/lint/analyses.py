"""The analyses of a Rollout: templates that are there, arguments that are bound, evidence before full traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidegate.manifests.analysis_template import AnalysisTemplate, RolloutAnalysis
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.arguments import argument_value_findings
from tidegate.manifests.lint.named_metrics import Matches, rule_findings
from tidegate.manifests.lint.rollouts import field_findings
from tidegate.manifests.network import HASH_LABEL
from tidegate.manifests.rollout import AnalysisLocation, BlueGreen, Canary, Rollout
from tidegate.manifests.templates import TemplateKey, used_templates
from tidegate.manifests.validation.analyses import analysis_errors, analysis_path, run_problems

Templates = Mapping[TemplateKey, Loaded[AnalysisTemplate]]

_HASHES = ("Latest", "Stable")


def analysis_findings(
    rollout: Loaded[Rollout], templates: Templates, matches: Matches | None, *, complete: bool
) -> Iterator[Finding]:
    """Errors and surprises in the analyses of a Rollout."""
    strategy = rollout.model.spec.strategy.chosen
    if strategy is None:
        return
    known = {key: template.model for key, template in templates.items()}
    analyses = strategy.analyses()
    for step, analysis in analyses:
        used = used_templates(analysis.templates, known)
        for key in used.missing:
            yield missing_template(rollout, key, analysis_path(step), complete=complete)
        found = [known[key] for key in used.found]
        yield from field_findings(rollout, analysis_errors(found, analysis, step), "analysis")
        yield from _arguments(rollout, step, analysis)
        if not used.missing:
            if step is None:
                yield from _found_by_a_run(rollout, analysis, found)
            yield from _unused_arguments(rollout, step, analysis, found)
            names = [metric.name for template in found for metric in template.spec.metrics]
            yield from rule_findings(rollout, analysis, analysis_path(step)[:-1], [names], matches)
    if isinstance(strategy, Canary) and strategy.analysis is not None and strategy.analysis.starting_step is not None:
        yield from _starting_step(rollout, strategy.analysis.starting_step, len(strategy.steps))
    if not strategy.template_refs() and not analyses:
        yield _no_gate(rollout, strategy)


def _no_gate(rollout: Loaded[Rollout], strategy: Canary | BlueGreen) -> Finding:
    message = "no analysis: every version gets all of the traffic, with no evidence that it is good"
    name, remedy = "canary", "add strategy.canary.analysis, or an analysis step"
    if isinstance(strategy, BlueGreen):
        name, remedy = "blueGreen", "add prePromotionAnalysis or postPromotionAnalysis"
    return rollout.finding(Severity.WARNING, "no-gate", ("spec", "strategy", name), message, remedy=remedy)


def missing_template(rollout: Loaded[Rollout], key: TemplateKey, path: Path, *, complete: bool) -> Finding:
    """The finding for a template that is named at `path` and is not there; an error where nothing else will be."""
    message = f"{key.kind} {key.name} is not among the manifests"
    if not complete:
        message += "; it is read from the cluster, and the release is refused if it is not there"
    severity = Severity.ERROR if complete else Severity.NOTE
    return rollout.finding(
        severity, "missing-template", path, message, remedy=f"give the file that holds {key.kind} {key.name}"
    )


def _arguments(rollout: Loaded[Rollout], step: AnalysisLocation, analysis: RolloutAnalysis) -> Iterator[Finding]:
    for index, argument in enumerate(analysis.args):
        path: Path = (*analysis_path(step)[:-1], "args", index)
        yield from argument_value_findings(rollout, argument.value, (*path, "value"))
        source = argument.value_from
        if source is None:
            continue
        if argument.value is not None:
            message, remedy = (
                f"args.{argument.name} has a value and a valueFrom: valueFrom is used",
                "leave one of them out",
            )
            yield rollout.finding(Severity.WARNING, "argument", path, message, value=argument.value, remedy=remedy)
        chosen = source.pod_template_hash_value
        if chosen is not None and chosen not in _HASHES:
            at = (*path, "valueFrom", "podTemplateHashValue")
            message = "no such hash"
            yield rollout.finding(Severity.ERROR, "hash-value", at, message, value=chosen, remedy="Latest or Stable")
        if source.field_ref and _takes_absent_hash(source.field_ref.field_path, rollout):
            at = (*path, "valueFrom", "fieldRef", "fieldPath")
            message = (
                f"the Rollout itself has no label {HASH_LABEL}: Argo would find nothing there, Tidegate takes the hash "
                "of the newest ReplicaSet, which is what is meant"
            )
            remedy = "write valueFrom: {podTemplateHashValue: Latest}"
            yield rollout.finding(Severity.WARNING, "hash-from-rollout-label", at, message, remedy=remedy)


def _found_by_a_run(
    rollout: Loaded[Rollout], analysis: RolloutAnalysis, templates: list[AnalysisTemplate]
) -> Iterator[Finding]:
    """Errors of a background analysis that Argo finds only when it runs, when the version has traffic."""
    for problem in run_problems(templates, analysis):
        yield rollout.finding(Severity.ERROR, "analysis-run", analysis_path(None), problem)


def _takes_absent_hash(field_path: str, rollout: Loaded[Rollout]) -> bool:
    return field_path == f"metadata.labels['{HASH_LABEL}']" and HASH_LABEL not in rollout.metadata.labels


def _unused_arguments(
    rollout: Loaded[Rollout], step: AnalysisLocation, analysis: RolloutAnalysis, templates: list[AnalysisTemplate]
) -> Iterator[Finding]:
    declared = {argument.name for template in templates for argument in template.spec.args}
    for index, argument in enumerate(analysis.args):
        if argument.name not in declared:
            path = (*analysis_path(step)[:-1], "args", index, "name")
            message = "no template of this analysis declares the argument; it is dropped"
            remedy = f"declared: {', '.join(sorted(declared)) or 'none'}"
            yield rollout.finding(
                Severity.WARNING, "unused-argument", path, message, value=argument.name, remedy=remedy
            )


def _starting_step(rollout: Loaded[Rollout], step: int, count: int) -> Iterator[Finding]:
    if not 0 <= step < count:
        path = ("spec", "strategy", "canary", "analysis", "startingStep")
        message = "there is no such step: the background analysis would never start"
        yield rollout.finding(Severity.WARNING, "starting-step", path, message, value=step, remedy=f"0 to {count - 1}")
