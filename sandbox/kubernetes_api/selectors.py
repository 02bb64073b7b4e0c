"""Label and field selectors, in their query-string form and in the `LabelSelector` form of a spec."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Object, labels, lookup
from sandbox.kubernetes_api.status import bad_request

Predicate = Callable[[Mapping[str, str]], bool]

_KEY = r"[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9_.-]*"
_SET_TERM = re.compile(rf"^(?P<key>{_KEY})\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUALITY_TERM = re.compile(rf"^(?P<key>{_KEY})\s*(?P<op>==|=|!=)\s*(?P<value>{_VALUE})$")
_EXISTS_TERM = re.compile(rf"^(?P<not>!?)\s*(?P<key>{_KEY})$")
_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^()]*\))")


def _requirement(key: str, operator: str, values: tuple[str, ...]) -> Predicate:
    if operator == "In":
        return lambda found: found.get(key) in values
    if operator == "NotIn":
        return lambda found: found.get(key) not in values
    if operator == "Exists":
        return lambda found: key in found
    return lambda found: key not in found


def _label_term(term: str) -> Predicate:
    if match := _SET_TERM.match(term):
        values = tuple(value.strip() for value in match["values"].split(","))
        return _requirement(match["key"], "In" if match["op"] == "in" else "NotIn", values)
    if match := _EQUALITY_TERM.match(term):
        return _requirement(match["key"], "NotIn" if match["op"] == "!=" else "In", (match["value"],))
    if match := _EXISTS_TERM.match(term):
        return _requirement(match["key"], "DoesNotExist" if match["not"] else "Exists", ())
    raise bad_request(
        f"unable to parse requirement: found '{term}', expected: key, !key, key=value, key!=value, key in (..)"
    )


def parse_labels(text: str) -> Predicate:
    """The predicate of a `labelSelector` parameter; an empty one selects everything.

    Raises:
        ApiError: 400 when a term cannot be parsed.
    """
    terms = [_label_term(term.strip()) for term in _COMMA_OUTSIDE_PARENTHESES.split(text)] if text.strip() else []
    return lambda found: all(term(found) for term in terms)


def parse_fields(text: str, kind: Kind) -> Callable[[Object], bool]:
    """The predicate of a `fieldSelector` parameter over whole objects.

    Raises:
        ApiError: 400 when a term cannot be parsed, or names a field that this kind is not indexed by.
    """
    supported = {"metadata.name", "metadata.namespace", *kind.field_labels}
    terms: list[tuple[tuple[str, ...], bool, str]] = []
    for term in filter(None, text.split(",")):
        match = _EQUALITY_TERM.match(term.strip())
        if match is None:
            raise bad_request(f"invalid selector: '{term}'; can't understand it, expected field=value or field!=value")
        if match["key"] not in supported:
            raise bad_request(f"field label not supported: {match['key']}; allowed: {', '.join(sorted(supported))}")
        terms.append((tuple(match["key"].split(".")), match["op"] != "!=", match["value"]))
    return lambda obj: all((str(lookup(obj, *path) or "") == value) is wanted for path, wanted, value in terms)


def label_selector(selector: Mapping[str, Any] | None) -> Predicate:
    """The predicate of a `LabelSelector`. None selects nothing, an empty one everything."""
    if selector is None:
        return lambda _: False
    terms = [_requirement(key, "In", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        values = tuple(expression.get("values") or ())
        terms.append(_requirement(expression.get("key", ""), expression.get("operator", ""), values))
    return lambda found: all(term(found) for term in terms)


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A `LabelSelector` in the form of the query parameter, as the scale subresource and `kubectl -o wide` show it."""
    selector = selector or {}
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        key, operator = expression.get("key", ""), expression.get("operator", "")
        values = ",".join(expression.get("values") or [])
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        terms.append(forms.get(operator, f"!{key}"))
    return ",".join(terms)


def matcher(kind: Kind, label_text: str, field_text: str) -> Callable[[Object], bool]:
    """The predicate of a list or watch request.

    Raises:
        ApiError: 400 for a selector that cannot be parsed or is not supported.
    """
    by_label, by_field = parse_labels(label_text), parse_fields(field_text, kind)
    return lambda obj: by_label(labels(obj)) and by_field(obj)
