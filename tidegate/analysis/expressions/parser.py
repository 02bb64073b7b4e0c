"""Reads the text of a condition into a syntax tree."""

from __future__ import annotations

from typing import Final, cast

from lark import Token, UnexpectedInput, v_args
from lark.exceptions import VisitError
from lark.visitors import Transformer_NonRecursive

from tidegate.analysis.expressions import syntax
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import MAX_DEPTH, MAX_NODES, MAX_TEXT
from tidegate.analysis.expressions.literals import read_bytes, read_number, read_raw_string, read_string
from tidegate.analysis.expressions.precedence import Infix, Item, Pipe, Prefix, join
from tidegate.analysis.expressions.signatures import BUILTINS
from tidegate.analysis.expressions.syntax import Node
from tidegate.analysis.expressions.unexpected import unexpected
from tidegate.manifests.grammar import Grammar

_CANONICAL: Final = {"and": "&&", "or": "||", "not": "!", "^": "**"}
_CONSTANTS: Final = {"true": True, "false": False, "nil": None}
_PREDICATE_OPTIONAL: Final = frozenset(("count", "sum"))
_EXTRA_ALLOWED: Final = frozenset(("sortBy", "reduce"))
_ENVIRONMENT: Final = "$env"


def parse(text: str) -> Node:
    """Return the syntax tree of a condition; raises ConditionError with the column of what cannot be read."""
    if not text.strip():
        raise ConditionError("the condition is empty", hint="write for example: result < 0.01")
    if len(text) > MAX_TEXT:
        raise ConditionError(f"the condition has {len(text)} characters, at most {MAX_TEXT} are allowed")
    try:
        root = cast(Node, _GRAMMAR.parse(text))
    except UnexpectedInput as error:
        raise _syntax_error(error, text) from None
    except VisitError as error:
        if isinstance(error.orig_exc, ConditionError):
            raise error.orig_exc from None
        raise
    _check_size(root)
    return root


def _check_size(root: Node) -> None:
    for count, (node, depth) in enumerate(syntax.walk(root), start=1):
        if count > MAX_NODES:
            raise ConditionError(f"the condition exceeds {MAX_NODES} operands, operators and calls")
        if depth > MAX_DEPTH:
            raise ConditionError(f"the condition is nested more than {MAX_DEPTH} levels deep", column=node.column)


def _syntax_error(error: UnexpectedInput, text: str) -> ConditionError:
    found, position = unexpected(error, text)
    if found:
        return ConditionError(f"unexpected {found!r}", column=position + 1, hint=_syntax_hint(found))
    hint = "something is missing after its last word"
    return ConditionError("the condition ends too early", column=position + 1, hint=hint)


def _syntax_hint(found: str) -> str:
    if found == "=":
        return "compare with =="
    if found in ("&", "|"):
        return f"write {found * 2}"
    if found in ("'", '"', "`"):
        return "the string has no end"
    return ""


