"""Arguments: merged by name, put in once, Secrets left out."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.analysis.arguments import SpecError, merge_arguments, secret_references, substitute

SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}


def value(name: str, text: str | None = None) -> dict[str, Any]:
    return {"name": name} if text is None else {"name": name, "value": text}


@pytest.mark.parametrize(
    ("declared", "supplied", "merged"),
    [
        ([value("x", "1"), value("y", "2")], [], [value("x", "1"), value("y", "2")]),
        ([value("x"), value("x", "2")], [], [value("x", "2")]),
        ([value("x", "2"), value("x")], [], [value("x", "2")]),
        ([value("x", "2"), value("x", "2")], [], [value("x", "2")]),
        ([value("x", "d")], [value("x", "")], [value("x", "")]),
        ([value("x", "d")], [value("x")], [value("x", "d")]),
        ([value("x", "d")], [value("stranger", "1")], [value("x", "d")]),
        ([{"name": "x", "valueFrom": SECRET}, value("x")], [], [{"name": "x", "valueFrom": SECRET}]),
        ([value("x"), {"name": "x", "valueFrom": SECRET}], [], [{"name": "x", "valueFrom": SECRET}]),
        ([{"name": "x", "valueFrom": SECRET}], [value("x", "v")], [{"name": "x", "valueFrom": SECRET, "value": "v"}]),
    ],
)
def test_merging(declared: list[Any], supplied: list[Any], merged: list[Any]) -> None:
    assert merge_arguments(declared, supplied) == merged


def test_two_values_for_one_name_are_refused() -> None:
    with pytest.raises(SpecError, match="Argument `x` specified multiple times with different values: '1', '2'"):
        merge_arguments([value("x", "1"), value("x", "2")], [value("x", "3")])


def test_an_argument_that_nobody_gives_a_value_is_refused() -> None:
    with pytest.raises(SpecError, match=r"args\.x was not resolved"):
        merge_arguments([value("x")], [])


def test_merging_leaves_what_it_was_given_alone() -> None:
    declared = [value("x", "1")]
    merge_arguments(declared, [value("x", "2")])
    assert declared == [value("x", "1")]


def test_every_part_of_a_metric_may_hold_an_argument() -> None:
    metric = {"name": "{{args.n}}", "count": "{{ args.c }}", "provider": {"datadog": {"queries": {"{{args.n}}": "q"}}}}
    assert substitute(metric, [value("n", 'a "b"\n'), value("c", "3")]) == {
        "name": 'a "b"\n',
        "count": "3",
        "provider": {"datadog": {"queries": {'a "b"\n': "q"}}},
    }


def test_the_first_closing_braces_end_a_placeholder() -> None:
    query = "sum:hits{service:{{args.s}}}"
    assert substitute({"query": query}, [value("s", "checkout")]) == {"query": "sum:hits{service:checkout}"}


def test_an_argument_from_a_secret_stays_a_placeholder() -> None:
    arguments = [{"name": "token", "valueFrom": SECRET, "value": "default"}, value("host", "h")]
    metric = {"url": "{{args.host}}?t={{args.token}}"}
    assert substitute(metric, arguments) == {"url": "h?t={{args.token}}"}
    assert secret_references(arguments) == {"token": {"name": "s", "key": "k"}}


@pytest.mark.parametrize(
    ("template", "arguments", "said"),
    [
        ("{{args.z}}", [], "failed to resolve {{args.z}}"),
        ("{{x}}", [value("x", "1")], "failed to resolve {{x}}"),
        ("plain", [value("x")], 'argument "x" was not supplied'),
        ("plain", [{"name": "x", "valueFrom": {"fieldRef": {"fieldPath": "a"}}}], 'argument "x" was not supplied'),
        (
            "a {{args.x",
            [value("x", "1")],
            r'Cannot find end tag="}}" in the template="{\"query\":\"a {{args.x\"}" starting from "args.x\"}"',
        ),
    ],
)
def test_what_cannot_be_put_in_is_named(template: str, arguments: list[Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        substitute({"query": template}, arguments)
    assert str(caught.value) == said


def test_an_endless_text_is_not_quoted_at_length() -> None:
    with pytest.raises(SpecError) as caught:
        substitute({"query": "{{" + "x" * 100_000}, [])
    assert len(str(caught.value)) < 2_000


@given(name=st.text(string.ascii_letters + ".-_", min_size=1), text=st.text())
def test_any_value_arrives_unchanged_and_is_not_looked_into(name: str, text: str) -> None:
    metric = {"query": f"<{{{{args.{name}}}}}>", "deep": [{"er": f"{{{{ args.{name} }}}}"}]}
    assert substitute(metric, [value(name, text)]) == {"query": f"<{text}>", "deep": [{"er": text}]}
