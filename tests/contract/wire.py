"""The wire as the code has it: each name that is registered, and the JSON schema of each payload.

Names of Python classes and functions are no part of it and may change freely, with two exceptions: the `kind` of a
command's output, and the names of a gateway's errors. A shape that occurs more than once is described once, under
`shapes`. Its name is the path of the field where it occurs first.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from pydantic import TypeAdapter

import activities
import workers.follow_up
import workflows
from tidegate.analysis.status import AnalysisStatus
from tidegate.cli.output import SCHEMA_VERSION
from tidegate.client import errors, gateway
from tidegate.client.refs import AnalysisSummary, ExperimentSummary, PastRelease, ReleaseSummary
from tidegate.contract import (
    ANALYSIS_WORKFLOW,
    BACKTEST_WORKFLOW,
    DOCTOR_WORKFLOW,
    EXPERIMENT_WORKFLOW,
    FOLLOW_UP_QUEUE,
    FOLLOW_UP_WORKFLOW,
    FORECAST_WORKFLOW,
    RELEASES_QUEUE,
    ROLLBACK_WORKFLOW,
    ROLLOUT_WORKFLOW,
    SEARCH_ATTRIBUTES,
    Accepted,
    AnalysisRequest,
    BacktestReport,
    BacktestRequest,
    Checks,
    ComparisonsSaved,
    DoctorRequest,
    ErrorType,
    ExperimentReport,
    ExperimentRequest,
    FollowedUp,
    FollowUpRequest,
    Query,
    ReleaseForecast,
    ReleaseRequest,
    ReleaseResult,
    ReleaseStatus,
    RollbackRequest,
    RollbackResult,
    Signal,
    Update,
    WeightsChanged,
    analysis_id,
    backtest_id,
    cluster_queue,
    doctor_id,
    follow_up_id,
    forecast_id,
    let_go_id,
    metrics_queue,
    parse_message,
    rollback_id,
    rollout_id,
)
from tidegate.manifests.findings import Finding
from tidegate.report.explanation_models import Explanation
from workflows.admission import parse_request

FILE = Path(__file__).parent / "wire.json"
WIDTH = 100
PLURALS = {"signal": "signals", "query": "queries", "update": "updates"}

# No message may hurt (law 8), so most handlers take any value, and their type hints are silent. Here is what each reads
# its arguments with: a model, or the function that returns one.
READERS: dict[tuple[str, str, str], tuple[Callable[..., Any], ...]] = {
    (ROLLOUT_WORKFLOW, "run", ""): (parse_request,),
    (ANALYSIS_WORKFLOW, "signal", Signal.WEIGHTS): (WeightsChanged,),
    (ROLLOUT_WORKFLOW, "signal", Signal.PROMOTE): (parse_message,),
    (ROLLOUT_WORKFLOW, "signal", Signal.ABORT): (parse_message,),
    (ROLLOUT_WORKFLOW, "signal", Signal.PAUSE): (parse_message,),
    (ROLLOUT_WORKFLOW, "signal", Signal.RESUME): (parse_message,),
    (ROLLOUT_WORKFLOW, "signal", Signal.MEASURED): (AnalysisStatus,),
    (ROLLOUT_WORKFLOW, "signal", Signal.FOLLOWED_UP): (FollowedUp,),
    (ROLLOUT_WORKFLOW, "update", Update.RELEASE): (parse_request,),
    (ROLLOUT_WORKFLOW, "update", Update.PROMOTE): (parse_message,),
    (ROLLOUT_WORKFLOW, "update", Update.ABORT): (parse_message,),
    (ROLLOUT_WORKFLOW, "update", Update.PAUSE): (parse_message,),
    (ROLLOUT_WORKFLOW, "update", Update.RESUME): (parse_message,),
    (ROLLOUT_WORKFLOW, "query", Query.STATUS): (),
    (ANALYSIS_WORKFLOW, "run", ""): (AnalysisRequest, AnalysisStatus, ComparisonsSaved),
    (ANALYSIS_WORKFLOW, "signal", Signal.SETTLE): (),
    (ANALYSIS_WORKFLOW, "signal", Signal.TERMINATE): (),
    (ANALYSIS_WORKFLOW, "query", Query.STATUS): (),
    (EXPERIMENT_WORKFLOW, "run", ""): (ExperimentRequest,),
    (EXPERIMENT_WORKFLOW, "signal", Signal.MEASURED): (AnalysisStatus,),
    (EXPERIMENT_WORKFLOW, "signal", Signal.TERMINATE): (),
    (EXPERIMENT_WORKFLOW, "query", Query.STATUS): (),
    (FOLLOW_UP_WORKFLOW, "run", ""): (FollowUpRequest,),
    (ROLLBACK_WORKFLOW, "run", ""): (RollbackRequest,),
    (FORECAST_WORKFLOW, "run", ""): (parse_request,),
    (BACKTEST_WORKFLOW, "run", ""): (BacktestRequest,),
    (DOCTOR_WORKFLOW, "run", ""): (DoctorRequest,),
}

# What commands print with `-o json`. Its `kind` is the name of the class.
PRINTED = (
    Accepted,
    AnalysisStatus,
    AnalysisSummary,
    BacktestReport,
    Checks,
    ExperimentReport,
    ExperimentSummary,
    Explanation,
    Finding,
    PastRelease,
    ReleaseForecast,
    ReleaseResult,
    ReleaseStatus,
    ReleaseSummary,
    RollbackResult,
)


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """Every module of a package, at any depth."""
    for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(each.name)


def activity_functions() -> dict[str, Callable[..., Any]]:
    """Every activity that is defined, by its name on the wire."""
    found: dict[str, Callable[..., Any]] = {}
    for module in (*modules(activities), workers.follow_up):
        for _, holder in inspect.getmembers(module, inspect.isclass):
            for function in tuple(vars(holder).values()):
                definition = getattr(function, "__temporal_activity_definition", None)
                if definition is not None:
                    found[str(definition.name)] = function
    return found


def workflow_definitions() -> dict[str, Any]:
    """Every workflow that is defined, by its type on the wire."""
    found: dict[str, Any] = {}
    for module in modules(workflows):
        for _, holder in inspect.getmembers(module, inspect.isclass):
            definition = vars(holder).get("__temporal_workflow_definition")
            if definition is not None:
                found[str(definition.name)] = definition
    return found


def takes_anything(function: Callable[..., Any]) -> bool:
    """Whether the type hints say nothing of what a handler takes."""
    hints = get_type_hints(function)
    return all(hint is Any for name, hint in hints.items() if name != "return")


def handlers() -> dict[tuple[str, str, str], Callable[..., Any]]:
    """Every run, signal, query and update with a name, by workflow, kind and name."""
    found: dict[tuple[str, str, str], Callable[..., Any]] = {}
    for name, definition in workflow_definitions().items():
        found[name, "run", ""] = definition.run_fn
        for kind, plural in PLURALS.items():
            for said, handler in getattr(definition, plural).items():
                if said is not None:  # the handler of unknown names takes nothing from them
                    found[name, kind, str(said)] = handler.fn
    return found


def document() -> dict[str, Any]:
    """The whole wire, as it is committed."""
    payloads = {
        "workflows": _workflows(),
        "activities": _activities(),
        "gateway": _gateway(),
        "command_output": {each.__name__: _schema(each) for each in PRINTED},
    }
    shapes: dict[str, Any] = {}
    repeated = {text for text, count in Counter(_shapes_in(payloads)).items() if count > 1}
    short = _named(payloads, repeated, shapes, {}, "")
    return {
        "task_queues": [RELEASES_QUEUE, FOLLOW_UP_QUEUE, cluster_queue("<cluster>"), metrics_queue("<provider>")],
        "workflow_ids": {
            "release": rollout_id("<cluster>", "<namespace>", "<name>"),
            "analysis": analysis_id("<cluster>", "<namespace>", "<run>"),
            "follow_up": follow_up_id("rollout/<cluster>/<namespace>/<name>", 1, "<run id>", "<decision>"),
            "roll_back": rollback_id("<cluster>", "<namespace>", "<name>"),
            "backtest": backtest_id("<namespace>", "<name>", "<number>"),
            "doctor": doctor_id("<cluster>", "<namespace>", "<number>"),
            "forecast": forecast_id("<cluster>", "<namespace>", "<name>", "<number>"),
            "let_go": let_go_id("<cluster>", "<namespace>", "<name>", "<uid>"),
        },
        "search_attributes": {each.name: each.indexed_value_type.name for each in SEARCH_ATTRIBUTES},
        "error_types": _values(ErrorType),
        "command_output_version": SCHEMA_VERSION,
        **short,
        "shapes": dict(sorted(shapes.items())),
    }


def text(wire: dict[str, Any]) -> str:
    """The content of the committed file."""
    return _lines(wire, "") + "\n"


def _lines(node: Any, indent: str) -> str:
    """JSON with what is short on one line, so that a field that changes is a line that changes."""
    line = json.dumps(node, ensure_ascii=False)
    if not isinstance(node, dict | list) or len(indent) + len(line) <= WIDTH:
        return line
    inner, (opens, closes) = indent + " ", "{}" if isinstance(node, dict) else "[]"
    if isinstance(node, dict):
        parts = [f"{inner}{json.dumps(key)}: {_lines(each, inner)}" for key, each in node.items()]
    else:
        parts = [inner + _lines(each, inner) for each in node]
    return f"{opens}\n" + ",\n".join(parts) + f"\n{indent}{closes}"


def _values(names: type[StrEnum]) -> list[str]:
    return sorted(str(each) for each in names)


def _activities() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, function in sorted(activity_functions().items()):
        hints = get_type_hints(function)
        returns = _schema(hints.pop("return", None))
        found[name] = {"takes": [_schema(hint) for hint in hints.values()], "returns": returns}
    return found


def _workflows() -> dict[str, Any]:
    found: dict[str, Any] = {name: {} for name in sorted(workflow_definitions())}
    for (name, kind, said), function in sorted(handlers().items()):
        hints = get_type_hints(function)
        returns = _schema(hints.pop("return", None))
        read = [_model(each) for each in READERS.get((name, kind, said), ())]
        takes = [_schema(each) for each in (read if takes_anything(function) else hints.values())]
        shown = {"takes": takes} if kind == "signal" else {"takes": takes, "returns": returns}
        if kind == "run":
            found[name] |= shown
        else:
            found[name].setdefault(PLURALS[kind], {})[said] = shown
    return found


def _model(reader: Callable[..., Any]) -> Any:
    return reader if inspect.isclass(reader) else get_type_hints(reader)["return"]


def _gateway() -> dict[str, Any]:
    """What a pipeline and a gateway of another version say to each other over HTTP."""
    kinds = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.TidegateError)]
    return {
        "path": gateway.PATH,
        "start": {"takes": _schema(ReleaseRequest), "returns": _schema(Accepted)},
        "status": {"returns": _schema(ReleaseStatus)},
        "end": {"returns": _schema(ReleaseResult)},
        "failure": _schema(gateway.Failure),
        "failure_names": sorted(each.__name__ for each in kinds),
    }


def _schema(kind: Any) -> Any:
    """The schema of a type as it is written to the wire; None for nothing."""
    if kind is type(None) or kind is None:
        return None
    schema = TypeAdapter(kind).json_schema(mode="serialization")
    return _inlined(schema, schema.pop("$defs", {}))


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """The schema without references, titles and descriptions: what a class is called is not on the wire."""
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined({**definitions[node["$ref"].rsplit("/", 1)[-1]], **rest}, definitions)
    shown: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            shown[key] = {name: _inlined(each, definitions) for name, each in sorted(value.items())}
        elif key in ("required", "enum"):
            shown[key] = sorted(value)
        elif key not in ("title", "description"):
            shown[key] = _inlined(value, definitions)
    return shown


def _is_shape(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("properties"), dict) and node.get("type") == "object"


def _key(node: Any) -> str:
    # A default does not make another shape: it is a matter of the field that has it.
    return json.dumps({key: value for key, value in node.items() if key != "default"}, sort_keys=True)


def _shapes_in(node: Any) -> Iterator[str]:
    """Each shape in a tree, as often as it is met."""
    if _is_shape(node):
        yield _key(node)
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for each in children:
        yield from _shapes_in(each)


def _named(node: Any, repeated: set[str], shapes: dict[str, Any], names: dict[str, str], path: str) -> Any:
    """The tree with a reference wherever a repeated shape stands; `shapes` gets each of them once."""
    if isinstance(node, list):
        return [_named(each, repeated, shapes, names, path) for each in node]
    if not isinstance(node, dict):
        return node
    if _is_shape(node) and (key := _key(node)) in repeated:
        if key not in names:
            names[key] = path
            bare = {name: value for name, value in node.items() if name != "default"}
            shapes[path] = _children(bare, repeated, shapes, names, path)
        default = {"default": node["default"]} if "default" in node else {}
        return {"$ref": f"#/shapes/{names[key]}", **default}
    return _children(node, repeated, shapes, names, path)


_SILENT = {"properties", "anyOf", "items", "prefixItems", "takes", "additionalProperties"}


def _children(
    node: dict[str, Any], repeated: set[str], shapes: dict[str, Any], names: dict[str, str], path: str
) -> dict[str, Any]:
    return {
        key: _named(each, repeated, shapes, names, path if key in _SILENT else f"{path}.{key}".removeprefix("."))
        for key, each in node.items()
    }
