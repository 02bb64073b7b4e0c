"""Text into data: the scalars of Kubernetes, a place for every field, and no harm from hostile text."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.manifests.findings import ManifestError
from tidegate.manifests.source import MAX_BYTES, Document, SourceLocation, read_documents, read_file


def only(text: str, file: str = "f.yaml") -> Document:
    [document] = read_documents(text, file)
    return document


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("010", 8),
        ("0x1f", 31),
        ("1_000", 1000),
        ("1e3", 1000),
        ("10.0", 10),
        ("0.5", 0.5),
        (".5", 0.5),
        ("yes", True),
        ("Off", False),
        ("y", True),
        ("Y", True),
        ("n", False),
        ("N", False),
        ("on", True),
        ("tRue", "tRue"),
        ("'y'", "y"),
        ("~", None),
        ("", None),
        ('"5"', "5"),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("5x", "5x"),
        ("=", "="),
        (r'"\ud83d\ude00"', "😀"),
    ],
)
def test_scalars_mean_what_they_mean_to_kubernetes(scalar: str, value: object) -> None:
    found = only(f"a: {scalar}").value(("a",))
    assert found == value
    assert type(found) is type(value)


def test_every_field_knows_its_line_in_its_own_document() -> None:
    text = "a: 1\n---\n---\nb:\n  - c: x\n    d: y\n  - e\n"
    first, second = read_documents(text, "f.yaml")
    assert first.location(("a",)) == SourceLocation("f.yaml", 1)
    assert second.location(("b", 0, "d")) == SourceLocation("f.yaml", 6)
    assert second.location(("b", 1)) == SourceLocation("f.yaml", 7)
    assert second.location(("b", 1, "absent", 3)) == SourceLocation("f.yaml", 7)


def test_merge_keys_are_followed_and_own_keys_win() -> None:
    document = only("base: &base {v: 1, w: 1}\nuse:\n  <<: *base\n  w: 2\n")
    assert document.value(("use",)) == {"v": 1, "w": 2}


def test_json_may_be_indented_with_tabs() -> None:
    assert only('{\n\t"a": [1,\n\t2]\n}\t\n').data == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a:\tb", {"a": "b"}),
        ("a\t: b", {"a": "b"}),
        ("a: 3\t# three", {"a": 3}),
        ("a: b\t\nc: d", {"a": "b", "c": "d"}),
        ("a:\t\n  b: c", {"a": {"b": "c"}}),
        ('a: "x"\t# quoted', {"a": "x"}),
        ("a: x\ty", {"a": "x\ty"}),
        ("a: &x\tb\nc: *x\t", {"a": "b", "c": "b"}),
        ("a:\t|\n  x", {"a": "x"}),
        ("a: >-\t\n  x", {"a": "x"}),
        ("a: |2+ # text\n  x\n\n", {"a": "x\n\n"}),
        ("a: {b:\t1,\tc: [1,\t2]}", {"a": {"b": 1, "c": [1, 2]}}),
        ("---\t\na: b\n...\t\n", {"a": "b"}),
    ],
)
def test_tabs_stand_where_kubernetes_takes_them(text: str, data: object) -> None:
    """Answers of sigs.k8s.io/yaml 1.6.0."""
    assert only(text).data == data


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a:\n\tb: c", 2),
        ("a:\n  - x\n\t- y", 3),
        ("a: x\n\ty", 2),
        ("-\ta: b", 1),
        ("? a\n:\tb", 2),
        ("a: |\n  x\n\ty\n", 3),
        ("a: |x\n  y", 1),
        ("a: b\n\t# comment", 2),
    ],
)
def test_a_tab_is_no_indentation(text: str, line: int) -> None:
    with pytest.raises(ManifestError) as caught:
        read_documents(text, "f.yaml")
    [finding] = caught.value.findings
    assert (finding.code, finding.line) == ("yaml", line)


def test_a_key_is_the_text_that_kubernetes_makes_of_it() -> None:
    assert only("y: 1\n8080: 2\n0x10: 3\n1.50: 4\n'n': 5").data == {"true": 1, "8080": 2, "16": 3, "1.5": 4, "n": 5}


def test_of_a_key_given_twice_both_places_are_named() -> None:
    with pytest.raises(ManifestError) as caught:
        read_documents("a:\n  b: 1\n  c: 2\n  b: 3\n", "f.yaml")
    [finding] = caught.value.findings
    assert (finding.code, finding.path, finding.line) == ("duplicate-key", "a.b", 4)
    assert "lines 2 and 4" in finding.message
    assert "keep one of them" in finding.remedy


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "duplicate-key", 3),
        ("x: y\na: [", "yaml", 2),
        ("a: *nowhere", "yaml", 1),
        ("a: .nan", "yaml", 1),
        ("a: .inf", "yaml", 1),
        ('a: "\\ud83d"', "yaml", 1),
        ("a: \x07", "yaml", 1),
        ("? [1]\n: 2", "yaml", 1),
        ("~: 2", "yaml", 1),
        ("a: 1\n<<: 5", "yaml", 2),
        ("a: !!python/name:os.system x", "yaml-tag", 1),
        ("a: !own {b: c}", "yaml-tag", 1),
        ("a: &a [*a]", "too-deep", 1),
        ("a: &a {<<: *a}", "too-deep", 1),
        ("a: " + "[" * 100 + "]" * 100, "yaml", 1),
        ("a: " + "[" * 5000, "yaml", 1),
        ("\n".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9 if n else 'x'}]" for n in range(9)), "too-large", 1),
    ],
)
def test_refuses_with_file_and_line(text: str, code: str, line: int) -> None:
    with pytest.raises(ManifestError) as caught:
        read_documents(text, "f.yaml")
    [finding] = caught.value.findings
    assert (finding.code, finding.file, finding.line) == (code, "f.yaml", line)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"a: " + b"x" * MAX_BYTES, "too-large"), (b"a: \xff", "unreadable"), (None, "unreadable")],
    ids=["too large", "no UTF-8", "missing"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "f.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        read_file(path)
    [finding] = caught.value.findings
    assert (finding.code, finding.file) == (code, str(path))


def test_a_replaced_value_stands_where_it_was_replaced() -> None:
    document = only("a:\n  b: [1, {c: 2}]\n")
    changed = document.replaced(("a", "b", 1, "c"), 3, SourceLocation("patch.yaml", 7))
    assert changed.data == {"a": {"b": [1, {"c": 3}]}}
    assert document.data == {"a": {"b": [1, {"c": 2}]}}
    assert changed.location(("a", "b", 1, "c")) == SourceLocation("patch.yaml", 7)
    with pytest.raises(KeyError):
        document.replaced(("a", "x"), 3, SourceLocation("patch.yaml", 7))


data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(data)
def test_json_means_the_same_here(value: Any) -> None:
    assert only(json.dumps({"a": value}), "f.json").value(("a",)) == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ManifestError):
        assert all(document.location().file == "f.yaml" for document in read_documents(text, "f.yaml"))
