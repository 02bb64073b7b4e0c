"""A Rollout is read into its model at few places, and below them nobody looks into its document."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.structure.sources import ROOT, modules

READERS = {
    "tidegate/contract/parsed_rollout.py": "the manifest of a request, once for each activity",
    "tidegate/manifests/workload.py": "the workloadRef of an object in the cluster, whatever else is in it",
    "activities/reconcile/live_spec.py": "the object in the cluster, once for each version of it",
    "activities/reconcile/rollout_status.py": "the object in the cluster after a pass, for its conditions",
}
DOCUMENTS = {
    "workflows/incident_requests.py": "the containers of the pod template, which is no model",
    "workflows/plan.py": "the pod template, and blocks of analyses, which the analysis engine takes as documents",
    "workflows/reverts.py": "the object in the cluster that an undo has changed",
    "workflows/release_status.py": "a request that nobody has checked yet",
}


def calls(tree: ast.Module, method: str) -> Iterator[ast.expr]:
    """The expression before `.method(`, for each call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
            yield node.func.value


def models_of(tree: ast.Module) -> set[str]:
    """Names by which a module knows the models of a Rollout."""
    imports = [each for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
    found = [name for each in imports if each.module == "tidegate.manifests.rollout" for name in each.names]
    return {name.asname or name.name for name in found}


def is_document(expression: ast.expr) -> bool:
    """Whether it is `something.rollout`: the document of a request."""
    return isinstance(expression, ast.Attribute) and expression.attr == "rollout"


def looks_into_document(tree: ast.Module) -> bool:
    keys = [node.value for node in ast.walk(tree) if isinstance(node, ast.Subscript)]
    return any(map(is_document, (*keys, *calls(tree, "get"))))


def reads_model(tree: ast.Module) -> bool:
    names = models_of(tree)
    read = [*calls(tree, "model_validate"), *calls(tree, "model_validate_json")]
    return any(isinstance(each, ast.Name) and each.id in names for each in read)


def trees(*rooms: str) -> dict[str, ast.Module]:
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in modules(*rooms)}


def test_a_rollout_is_read_into_its_model_at_few_places() -> None:
    product = trees("tidegate", "activities", "workflows", "workers")
    assert {file for file, tree in product.items() if reads_model(tree)} == set(READERS)


def test_below_that_nobody_looks_into_the_document() -> None:
    rooms = trees("activities", "workflows")
    assert {file for file, tree in rooms.items() if looks_into_document(tree)} == set(DOCUMENTS)
