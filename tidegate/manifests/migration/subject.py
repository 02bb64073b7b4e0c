"""A Rollout with the templates that it uses, and where in them something is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric, RolloutArgument
from tidegate.manifests.findings import path_text
from tidegate.manifests.rollout import Canary, Rollout
from tidegate.manifests.steps import CanaryStep
from tidegate.manifests.validation.analyses import analysis_path

STEPS = "spec.strategy.canary.steps"


class MigrationSubject(NamedTuple):
    """A Rollout, and the templates that its analyses lead to."""

    rollout: Rollout
    templates: tuple[AnalysisTemplate, ...]

    @property
    def canary(self) -> Canary:
        """Its canary strategy, an empty one where it has another."""
        return self.rollout.spec.strategy.canary or Canary()

    def metrics(self, applies: Callable[[Metric], bool]) -> Iterator[str]:
        """Yield the location of each metric of its templates to which something applies."""
        for template in self.templates:
            for metric in template.spec.metrics:
                if applies(metric):
                    yield f"{template.kind}/{template.metadata.name}, metric {metric.name}"

    def steps(self, applies: Callable[[CanaryStep], bool]) -> Iterator[str]:
        """Yield the path of each step to which something applies."""
        for index, step in enumerate(self.canary.steps):
            if applies(step):
                yield f"{STEPS}[{index}]"

    def arguments(self) -> Iterator[tuple[str, RolloutArgument]]:
        """Yield each argument that the Rollout gives to its analyses, with its path."""
        strategy = self.rollout.spec.strategy.chosen or Canary()
        for location, analysis in strategy.analyses():
            within = path_text(analysis_path(location)[:-1])
            for at, argument in enumerate(analysis.args):
                yield f"{within}.args[{at}]", argument
