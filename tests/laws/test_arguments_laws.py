"""Laws of arguments: what is put into a metric stands there as it was given, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.analysis.arguments import SpecError, has_placeholder, merge_arguments, substitute

laws = settings(max_examples=50, deadline=None)
names = st.text(alphabet="abc-_", min_size=1, max_size=4)
nasty = st.text(alphabet='ab"\\{}\n é,:', max_size=12)
"""Text with everything that JSON and placeholders are made of."""
plain = nasty.filter(lambda text: "{{" not in text and "}}" not in text)
bare = st.text(alphabet='ab"\\\n é,:', max_size=12)
documents = st.dictionaries(bare, st.recursive(bare, lambda inner: st.lists(inner, max_size=3), max_leaves=5))


@laws
@given(documents, st.dictionaries(names, nasty))
def test_a_metric_without_placeholders_stays_as_it_is(document: dict[str, Any], values: dict[str, str]) -> None:
    assert substitute(document, [{"name": name, "value": value} for name, value in values.items()]) == document


@laws
@given(names, nasty, bare, bare, st.sampled_from(["", " ", "  "]))
def test_a_value_stands_where_its_placeholder_stood(name: str, value: str, left: str, right: str, gap: str) -> None:
    document = {"provider": [{"query": f"{left}{{{{{gap}args.{name}{gap}}}}}{right}"}], right: left}
    given_arguments = [{"name": name, "value": value}]
    assert substitute(document, given_arguments) == {"provider": [{"query": left + value + right}], right: left}


@laws
@given(st.dictionaries(names, plain, min_size=1), st.data())
def test_secrets_may_be_put_in_later(values: dict[str, str], data: st.DataObject) -> None:
    secret = data.draw(st.sets(st.sampled_from(sorted(values))))
    text = "/".join(f"{{{{args.{name}}}}}" for name in values)
    known = [{"name": name, "value": value} for name, value in values.items()]
    without_secrets = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": name}}} if name in secret else argument
        for name, argument in zip(values, known, strict=True)
    ]
    first = substitute({"query": text}, without_secrets)
    assert has_placeholder(first) == bool(secret)
    assert substitute(first, known) == {"query": "/".join(values.values())}


@laws
@given(names, names, bare)
def test_a_placeholder_that_is_no_argument_is_refused(name: str, other: str, text: str) -> None:
    placeholder = f"{{{{args.{name}x}}}}"
    with pytest.raises(SpecError, match="failed to resolve"):
        substitute({"query": text + placeholder}, [{"name": other + "y", "value": text}])


@laws
@given(st.lists(st.tuples(names, nasty), min_size=1, unique_by=lambda pair: pair[0]), st.data())
def test_the_supplied_value_wins_whoever_declares_the_argument(
    pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    defaults = data.draw(st.lists(st.none() | nasty, min_size=len(pairs), max_size=len(pairs)))
    declared = [
        {"name": name} if default is None else {"name": name, "value": default}
        for (name, _), default in zip(pairs, defaults, strict=True)
    ]
    supplied = [{"name": name, "value": value} for name, value in pairs]
    undeclared = {"name": "undeclared", "value": "dropped"}
    merged = merge_arguments([*declared, *declared], [*reversed(supplied), undeclared])
    assert merged == supplied
