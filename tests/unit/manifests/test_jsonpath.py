"""JSONPath in client-go's dialect: what a path leads to, and what it may not do."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.manifests.jsonpath import JsonPath, PathError

DOCUMENT: Any = {
    "data": {
        "ok": True,
        "items": [{"name": "p50", "value": 1.0}, {"name": "p99", "value": 2.5}, {"name": "max"}],
        "a-b": {"c.d/e": 7.0},
        "last": None,
        "my name": 8.0,
        "p99:5m": 9.0,
    },
    "list": [1.0, 2.0, 3.0],
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("{$}", [DOCUMENT]),
        ("{}", [DOCUMENT]),
        ("{$.data.ok}", [True]),
        ("{.data.ok}", [True]),
        ("{@.data.ok}", [True]),
        (" { .data.ok } ", [True]),
        ("{$['data']['ok']}", [True]),
        ('{$["data"].ok}', [True]),
        (r"{.data['a-b']['c\.d/e']}", [7.0]),
        ("{['data.ok', 'data.items[0].name']}", [True, "p50"]),
        ("{.data['my name']}", [8.0]),
        ("{.data.p99:5m}", [9.0]),
        (r"{.data.a-b.c\.d/e}", [7.0]),
        ("{.data.last}", [None]),
        ("{.list[0]}", [1.0]),
        ("{.list[-1]}", [3.0]),
        ("{.list[*]}", [1.0, 2.0, 3.0]),
        ("{.list.*}", [1.0, 2.0, 3.0]),
        ("{.list[0:2]}", [1.0, 2.0]),
        ("{.list[1:]}", [2.0, 3.0]),
        ("{.list[-2:]}", [2.0, 3.0]),
        ("{.list[:-1]}", [1.0, 2.0]),
        ("{.list[::2]}", [1.0, 3.0]),
        ("{.list[3:3]}", []),
        ("{.list[-2:3:2]}", [2.0]),
        ("{.list[0,2]}", [1.0, 3.0]),
        ("{.data['ok','last']}", [True, None]),
        ("{.data.items[*].value}", [1.0, 2.5]),
        ('{.data.items[?(@.name=="p99")].value}', [2.5]),
        ("{.data.items[?(@.name!='p99')].name}", ["p50", "max"]),
        ("{.data.items[?(@.value)].name}", ["p50", "p99"]),
        ("{.list[?(@ >= 2)]}", [2.0, 3.0]),
        ("{.list[?(@ < 1.5)]}", [1.0]),
        ("{.list[?(2 == @)]}", [2.0]),
        ("{.list[?(@ != -1)]}", [1.0, 2.0, 3.0]),
        ("{.data.items[?(.name>'p5')].value}", [1.0, 2.5]),
        ("{.list[7:7].x}", []),
        ("{..value}", [1.0, 2.5]),
        ("{..items[0].name}", ["p50"]),
        ("{..*.name}", ["p50", "p99", "max"]),
        ("{.data..name}", ["p50", "p99", "max"]),
    ],
)
def test_a_path_leads_to_values_in_their_order(path: str, values: list[Any]) -> None:
    assert JsonPath(path).find(DOCUMENT) == values


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("{.nope}", "nope is not found"),
        ("{.data.ok.deeper}", "deeper is not found"),
        ("{.data.last.deeper}", "deeper is not found"),
        ("{.list[3]}", "array index out of bounds: index 3, length 3"),
        ("{.list[-4]}", "array index out of bounds: index -4, length 3"),
        ("{.list[0:9]}", "array index out of bounds: index 8, length 3"),
        ("{.list[::0]}", "step must be > 0"),
        ("{.list[4:]}", "array index out of bounds: index 4, length 3"),
        ("{.list[-4:]}", "array index out of bounds: index -1, length 3"),
        ("{.list[2:1]}", "starting index 2 is greater than ending index 1"),
        ("{.data['c.d/e']}", "c is not found"),
        ("{.data.ok[0]}", "bool is not array or slice"),
        ("{.data[?(@.x)]}", "map is not array or slice and cannot be filtered"),
        ('{.list[?(@=="a")]}', "incompatible types for comparison: number == string"),
        ("{.data.items[?(@ > 1)]}", "invalid type for comparison: map > number"),
        ("{[?(@.x)]}", "map is not array or slice and cannot be filtered"),
        ("{.list[?(@ > true)]}", "invalid type for comparison: number > bool"),
        ("{.data.items[?(@.* == 1)]}", "can only compare one element at a time"),
        ("{.data.items[?(@.value > 1)]}", "value is not found"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path: str, error: str) -> None:
    with pytest.raises(PathError) as caught:
        JsonPath(path).find(DOCUMENT)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("path", "column"),
    [
        ("$.data", "column 1"),
        ("{.data", "the end"),
        ("{.data}{.list}", "column 8"),
        ("ratio: {.data}", "column 1"),
        ("{range .list[*]}{@}{end}", "column 2"),
        ("{.list[a]}", "column 8"),
        ("{.list[?(@.a=)]}", "column 13"),
        ("{.data..}..", "column 10"),
        ("{.list[?(@.a[?(@.b)])]}", "column 13"),
        ("", "the end"),
    ],
)
def test_what_is_no_path_is_refused_with_its_place(path: str, column: str) -> None:
    with pytest.raises(PathError, match=f"unexpected at {column} of "):
        JsonPath(path)


def nested(depth: int) -> Any:
    value: Any = 1.0
    for _ in range(depth):
        value = {"a": value, "b": [1.0]}
    return value


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("{" + "...*" * 3 + "}", [nested(100)] * 50),
        ("{..[?(@..b)]}", [[nested(100)] * 200]),
        ("{[*][" + ",".join(["'a'"] * 200) + "]}", [{"a": 1.0}, *[{}] * 10_000]),
        ("{..x}", [0.0] * 300_000),
    ],
    ids=["all of all", "a descent in a filter", "many names", "a long list"],
)
def test_a_path_cannot_be_made_to_take_long(path: str, document: Any) -> None:
    with pytest.raises(PathError, match="the path leads past more than 200000 values"):
        JsonPath(path).find(document)


def test_a_path_has_a_length() -> None:
    with pytest.raises(PathError, match="longer than 1000 characters"):
        JsonPath("{" + ".a" * 500 + "}")
    assert JsonPath("{" + "[*]" * 300 + "}").find([]) == []
