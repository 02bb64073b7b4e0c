"""The visibility queries that the product asks: which runs a list holds.

As on a real server, what cannot be read is an error. A condition that was overlooked would leave runs out unnoticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status
from temporalio.service import RPCError, RPCStatusCode

from tests.virtual.temporal.execution import Execution

Condition = Callable[[Execution], bool]
_TOKEN = re.compile(r"\s*(\"[^\"]*\"|[A-Za-z_]+|\d+|[=>(),])")


def condition_of(query: str) -> Condition:
    """Whether a run is among those that are asked for. Raises RPCError for what is no query, or none that is known."""
    reader = _Reader(query)
    found = reader.any_of()
    reader.expect("")
    return found


class _Reader:
    """Reads `field operator value` with AND, OR and parentheses; AND binds more closely."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = _TOKEN.findall(query)
        if _TOKEN.sub("", query).strip():
            raise self._unreadable()

    def any_of(self) -> Condition:
        found = [self._all_of()]
        while self._take("OR"):
            found.append(self._all_of())
        return lambda run: any(each(run) for each in found)

    def expect(self, token: str) -> None:
        """Raises RPCError unless that comes next; empty stands for the end."""
        if self._next() != token:
            raise self._unreadable()

    def _all_of(self) -> Condition:
        found = [self._one()]
        while self._take("AND"):
            found.append(self._one())
        return lambda run: all(each(run) for each in found)

    def _one(self) -> Condition:
        if self._take("("):
            found = self.any_of()
            self.expect(")")
            return found
        field, operator = self._next(), self._next()
        match operator:
            case "IN":
                self.expect("(")
                values = [self._value()]
                while self._take(","):
                    values.append(self._value())
                self.expect(")")
                return lambda run: _field(run, field) in values
            case "IS":
                self.expect("NULL")
                return lambda run: _field(run, field) is None
            case "=":
                value = self._value()
                return lambda run: _field(run, field) == value
            case "STARTS_WITH":
                value = self._value()
                return lambda run: str(_field(run, field)).startswith(value)
            case ">":
                least = datetime.fromisoformat(self._value()) if field == "CloseTime" else self._value()
                return lambda run: (found := _field(run, field)) is not None and found > least
        raise self._unreadable()

    def _value(self) -> Any:
        token = self._next()
        if not (token.isdecimal() or token.startswith('"')):
            raise self._unreadable()
        return json.loads(token)

    def _take(self, token: str) -> bool:
        taken = self._tokens[:1] == [token]
        if taken:
            del self._tokens[0]
        return taken

    def _next(self) -> str:
        return self._tokens.pop(0) if self._tokens else ""

    def _unreadable(self) -> RPCError:
        return RPCError(f"invalid query: {self._query}", RPCStatusCode.INVALID_ARGUMENT, b"")


def _field(run: Execution, name: str) -> Any:
    """What a run is listed with; None for a search attribute that it has not."""
    match name:
        case "WorkflowType":
            return run.workflow_type
        case "WorkflowId":
            return run.workflow_id
        case "CloseTime":
            return run.closed_at
        case "ExecutionStatus":
            words = Status.Name(run.status).removeprefix("WORKFLOW_EXECUTION_STATUS_").split("_")
            return "".join(word.capitalize() for word in words)
    payload = run.search_attributes.get(name)
    return None if payload is None else json.loads(payload.data)
