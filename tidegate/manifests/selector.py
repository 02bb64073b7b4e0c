"""Label selectors: what they match, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.manifests.model import Items, Model

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


class Requirement(Model):
    """One expression about a label."""

    key: str = ""
    operator: str = ""
    values: Items[str] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """True when it holds for a set of labels; NotIn holds too for a label that is absent."""
        if self.operator in ("In", "NotIn"):
            return (labels.get(self.key) in self.values) == (self.operator == "In")
        return (self.key in labels) == (self.operator == "Exists")

    def text(self) -> str:
        """The form in a query of the Kubernetes API."""
        values = ",".join(sorted(self.values))
        forms = {"In": f"{self.key} in ({values})", "NotIn": f"{self.key} notin ({values})", "Exists": self.key}
        return forms.get(self.operator, f"!{self.key}")


class LabelSelector(Model):
    """Selector of pods: all labels and all expressions must hold; an empty one matches everything."""

    match_labels: Mapping[str, str] = {}
    match_expressions: Items[Requirement] = ()

    @property
    def empty(self) -> bool:
        """True when it names no label at all."""
        return not self.match_labels and not self.match_expressions

    def matches(self, labels: Mapping[str, str]) -> bool:
        """True when pods with these labels are selected."""
        exact = all(labels.get(key) == value for key, value in self.match_labels.items())
        return exact and all(requirement.matches(labels) for requirement in self.match_expressions)

    def text(self) -> str:
        """The form in a query of the Kubernetes API, in the order of the keys."""
        exact = [(key, f"{key}={value}") for key, value in self.match_labels.items()]
        parts = sorted([*exact, *((each.key, each.text()) for each in self.match_expressions)])
        return ",".join(part for _, part in parts)
