"""Scope of a query, the canary or more: by the analyses that use a template, and the values of its arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from tidegate.manifests.analysis_template import AnalysisTemplate, RolloutAnalysis, RolloutArgument
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.network import HASH_LABEL
from tidegate.manifests.rollout import AnalysisLocation, Rollout
from tidegate.manifests.templates import TemplateKey, used_templates

# Fields of a Rollout that differ between versions.
_VERSIONED_FIELD = re.compile(rf"{HASH_LABEL}|currentPodHash|version|revision|image|spec\.template")
_VERSIONED_NAME = re.compile(r"hash|canary|version|revision", re.IGNORECASE)
_ARGUMENT = re.compile(r"\{\{\s*args\.(.*?)\s*\}\}")
# Datadog's `tag:value`, and PromQL's `label="value"` and `label=~"value"`.
_CANARY_TAG = re.compile(r"[\w.-]+(?::|\s*=~?\s*[\"'`])[^,{}\s]*canary", re.IGNORECASE)
_VERSION = "<version of the canary>"


class Binding(NamedTuple):
    """One analysis of a Rollout that uses a template, and its place."""

    rollout: Loaded[Rollout]
    step: AnalysisLocation
    analysis: RolloutAnalysis

    def __str__(self) -> str:
        where = f"step {self.step}" if isinstance(self.step, int) else self.step or "background analysis"
        return f"{self.rollout.label}, {where}"


class LintScope(Enum):
    """The pods that a query reads."""

    CANARY = "canary"
    UNKNOWN = "unknown"
    EVERYTHING = "everything"


def bindings(
    key: TemplateKey, rollouts: Sequence[Loaded[Rollout]], templates: Mapping[TemplateKey, Loaded[AnalysisTemplate]]
) -> list[Binding]:
    """Analyses that lead to a template."""
    known = {each: template.model for each, template in templates.items()}
    return [
        Binding(rollout, step, analysis)
        for rollout in rollouts
        if (strategy := rollout.model.spec.strategy.chosen) is not None
        for step, analysis in strategy.analyses()
        if key in used_templates(analysis.templates, known).found
    ]


def scope_of(query: str, template: AnalysisTemplate, binding: Binding | None) -> LintScope:
    """Scope of a query when an analysis supplies the arguments; `binding` None when no analysis is known."""
    text = _ARGUMENT.sub(lambda found: _meaning(found[1], template, binding), query)
    if _VERSION in text or _CANARY_TAG.search(text):
        return LintScope.CANARY
    return LintScope.UNKNOWN if binding is None and _ARGUMENT.search(query) else LintScope.EVERYTHING


def open_scope(template: Loaded[AnalysisTemplate], query: str, path: Path, remedy: str) -> Iterator[Finding]:
    """A note for a query whose scope only its arguments decide, while no analysis supplies any."""
    if scope_of(query, template.model, None) is LintScope.UNKNOWN:
        deciding = ", ".join(dict.fromkeys(f"args.{name}" for name in _ARGUMENT.findall(query)))
        message = f"whether the query looks at the canary alone is decided by what is given for {deciding}"
        yield template.finding(Severity.NOTE, "open-scope", path, message, remedy=remedy)


def is_versioned(argument: RolloutArgument) -> bool:
    """True when a Rollout fills an argument with a value that only the canary has."""
    source = argument.value_from
    if argument.value is not None or source is None:
        return False
    if source.field_ref is not None:
        return bool(_VERSIONED_FIELD.search(source.field_ref.field_path))
    return source.pod_template_hash_value == "Latest"


def _meaning(name: str, template: AnalysisTemplate, binding: Binding | None) -> str:
    if binding is None:
        return _VERSION if _VERSIONED_NAME.search(name) else next(_defaults(name, template), "")
    supplied = [argument for argument in binding.analysis.args if argument.name == name]
    if any(map(is_versioned, supplied)):
        return _VERSION
    return next(_values(supplied), next(_defaults(name, template), ""))


def _values(arguments: Iterable[RolloutArgument]) -> Iterator[str]:
    return (argument.value for argument in arguments if argument.value is not None)


def _defaults(name: str, template: AnalysisTemplate) -> Iterator[str]:
    return (each.value for each in template.spec.args if each.name == name and each.value is not None)
