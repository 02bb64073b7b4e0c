"""Where code looks into a text that is for people, in order to decide something. Pure: works on syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_SEARCHES = (
    "count find findall finditer fullmatch index match partition removeprefix removesuffix rfind rpartition search"
)
_READERS = frozenset(f"{_SEARCHES} split startswith endswith".split())


def decisions(source: str, texts: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Line and code of each decision by one of the fields called `texts`, as attribute, key or `.get`.

    A decision is a comparison, a method that searches in a text, and a condition; but for one that asks whether there
    is a text, and then only shows it.
    """
    found = {
        part
        for node in ast.walk(ast.parse(source))
        if not _only_shows(node, texts)
        for part in _asked(node)
        if _has(part, texts)
    }  # a comparison may be the condition itself
    for part in found:
        if not any(other is not part and other in ast.walk(part) for other in found):
            yield part.lineno, ast.unparse(part)


def _asked(node: ast.AST) -> list[ast.expr]:
    """The parts of a piece of code on which its outcome depends."""
    match node:
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
            return [node.test]
        case ast.comprehension():
            return node.ifs
        case ast.Match():
            return [node.subject]
        case ast.match_case(guard=ast.expr() as guard):
            return [guard]
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return [node]
        case ast.Call(func=ast.Attribute(attr=name)) if name in _READERS:
            return [node]
    return []


def _is_text(node: ast.AST, texts: frozenset[str]) -> bool:
    match node:
        case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name in texts
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str() as name), *_]):
            return name in texts
    return False


def _only_shows(node: ast.AST, texts: frozenset[str]) -> bool:
    """Whether a condition asks for a text to be there, where it is shown."""
    if not isinstance(node, ast.If | ast.IfExp):
        return False
    shown = [ast.dump(each) for part in _branch(node) for each in ast.walk(part) if _is_text(each, texts)]
    return all(ast.dump(each) in shown for each in _terms(node.test) if _has(each, texts))


def _branch(node: ast.If | ast.IfExp) -> list[ast.AST]:
    return [*node.body] if isinstance(node, ast.If) else [node.body]


def _terms(test: ast.expr) -> list[ast.expr]:
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]


def _has(node: ast.AST, texts: frozenset[str]) -> bool:
    return any(_is_text(each, texts) for each in ast.walk(node))
