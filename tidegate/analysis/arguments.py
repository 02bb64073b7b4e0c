"""Arguments of an analysis: bound by name, and put into the metrics that mention them.

Source: argo-rollouts, analysis arguments. A value that comes from a Secret is never here: only the reference is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from tidegate.manifests.analysis_template import Metric
from tidegate.manifests.placeholders import PlaceholderError, fill, fill_object

T = TypeVar("T")
_OPEN: Final = "{{"
_PREFIX: Final = "args."
# In Go's order, on which it rests which of several faults is named.
_FIELDS: Final = tuple(field.alias or name for name, field in Metric.model_fields.items())
_SOURCES: Final = ("value", "valueFrom")

Argument = Mapping[str, Any]
"""`{name, value?, valueFrom?}` as in an AnalysisRun."""


class SpecError(ValueError):
    """An analysis cannot be put together from its templates and arguments; the text is Argo's where Argo has one."""


def merge_arguments(declared: Sequence[Argument], supplied: Sequence[Argument]) -> list[dict[str, Any]]:
    """Arguments of the templates, each once in order of appearance, with the supplied values put in.

    A value beats a reference to a Secret while templates are merged; a value that is supplied stands beside the
    reference, which still counts when the argument is used. What no template declares is dropped. Raises SpecError for
    two different values of one name, and for an argument without a value.
    """
    merged: dict[str, dict[str, Any]] = {}
    for argument in declared:
        _declare(merged, argument)
    for argument in supplied:
        known = merged.get(str(argument.get("name")))
        given = _given(argument)
        if known is not None and given:
            source = "value" if "value" in given else "valueFrom"
            known[source] = given[source]
    for name, argument in merged.items():
        if not _given(argument):
            raise SpecError(f"args.{name} was not resolved")
    return list(merged.values())


def substitute(metric: Mapping[str, Any], arguments: Sequence[Argument]) -> dict[str, Any]:
    """The metric with `{{args.NAME}}` replaced everywhere, once; arguments from Secrets stay placeholders.

    Raises SpecError for an argument without value, and for a placeholder that is none of the arguments.
    """
    ordered = {field: metric[field] for field in (*_FIELDS, *metric) if field in metric}
    return _filled(lambda: fill_object(ordered, _values(arguments)))


def fill_text(template: str, values: Mapping[str, str]) -> str:
    """A text with each `{{name}}` replaced, once. Raises SpecError for a name that `values` do not have."""
    return _filled(lambda: fill(template, values))


def has_placeholder(value: object) -> bool:
    """True when an argument is still to be put into a part of a metric."""
    return _OPEN in json.dumps(value, ensure_ascii=False)


def secret_references(arguments: Sequence[Argument]) -> dict[str, dict[str, str]]:
    """The arguments that come from Secrets: argument name -> name and key of the Secret."""
    found = {str(argument.get("name")): _secret(argument) for argument in arguments}
    return {name: reference for name, reference in found.items() if reference is not None}


def _declare(merged: dict[str, dict[str, Any]], argument: Argument) -> None:
    name, given = str(argument.get("name")), _given(argument)
    known = merged.get(name)
    if known is None:
        merged[name] = {"name": name, **given}
        return
    old, new = known.get("value"), given.get("value")
    if old is not None and new is not None and old != new:
        raise SpecError(f"Argument `{name}` specified multiple times with different values: '{old}', '{new}'")
    if old is None and given:
        merged[name] = {"name": name, **given}


def _given(argument: Argument) -> dict[str, Any]:
    return {source: argument[source] for source in _SOURCES if argument.get(source) is not None}


def _secret(argument: Argument) -> dict[str, str] | None:
    source = argument.get("valueFrom") or {}
    reference = source.get("secretKeyRef")
    return {"name": str(reference.get("name", "")), "key": str(reference.get("key", ""))} if reference else None


def _values(arguments: Sequence[Argument]) -> dict[str, str | None]:
    """Values by placeholder; None for one that only the provider's side may know."""
    values: dict[str, str | None] = {}
    for argument in arguments:
        name, value = str(argument.get("name")), argument.get("value")
        secret = _secret(argument) is not None
        if value is None and not secret:
            raise SpecError(f'argument "{name}" was not supplied')
        values[_PREFIX + name] = None if secret else str(value)
    return values


def _filled(fill_in: Callable[[], T]) -> T:
    try:
        return fill_in()
    except PlaceholderError as error:
        raise SpecError(str(error)) from error
