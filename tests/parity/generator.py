"""Conditions at random: well-typed for the most part, with a mistake now and then."""

from __future__ import annotations

import json

from hypothesis import strategies as st

_INTEGERS = st.sampled_from(["0", "1", "2", "3", "7", "10", "0x1F", "1_000", "9223372036854775807"])
_FLOATS = st.sampled_from(["0.0", "0.5", "1.0", "2.5", ".25", "1e3", "3.", "0.1", "1e308"])
_STRINGS = st.sampled_from(['""', '"a"', "'ab'", "`abc`", '"5"', '"1.5"', "'x y'", '"é"'])
_PATTERNS = st.sampled_from(["'a'", "'^a'", "'b$'", "'[a-c]+'", "'a|b'", "'^(a|b)*$'", "'\\\\d'", "'.'", "'x?'"])
_ORDER = st.sampled_from(["<", "<=", ">", ">="])
_EQUALITY = st.sampled_from(["==", "!="])

KINDS = ("number", "integer", "boolean", "text", "numbers", "texts")


class Grammar:
    """Strategies for each kind of value, `depth` levels deep; `subject` is how the result counts."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._made: dict[tuple[str, int, str], st.SearchStrategy[str]] = {}

    def of(self, kind: str, depth: int, element: str = "") -> st.SearchStrategy[str]:
        """Return texts of a kind; one operand in thirty is of another kind, as a person would get it wrong."""
        wanted = (kind, depth, element)
        if wanted not in self._made:
            wrong = self._leaves(KINDS[(depth * 5 + len(element)) % len(KINDS)], element)
            right = self._leaves(kind, element)
            if depth > 0:
                right = st.one_of(right, *self._compounds(kind, depth - 1, element))
            self._made[wanted] = st.integers(0, 29).flatmap(lambda dice: right if dice else wrong)
        return self._made[wanted]

    def _leaves(self, kind: str, element: str) -> st.SearchStrategy[str]:
        plain = {
            "number": st.one_of(_INTEGERS, _FLOATS),
            "integer": _INTEGERS,
            "boolean": st.sampled_from(["true", "false"]),
            "text": _STRINGS,
            "numbers": st.sampled_from(["[1, 2, 3]", "[0.5, 2]", "[]", "1..4", "[1.5, 2.5]", "[3, 1.0, 2]"]),
            "texts": st.sampled_from(['["a", "b"]', '["ab"]', 'split("a,b,c", ",")']),
        }[kind]
        own = [st.just("result")] if self._subject == kind or (kind, self._subject) == ("number", "integer") else []
        inner = [st.just("#")] if element == kind or (kind, element) == ("number", "integer") else []
        return st.one_of(plain, *own, *own, *inner, *inner)

    def _compounds(self, kind: str, depth: int, element: str) -> list[st.SearchStrategy[str]]:
        number, integer, boolean = (self.of(each, depth, element) for each in ("number", "integer", "boolean"))
        text, numbers = self.of("text", depth, element), self.of("numbers", depth, element)
        texts = self.of("texts", depth, element)
        same = self.of(kind, depth, element)
        predicate = self.of("boolean", depth, "number")
        mapped = self.of("number", depth, "number")
        common = [
            st.builds("({} ? {} : {})".format, boolean, same, same),
            st.builds("({} ?? {})".format, same, same),
            st.builds("({})".format, same),
        ]
        special: dict[str, list[st.SearchStrategy[str]]] = {
            "number": [
                st.builds("{} {} {}".format, number, st.sampled_from(["+", "-", "*", "**", "^"]), number),
                # The Python binding of the Go engine divides integers its own way.
                st.builds("{} / {}".format, number, _FLOATS),
                st.builds("-{}".format, number),
                st.builds("{}({})".format, st.sampled_from(["abs", "ceil", "floor", "round", "float"]), number),
                st.builds("{}({})".format, st.sampled_from(["max", "min", "sum", "mean", "median"]), numbers),
                st.builds("{}[{}]".format, numbers, integer),
                st.builds("find({}, {})".format, numbers, predicate),
                st.builds("reduce({}, #acc + #, {})".format, numbers, self.of("number", depth)),
                st.builds("sum({}, {})".format, numbers, mapped),
                st.builds("filter({}, {})[{}]".format, numbers, predicate, st.sampled_from(["0", "1"])),
                st.builds("(let v = {}; v + {})".format, number, number),
                integer,
            ],
            "integer": [
                st.builds("{} {} {}".format, integer, st.sampled_from(["+", "-", "*", "%"]), integer),
                st.builds("-{}".format, integer),
                st.builds("len({})".format, st.one_of(numbers, text, texts)),
                st.builds("int({})".format, number),
                st.builds("count({}, {})".format, numbers, predicate),
                st.builds("findIndex({}, {})".format, numbers, predicate),
                st.builds("{}({}, {})".format, st.sampled_from(["bitand", "bitor", "bitxor"]), integer, integer),
                st.builds("indexOf({}, {})".format, text, text),
            ],
            "boolean": [
                st.builds("{} {} {}".format, number, _ORDER, number),
                st.builds("{} {} {} {} {}".format, number, _ORDER, number, _ORDER, number),
                st.builds("{} {} {}".format, number, _EQUALITY, number),
                st.builds("{} {} {}".format, text, st.one_of(_EQUALITY, _ORDER), text),
                st.builds("{} {} {}".format, numbers, _EQUALITY, numbers),
                st.builds("({} {} {})".format, boolean, st.sampled_from(["&&", "||", "and", "or"]), boolean),
                st.builds("{}{}".format, st.sampled_from(["!", "not "]), boolean),
                st.builds("{}({}, {})".format, st.sampled_from(["all", "any", "none", "one"]), numbers, predicate),
                st.builds("({} {} {})".format, number, st.sampled_from(["in", "not in"]), numbers),
                st.builds("({} {} {})".format, text, st.sampled_from(["in", "not in"]), texts),
                st.builds("{} {} {}".format, text, st.sampled_from(["contains", "startsWith", "endsWith"]), text),
                st.builds("{} matches {}".format, text, _PATTERNS),
                st.builds("count({}, {}) {} {}".format, numbers, predicate, _ORDER, integer),
            ],
            "text": [
                st.builds("{} + {}".format, text, text),
                st.builds("{}({})".format, st.sampled_from(["upper", "lower", "trim", "string", "toJSON"]), text),
                st.builds("string({})".format, st.one_of(number, numbers, boolean)),
                st.builds("{}[{}:{}]".format, text, integer, integer),
                st.builds("join({}, {})".format, texts, text),
                st.builds("replace({}, {}, {})".format, text, text, text),
                st.builds("type({})".format, st.one_of(number, text, numbers, boolean)),
            ],
            "numbers": [
                st.builds("[{}, {}]".format, number, number),
                st.builds("filter({}, {})".format, numbers, predicate),
                st.builds("map({}, {})".format, numbers, mapped),
                st.builds("{}[{}:]".format, numbers, integer),
                st.builds("{}({})".format, st.sampled_from(["reverse", "uniq", "flatten"]), numbers),
                # Go sorts what is no list to an empty list; here that is an error, so it is a list for certain.
                st.builds("sort(map({}, #))".format, numbers),
                st.builds("concat({}, {})".format, numbers, numbers),
                st.builds("take({}, {})".format, numbers, integer),
                st.builds("sortBy({}, {})".format, numbers, mapped),
                st.builds("({} | map({}))".format, numbers, mapped),
            ],
            "texts": [
                st.builds("[{}, {}]".format, text, text),
                st.builds("split({}, {})".format, text, text),
                st.builds("keys({{a: {}}})".format, number),
            ],
        }
        return [*common, *special[kind]]


def subjects() -> st.SearchStrategy[tuple[str, float | int | bool | str]]:
    """Return results with the kind of value that they are."""
    return st.one_of(
        st.tuples(st.just("number"), st.sampled_from([0.0, 0.034, 1.0, -1.5, 412.5, 1e21])),
        st.tuples(st.just("integer"), st.sampled_from([0, 1, -3, 200, 2**62])),
        st.tuples(st.just("boolean"), st.booleans()),
        st.tuples(st.just("text"), st.sampled_from(["", "a", "abc", "1.5", "x y"])),
    )


def conditions(depth: int = 3) -> st.SearchStrategy[tuple[str, float | int | bool | str]]:
    """Return conditions with a result to evaluate them over."""
    grammars = {kind: Grammar(kind).of("boolean", depth) for kind in ("number", "integer", "boolean", "text")}
    return subjects().flatmap(lambda subject: st.tuples(grammars[subject[0]], st.just(subject[1])))


def shown(condition: str, result: object) -> str:
    """Return a condition and its result for a message."""
    return f"{condition}   with result = {json.dumps(result)}"
