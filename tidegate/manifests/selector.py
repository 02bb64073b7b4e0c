"""Label selectors: what they match, and what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tidegate.manifests.labels import key_problems, value_problems
from tidegate.manifests.model import Items, Model

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_BETWEEN: Final = re.compile(r",(?![^(]*\))")  # a comma outside parentheses
_PART: Final = re.compile(
    r"(?P<absent>!\s*)?(?P<key>[^\s=!,()]+)"
    r"(?:\s*(?P<sign>==?|!=)\s*(?P<value>[^\s=!,()]*)|\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?"
)


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


def parse_selector(text: str) -> LabelSelector:
    """Read a selector as `kubectl -l` takes it: `app=checkout,tier!=test,env in (a, b),!old`.

    Raises ValueError. Source: k8s.io/apimachinery, labels.Parse, without its comparisons of numbers.
    """
    parts = [_requirement(part.strip()) for part in _BETWEEN.split(text)]
    return LabelSelector(matchExpressions=tuple(parts))


def _requirement(part: str) -> Requirement:
    found = _PART.fullmatch(part)
    if found is None or (found["absent"] and (found["sign"] or found["set"])):
        raise ValueError(f"{part!r} is not like app=checkout, app!=checkout, 'app in (a, b)', app or !app")
    values = _values(found["value"], found["values"])
    if problems := [*key_problems(found["key"]), *(each for value in values for each in value_problems(value))]:
        raise ValueError(f"{part!r}: {problems[0]}")
    if found["sign"] or found["set"]:
        operator = "NotIn" if found["sign"] == "!=" or found["set"] == "notin" else "In"
    else:
        operator = "DoesNotExist" if found["absent"] else "Exists"
    return Requirement(key=found["key"], operator=operator, values=values)


def _values(one: str | None, several: str | None) -> tuple[str, ...]:
    if several is not None:
        return tuple(each.strip() for each in several.split(","))
    return () if one is None else (one,)
