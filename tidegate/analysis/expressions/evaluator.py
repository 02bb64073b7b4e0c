"""Runs a checked condition over a result, within a budget."""

from __future__ import annotations

from datetime import datetime

from tidegate.analysis.expressions import operators, syntax
from tidegate.analysis.expressions.builtins import call_builtin
from tidegate.analysis.expressions.environment import Environment
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.methods import call_method, has_method
from tidegate.analysis.expressions.patterns import compile_pattern
from tidegate.analysis.expressions.syntax import Node
from tidegate.analysis.expressions.traversals import Scope, traverse
from tidegate.analysis.expressions.types import INTS
from tidegate.analysis.expressions.values import Function, TypedList, type_name
from tidegate.analysis.expressions.visitor import Visitor


class _NilBase(Exception):  # noqa: N818 - a jump, not an error: what stands before `?.` is nil
    """Ends the surrounding chain with nil."""


def evaluate(root: Node, result: object, *, now: datetime | None, budget: Budget) -> object:
    """Return the value of a condition; raises ConditionError with the column of what failed.

    `now` is what `now()` gives; without it such a condition fails, because this room reads no clock.
    """
    return _Evaluator(Environment(result, now, budget)).visit(root)


class _Evaluator(Visitor[object]):
    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._budget = environment.budget
        self._variables: dict[str, object] = {}
        self._scopes: list[Scope] = []

    def _enter(self) -> None:
        self._budget.spend()

    def _truth(self, node: Node) -> bool:
        value = self.visit(node)
        if isinstance(value, bool):
            return value
        raise ConditionError(f"expected bool, but got {type_name(value)}", column=node.column)

    def _literal(self, node: syntax.Literal) -> object:
        return node.value

    def _identifier(self, node: syntax.Identifier) -> object:
        if node.name in self._variables:
            return self._variables[node.name]
        return self._environment.lookup(node.name)

    def _pointer(self, node: syntax.Pointer) -> object:
        scope = self._scopes[-1]
        if node.name == "index":
            return scope.index
        return scope.accumulator if node.name == "acc" else scope.item

    def _unary(self, node: syntax.Unary) -> object:
        if node.operator == "!":
            return not self._truth(node.operand)
        value = self.visit(node.operand)
        return operators.negate(value) if node.operator == "-" else value

    def _binary(self, node: syntax.Binary) -> object:
        operator = node.operator
        if operator in ("&&", "||"):
            decided = self._truth(node.left)
            return decided if decided is (operator == "||") else self.visit(node.right)
        left = self.visit(node.left)
        if operator == "??":
            return self.visit(node.right) if left is None else left
        if operator == "in" and isinstance(node.right, syntax.Binary) and node.right.operator == "..":
            return self._in_range(left, node.right)
        return self._operate(operator, left, self.visit(node.right))

    def _operate(self, operator: str, left: object, right: object) -> object:
        if operator in operators.COMPARISONS:
            return operators.COMPARISONS[operator](left, right)
        if operator in operators.ARITHMETIC:
            return operators.ARITHMETIC[operator](left, right)
        if operator == "+":
            return operators.add(left, right, self._budget)
        if operator in ("==", "!="):
            return operators.equal(left, right, self._budget) is (operator == "==")
        if operator in ("===", "!=="):
            return operators.equal_exactly(left, right) is (operator == "===")
        if operator == "in":
            return operators.contains(left, right, self._budget)
        if operator == "..":
            return self._range(operators.to_int(left), operators.to_int(right))
        return self._text(operator, left, right)

    def _in_range(self, number: object, bounds: syntax.Binary) -> bool:
        """Look between the ends; the list between them may be long."""
        first, last = (operators.to_int(self.visit(end)) for end in (bounds.left, bounds.right))
        if not isinstance(number, int | float) or isinstance(number, bool):
            return False
        return first <= number <= last and number == int(number)

    def _range(self, first: int, last: int) -> object:
        self._budget.allocate(max(0, last - first + 1))
        return TypedList(list(range(first, last + 1)), INTS)

    def _text(self, operator: str, left: object, right: object) -> bool:
        if left is None or right is None:
            return False
        accepted = str | bytes if operator == "matches" else str
        if not isinstance(right, str) or not isinstance(left, accepted):
            raise ConditionError(f"invalid operation: {type_name(left)} {operator} {type_name(right)}")
        text = left if isinstance(left, str) else bytes(left).decode("utf-8", "replace")
        self._budget.string(len(text))
        if operator == "matches":
            pattern = compile_pattern(right)
            # Making a state takes longer than an operation; the cost is the same when the pattern is known already.
            self._budget.spend(10 * (len(right) + len(pattern.states)))
            return pattern.search(text, self._budget)
        if operator == "contains":
            return right in text
        return text.startswith(right) if operator == "startsWith" else text.endswith(right)

    def _conditional(self, node: syntax.Conditional) -> object:
        return self.visit(node.then if self._truth(node.condition) else node.otherwise)

    def _base(self, node: syntax.Member) -> object:
        base = self.visit(node.base)
        if base is None and node.optional:
            raise _NilBase
        return base

    def _member(self, node: syntax.Member) -> object:
        return operators.fetch(self._base(node), self.visit(node.key))

    def _chain(self, node: syntax.Chain) -> object:
        try:
            return self.visit(node.body)
        except _NilBase:
            return None

    def _slice(self, node: syntax.Slice) -> object:
        base = self.visit(node.base)
        stop = None if node.stop is None else operators.to_int(self.visit(node.stop))
        start = None if node.start is None else operators.to_int(self.visit(node.start))
        return operators.cut(base, start, stop, self._budget)

    def _call(self, node: syntax.Call) -> object:
        if isinstance(node.callee, syntax.Member):
            base, name = self._base(node.callee), self.visit(node.callee.key)
            arguments = [self.visit(argument) for argument in node.arguments]
            if has_method(base, name):
                return call_method(base, str(name), arguments)
            callee = operators.fetch(base, name)
        else:
            callee = self.visit(node.callee)
            arguments = [self.visit(argument) for argument in node.arguments]
        if not isinstance(callee, Function):
            raise ConditionError(f"invalid operation: cannot call a {type_name(callee)}")
        return self._environment.call(callee.name, arguments)

    def _builtin(self, node: syntax.Builtin) -> object:
        return call_builtin(node.name, [self.visit(argument) for argument in node.arguments], self._environment)

    def _traversal(self, node: syntax.Traversal) -> object:
        collection = self.visit(node.collection)
        extra = None if node.extra is None else (self.visit(node.extra),)
        scope = Scope()

        def apply() -> object:
            if node.predicate is None:
                return scope.item
            self._scopes.append(scope)
            try:
                return self.visit(node.predicate)
            finally:
                self._scopes.pop()

        return traverse(node.name, collection, scope, apply, extra, self._budget)

    def _let(self, node: syntax.Let) -> object:
        self._variables[node.name] = self.visit(node.value)
        return self.visit(node.body)

    def _sequence(self, node: syntax.Sequence) -> object:
        return [self.visit(part) for part in node.parts][-1]

    def _list(self, node: syntax.ListLiteral) -> object:
        self._budget.allocate(len(node.items))
        return [self.visit(item) for item in node.items]

    def _map(self, node: syntax.MapLiteral) -> object:
        self._budget.allocate(len(node.entries))
        values = [self.visit(entry) for entry in node.entries]
        return {_literal_key(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


def _literal_key(key: object) -> str:
    if isinstance(key, str):
        return key
    raise ConditionError(f"a key of a map must be a string (got {type_name(key)})")
