"""Which Experiment objects need a workflow."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.watch import needs_workflow

OVER = {"phase": "Failed", "templateStatuses": [{"name": "a", "replicas": 0}]}


@pytest.mark.parametrize(
    ("metadata", "status", "needed"),
    [
        ({}, None, True),
        ({}, {"phase": "Running"}, True),
        ({}, {"phase": "Nonsense"}, True),
        ({}, OVER, False),
        ({}, OVER | {"templateStatuses": [{"name": "a", "replicas": 1}]}, True),
        ({"ownerReferences": [{"kind": "Rollout", "uid": "u"}]}, None, False),
        ({"ownerReferences": [{"kind": "Workflow", "uid": "u"}]}, None, True),
        ({"ownerReferences": "mangled"}, None, True),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, None, False),
    ],
)
def test_those_that_are_not_over_and_belong_to_no_rollout(
    metadata: dict[str, Any], status: dict[str, Any] | None, needed: bool
) -> None:
    assert needs_workflow({"metadata": {"name": "a", **metadata}, "status": status}) is needed
