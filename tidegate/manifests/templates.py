"""Templates of an analysis: those that it names, and those that they name in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tidegate.manifests.analysis_template import AnalysisTemplate, TemplateRef


class TemplateKey(NamedTuple):
    """Name of a template with its scope."""

    cluster_scope: bool
    name: str

    @property
    def kind(self) -> str:
        """Kind of object that holds it."""
        return "ClusterAnalysisTemplate" if self.cluster_scope else "AnalysisTemplate"


class Used(NamedTuple):
    """Templates in the order in which they are named, each once, and the names that nothing was found for."""

    found: tuple[TemplateKey, ...]
    missing: tuple[TemplateKey, ...]


def used_templates(references: Iterable[TemplateRef], known: Mapping[TemplateKey, AnalysisTemplate]) -> Used:
    """Templates that references lead to, depth first; a circle of templates is followed once."""
    found: dict[TemplateKey, None] = {}
    missing: dict[TemplateKey, None] = {}
    waiting = list(references)
    while waiting:
        reference = waiting.pop(0)
        key = TemplateKey(reference.cluster_scope, reference.template_name)
        if key in found or key in missing:
            continue
        if key in known:
            found[key] = None
            waiting[:0] = known[key].spec.templates
        else:
            missing[key] = None
    return Used(tuple(found), tuple(missing))


def template_key(template: AnalysisTemplate) -> TemplateKey:
    """Key of a template."""
    return TemplateKey(template.cluster_scope, template.metadata.name)
