"""A Rollout that was read: the model, and what follows from it alone. An activity reads its Rollout once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.bluegreen.reconcile import BlueGreenRules
from tidegate.canary.reconcile import Rules
from tidegate.contract.payload import Document
from tidegate.contract.traffic import Routing
from tidegate.manifests.rollout import MAX_WEIGHT, BlueGreen, Canary, Rollout, RolloutSpec
from tidegate.manifests.steps import CanaryStep
from tidegate.rollouts.actions import SUBSET

RAMP = "tidegate.io/ramp"  # annotation: "true" lets a canary grow by no more than maxSurge at a time


@dataclass(frozen=True)
class ParsedRollout:
    """Rollout as all readers get it, in place of its document.

    The document itself is needed only where a ReplicaSet is built from its template, and by the analysis engine.
    """

    model: Rollout
    strategy: Canary | BlueGreen
    routing: Routing | None  # None where no router splits its traffic
    rules: Rules | BlueGreenRules

    @classmethod
    def of(cls, model: Rollout) -> ParsedRollout:
        """Derive routing and rules from a model. Raises ValueError where it does not have one strategy."""
        match strategy := model.strategy:
            case Canary():
                return cls(model, strategy, Routing.of(strategy), _canary_rules(model, strategy))
            case BlueGreen():
                history = model.spec.history_limit()
                return cls(
                    model, strategy, None, BlueGreenRules(strategy.active_service, strategy.preview_service, history)
                )

    @classmethod
    def read(cls, document: Document) -> ParsedRollout:
        """Read a manifest. Raises ValueError for one that cannot be read, or does not have one strategy."""
        return cls.of(Rollout.model_validate(document))

    @property
    def steps(self) -> tuple[CanaryStep, ...]:
        """The canary steps; another strategy has none."""
        return self.strategy.steps if isinstance(self.strategy, Canary) else ()

    @property
    def max_weight(self) -> int:
        """The whole that the weights of the steps are parts of."""
        return self.strategy.max_weight() if isinstance(self.strategy, Canary) else MAX_WEIGHT

    @property
    def grows_stable_first(self) -> bool:
        """True when stable gives up pods to the canary, and has to get them back before its traffic."""
        return isinstance(self.strategy, Canary) and self.strategy.dynamic_stable_scale

    @property
    def spec(self) -> RolloutSpec:
        """`spec`; its template is empty where a workload gives it and it is not filled in."""
        return self.model.spec

    @property
    def annotations(self) -> Mapping[str, str]:
        """`metadata.annotations`."""
        return self.model.metadata.annotations


def _canary_rules(model: Rollout, canary: Canary) -> Rules:
    rule = canary.istio.destination_rule if canary.istio else None
    stable_names, canary_names = [canary.stable_service], [canary.canary_service]
    if rule is not None:
        stable_names.append(f"{rule.name}{SUBSET}{rule.stable_subset_name}")
        canary_names.append(f"{rule.name}{SUBSET}{rule.canary_subset_name}")
    return Rules(
        stable=tuple(name for name in stable_names if name),
        canary=tuple(name for name in canary_names if name),
        history=model.spec.history_limit(),
        ramp=model.metadata.annotations.get(RAMP) == "true",
    )
