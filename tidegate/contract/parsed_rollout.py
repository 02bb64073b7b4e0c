"""A Rollout that was read: the model, and what follows from it alone. An activity reads its Rollout once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.canary.reconcile import SUBSET, Rules
from tidegate.contract.payload import Document
from tidegate.contract.traffic import Routing
from tidegate.manifests.rollout import Canary, Rollout, RolloutSpec

RAMP = "tidegate.io/ramp"  # annotation: "true" lets a canary grow by no more than maxSurge at a time


@dataclass(frozen=True)
class ParsedRollout:
    """Rollout as all readers get it, in place of its document.

    The document itself is needed only where a ReplicaSet is built from its template, and by the analysis engine.
    """

    model: Rollout
    canary: Canary
    routing: Routing | None  # None where no router splits its traffic
    rules: Rules

    @classmethod
    def of(cls, model: Rollout) -> ParsedRollout:
        """Derive routing and rules from a model. Raises ValueError where it has no canary strategy."""
        return cls(model, model.canary, Routing.of(model.canary), _rules(model))

    @classmethod
    def read(cls, document: Document) -> ParsedRollout:
        """Read a manifest. Raises ValueError for one that cannot be read, or has no canary strategy."""
        return cls.of(Rollout.model_validate(document))

    @property
    def spec(self) -> RolloutSpec:
        """`spec`; its template is empty where a workload gives it and it is not filled in."""
        return self.model.spec

    @property
    def annotations(self) -> Mapping[str, str]:
        """`metadata.annotations`."""
        return self.model.metadata.annotations


def _rules(model: Rollout) -> Rules:
    canary, rule = model.canary, model.canary.istio.destination_rule if model.canary.istio else None
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
