"""Whatever stands in a path and in a document: values are found, or it is said why not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.manifests.jsonpath import JsonPath, PathError

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.-'\\", min_size=1), inner, max_size=3),
    max_leaves=12,
)
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)


@given(JSON, st.text("{}$@.[]()?*:,'\"\\ab01<=> -", max_size=25))
def test_any_path_is_read_or_refused(document: Any, inside: str) -> None:
    try:
        found = JsonPath(f"{{{inside}}}").find(document)
    except PathError:
        return
    assert isinstance(found, list)


@given(st.lists(KEYS, min_size=1, max_size=4), JSON)
def test_every_place_has_a_path(keys: list[str], value: Any) -> None:
    document = value
    for key in reversed(keys):
        document = {key: document}
    escaped = ["".join(f"\\{character}" for character in key) for key in keys]
    for path in ("".join(f"['{key}']" for key in escaped), "".join(f".{key}" for key in escaped)):
        assert JsonPath(f"{{${path}}}").find(document) == [value]


@given(st.lists(st.integers(), min_size=1), st.integers(-12, 12))
def test_an_index_is_within_the_list_or_an_error(items: list[int], index: int) -> None:
    path = JsonPath(f"{{[{index}]}}")
    if -len(items) <= index < len(items):
        assert path.find(items) == [items[index]]
    else:
        with pytest.raises(PathError, match="out of bounds"):
            path.find(items)