def _column(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _present(nodes: list[Node | None]) -> tuple[Node, ...]:
    """Drop the placeholder of an absent optional part."""
    return tuple(node for node in nodes if node is not None)


@v_args(inline=True)
class _TreeBuilder(Transformer_NonRecursive[Token, Node]):
    """Makes nodes while the text is read; method names are the rules of the grammar."""

    def start(self, body: Node) -> Node:
        return body

    def sequence(self, first: Node, second: Node) -> Node:
        before = first.parts if isinstance(first, syntax.Sequence) else (first,)
        return syntax.Sequence(first.column, (*before, second))

    def binding(self, _let: Token, name: Token, value: Node, body: Node) -> Node:
        return syntax.Let(_column(name), str(name), value, body)

    def branch(self, keyword: Token, condition: Node, then: Node, _else: Token, otherwise: Node) -> Node:
        return syntax.Conditional(_column(keyword), condition, then, otherwise)

    def ternary(self, condition: Node, mark: Token, *branches: Node) -> Node:
        then, otherwise = branches if len(branches) == 2 else (condition, branches[0])
        return syntax.Conditional(_column(mark), condition, then, otherwise)

    def operation(self, *row: Item | Token) -> Node:
        return join([_prefix(item) if isinstance(item, Token) else item for item in row])

    def operator(self, *tokens: Token) -> Infix:
        symbol = str(tokens[-1])
        return Infix(_CANONICAL.get(symbol, symbol), _column(tokens[0]), negated=len(tokens) == 2)

    def pipe(self, name: Token, *arguments: Node | None) -> Pipe:
        if name.type == "PREDICATE":
            return Pipe(lambda left: _traversal(name, left, *arguments))
        return Pipe(lambda left: _call(name, (left, *_present(list(arguments)))))

    def name(self, token: Token) -> syntax.Literal:
        return syntax.Literal(_column(token), str(token))

    def member(self, base: Node, dot: Token, key: syntax.Literal) -> Node:
        return _member(base, dot, key)

    def method(self, base: Node, dot: Token, key: syntax.Literal, *arguments: Node | None) -> Node:
        callee = _member(base, dot, key)
        if isinstance(callee, syntax.Chain):
            return syntax.Chain(callee.column, syntax.Call(callee.column, callee.body, _present(list(arguments))))
        return syntax.Call(callee.column, callee, _present(list(arguments)))

    def optional_index(self, base: Node, dot: Token, bracket: Token, key: Node) -> Node:
        if dot != "?.":
            raise ConditionError("unexpected '['", column=_column(bracket), hint="write a[0] or a?.[0]")
        return syntax.Chain(_column(bracket), syntax.Member(_column(bracket), base, key, optional=True))

    def index(self, base: Node, bracket: Token, key: Node) -> Node:
        if _is_environment(base) and isinstance(key, syntax.Literal) and isinstance(key.value, str):
            return syntax.Identifier(base.column, key.value)
        return syntax.Member(_column(bracket), base, key, optional=False)

    def slice_from(self, base: Node, bracket: Token, start: Node, _colon: Token, stop: Node | None) -> Node:
        return syntax.Slice(_column(bracket), base, start, stop)

    def slice_to(self, base: Node, bracket: Token, _colon: Token, stop: Node | None) -> Node:
        return syntax.Slice(_column(bracket), base, None, stop)

    def number(self, token: Token) -> Node:
        return syntax.Literal(_column(token), read_number(token, _column(token)))

    def string(self, token: Token) -> Node:
        return syntax.Literal(_column(token), read_string(token, _column(token)))

    def raw_string(self, token: Token) -> Node:
        return syntax.Literal(_column(token), read_raw_string(token))

    def bytes_literal(self, token: Token) -> Node:
        return syntax.Literal(_column(token), read_bytes(token, _column(token)))

    def identifier(self, token: Token) -> Node:
        name = str(token)
        if name in _CONSTANTS:
            return syntax.Literal(_column(token), _CONSTANTS[name])
        return syntax.Identifier(_column(token), name)

    def call(self, name: Token, *arguments: Node | None) -> Node:
        return _call(name, _present(list(arguments)))

    def traversal(self, name: Token, collection: Node, *rest: Node | None) -> Node:
        return _traversal(name, collection, *rest)

    def pointer(self, token: Token) -> Node:
        return syntax.Pointer(_column(token), str(token)[1:])

    def shorthand(self, dot: Token, key: syntax.Literal) -> Node:
        return self.member(_element(dot), dot, key)

    def shorthand_method(self, dot: Token, key: syntax.Literal, *arguments: Node | None) -> Node:
        return self.method(_element(dot), dot, key, *arguments)

    def list_literal(self, bracket: Token, *items: Node | None) -> Node:
        return syntax.ListLiteral(_column(bracket), _present(list(items)))

    def map_literal(self, brace: Token, *pairs: tuple[Node, Node] | None) -> Node:
        return syntax.MapLiteral(_column(brace), tuple(node for pair in pairs if pair is not None for node in pair))

    def pair(self, key: Token | Node, value: Node) -> tuple[Node, Node]:
        return (key if isinstance(key, Node) else _map_key(key)), value


def _prefix(token: Token) -> Prefix:
    return Prefix(_CANONICAL.get(token, str(token)), _column(token))


def _element(dot: Token) -> Node:
    if dot == "?.":
        raise ConditionError("unexpected '?.'", column=_column(dot), hint="write #?.name")
    return syntax.Pointer(_column(dot), "")


def _is_environment(node: Node) -> bool:
    return isinstance(node, syntax.Identifier) and node.name == _ENVIRONMENT


def _member(base: Node, dot: Token, key: syntax.Literal) -> Node:
    if _is_environment(base):
        return syntax.Identifier(key.column, str(key.value))
    optional = dot == "?."
    if isinstance(base, syntax.Chain):
        return syntax.Chain(key.column, syntax.Member(key.column, base.body, key, optional))
    member = syntax.Member(key.column, base, key, optional)
    return syntax.Chain(key.column, member) if optional else member


def _map_key(token: Token) -> Node:
    if token.type == "STRING":
        return syntax.Literal(_column(token), read_string(token, _column(token)))
    if token.type == "RAW_STRING":
        return syntax.Literal(_column(token), read_raw_string(token))
    return syntax.Literal(_column(token), str(token))


def _call(name: Token, arguments: tuple[Node, ...]) -> Node:
    if name in BUILTINS:
        return syntax.Builtin(_column(name), str(name), arguments)
    return syntax.Call(_column(name), syntax.Identifier(_column(name), str(name)), arguments)


def _traversal(name: Token, collection: Node, predicate: Node | None = None, extra: Node | None = None) -> Node:
    if predicate is None and name not in _PREDICATE_OPTIONAL:
        raise ConditionError(
            f"{name} needs a predicate", column=_column(name), hint=f"write {name}(result, # < 1): # is one element"
        )
    if extra is not None and name not in _EXTRA_ALLOWED:
        raise ConditionError(f"too many arguments to call {name}", column=extra.column)
    return syntax.Traversal(_column(name), str(name), collection, predicate, extra)


_GRAMMAR: Final = Grammar("conditions.lark", rel_to=__file__, transformer=_TreeBuilder())
