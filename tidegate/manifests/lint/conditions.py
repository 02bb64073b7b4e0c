"""The conditions of a metric: that there are some, that they can be read, and that they fit what is measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.providers.results import ResultKind, result_kinds


class Compiled(Protocol):
    """A condition that could be read."""

    def check(self, kinds: Sequence[ResultKind]) -> None:
        """Raise ValueError when it can be put to no result of these kinds."""
        ...


CompileCondition = Callable[[str], Compiled]

_PLACEHOLDER: Final = re.compile(r"\{\{.*?\}\}")
_ARGUMENT: Final = re.compile(r"\bargs\.[\w-]+")
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_RESULT: Final = re.compile(r"\bresult\b(?!\s*\[)")


def condition_findings(
    template: Loaded[AnalysisTemplate], metric: Metric, path: Path, compile_condition: CompileCondition | None
) -> Iterator[Finding]:
    """Errors in the conditions of the metric at `path`, which `compile_condition` parses."""
    if metric.provider.job is not None or metric.provider.compare is not None:
        return
    conditions = {"successCondition": metric.success_condition, "failureCondition": metric.failure_condition}
    if not any(conditions.values()):
        message = "neither successCondition nor failureCondition: every answer counts as a success"
        yield template.finding(Severity.WARNING, "no-condition", path, message, value=metric.name)
    if compile_condition is None:
        return
    kinds = result_kinds(metric.provider)
    # An argument is only known when a run starts; a number stands in for one without a default.
    defaults = {argument.name: argument.value or "0" for argument in template.model.spec.args}
    for name, condition in conditions.items():
        if not condition:
            continue
        filled = _PLACEHOLDER.sub(lambda found: _filled(found[0], defaults), condition)
        try:
            compile_condition(filled).check(kinds)
        except ValueError as error:
            remedy = _bare_argument(filled) or _indexed(condition, filled, kinds, compile_condition) or _kinds(kinds)
            at = (*path, name)
            yield template.finding(Severity.ERROR, "condition", at, str(error), value=condition, remedy=remedy)


def _bare_argument(filled: str) -> str:
    """The remedy where an argument is named like a field."""
    found = _ARGUMENT.search(_QUOTED.sub("", filled))
    return f"write {{{{{found[0]}}}}}: arguments are filled in before a condition is read" if found else ""


def _indexed(condition: str, filled: str, kinds: Sequence[ResultKind], compile_condition: CompileCondition) -> str:
    """The remedy where a list is compared, and its first element could be."""
    if ResultKind.NUMBERS not in kinds or len(kinds) == len(ResultKind):
        return ""
    try:
        compile_condition(_RESULT.sub("result[0]", filled)).check(kinds)
    except ValueError:
        return ""
    return f"write {_RESULT.sub('result[0]', condition)}: the result of this metric is {ResultKind.NUMBERS}"


def _kinds(kinds: Sequence[ResultKind]) -> str:
    return "" if len(kinds) == len(ResultKind) else f"the result of this metric is {' or '.join(kinds)}"


def _filled(placeholder: str, defaults: Mapping[str, str]) -> str:
    return defaults.get(placeholder.strip("{} ").removeprefix("args."), "0")
