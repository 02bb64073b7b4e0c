from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubernetes_api.field_sets import FieldPath, decode, describe, encode, field_values
from sandbox.kubernetes_api.managed_fields import Writer, apply, track_update
from sandbox.kubernetes_api.status import ApiError
from tests.sandbox.kubernetes.kube import APPLY_PATCH, APPS, ARGO, Kube, workload

ANN, BOB = Writer("ann", "apps/v1"), Writer("bob", "apps/v1")
NOW = "2026-01-01T00:00:00Z"

NAMES = st.sampled_from(["a", "b", "c"])
CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": NAMES, "image": st.sampled_from(["x", "y"])}, optional={"tty": st.booleans()}),
    max_size=3,
    unique_by=lambda container: container["name"],
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "spec": st.fixed_dictionaries(
            {}, optional={"replicas": st.integers(0, 3), "containers": CONTAINERS, "args": st.lists(NAMES, max_size=2)}
        ),
        "metadata": st.fixed_dictionaries({"labels": st.dictionaries(NAMES, NAMES, max_size=2)}),
    },
)


def pruned(value: Any) -> Any:
    """Without empty maps and lists, whose ownership says little."""
    if isinstance(value, dict):
        return {key: kept for key, item in value.items() if (kept := pruned(item)) not in ({}, [])}
    return value


FULL_CONFIGS = CONFIGS.map(pruned)


def content(obj: dict[str, Any]) -> dict[FieldPath, Any]:
    return field_values(obj, custom=False)


@given(CONFIGS)
def test_a_field_set_survives_its_wire_form(config: dict[str, Any]) -> None:
    paths = set(content(config))
    assert decode(encode(paths)) == paths


@given(CONFIGS, CONFIGS)
def test_applying_again_changes_nothing(first: dict[str, Any], second: dict[str, Any]) -> None:
    live = apply(None, first, ANN, force=False, custom=False, now=NOW)
    once = apply(live, second, ANN, force=False, custom=False, now=NOW)
    assert apply(once, second, ANN, force=False, custom=False, now=NOW) == once


@given(FULL_CONFIGS, FULL_CONFIGS)
def test_what_a_manager_no_longer_applies_is_gone(first: dict[str, Any], second: dict[str, Any]) -> None:
    live = apply(
        apply(None, first, ANN, force=False, custom=False, now=NOW), second, ANN, force=False, custom=False, now=NOW
    )
    assert content(live) == content(second)


@given(FULL_CONFIGS, FULL_CONFIGS)
def test_force_takes_and_only_without_it_there_are_conflicts(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    live = apply(None, theirs, BOB, force=False, custom=False, now=NOW)
    wanted, current = content(mine), content(live)
    clash = {path for path in wanted.keys() & current.keys() if wanted[path] != current[path]}
    if clash:
        with pytest.raises(ApiError) as rejection:
            apply(live, mine, ANN, force=False, custom=False, now=NOW)
        assert rejection.value.code == 409
        assert {cause["field"] for cause in (rejection.value.details or {})["causes"]} == set(map(describe, clash))
    forced = apply(live, mine, ANN, force=True, custom=False, now=NOW)
    assert {path: content(forced)[path] for path in wanted} == wanted
    assert not clash & owned_by(forced, "bob")


@given(FULL_CONFIGS, FULL_CONFIGS)
def test_an_ordinary_write_owns_exactly_what_it_changed(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = track_update(None, old, BOB, custom=False, now=NOW)
    after = track_update(
        before, {**new, "metadata": {**before["metadata"], **new.get("metadata", {})}}, ANN, custom=False, now=NOW
    )
    then, now = (field_values(each, custom=False, around=True) for each in (before, after))
    changed = {path for path, value in now.items() if then.get(path, ...) != value}
    assert owned_by(after, "ann") == changed
    assert not changed & owned_by(after, "bob")


def owned_by(obj: dict[str, Any], manager: str) -> set[FieldPath]:
    entries = obj["metadata"].get("managedFields") or []
    return {path for entry in entries if entry["manager"] == manager for path in decode(entry["fieldsV1"])}


async def test_apply_creates_then_updates_then_leaves_alone(kube: Kube) -> None:
    path = f"{APPS}/deployments/web"
    code, created = await kube.call("PATCH", f"{path}?fieldManager=ann", workload("Deployment", "web"), APPLY_PATCH)
    assert (code, created["spec"]["replicas"]) == (201, 1)
    updated = await kube.apply(path, workload("Deployment", "web", replicas=3), "ann")
    assert updated["spec"]["replicas"] == 3
    again = await kube.apply(path, workload("Deployment", "web", replicas=3), "ann")
    assert again["metadata"]["resourceVersion"] == updated["metadata"]["resourceVersion"]


async def test_a_field_of_somebody_else_is_a_conflict_until_forced(kube: Kube) -> None:
    path = f"{APPS}/deployments/web"
    await kube.apply(path, workload("Deployment", "web"), "ann")
    await kube.patch(f"{path}?fieldManager=bob", {"spec": {"replicas": 5}})
    code, rejection = await kube.call(
        "PATCH", f"{path}?fieldManager=ann", workload("Deployment", "web", replicas=2), APPLY_PATCH
    )
    assert (code, rejection["reason"]) == (409, "Conflict")
    assert rejection["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "bob" using apps/v1', "field": ".spec.replicas"}
    ]
    forced = await kube.apply(path, workload("Deployment", "web", replicas=2), "ann", "&force=true")
    assert forced["spec"]["replicas"] == 2
    assert ("f:spec", "f:replicas") not in owned_by(forced, "bob")


async def test_the_status_of_a_custom_resource_is_applied_by_itself(kube: Kube) -> None:
    rollout = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "r"},
        "spec": {"replicas": 2},
        "status": {"phase": "Progressing"},
    }
    assert "status" not in await kube.apply(f"{ARGO}/rollouts/r", rollout, "ann")
    changed = {**rollout, "spec": {"replicas": 9}}
    applied = await kube.apply(f"{ARGO}/rollouts/r/status", changed, "ann")
    assert (applied["spec"]["replicas"], applied["status"]["phase"]) == (2, "Progressing")


@pytest.mark.parametrize(
    ("query", "change", "code"),
    [
        ("", {}, 422),
        ("?fieldManager=ann", {"kind": "ReplicaSet"}, 400),
        ("?fieldManager=ann", {"metadata": {"name": "other"}}, 400),
        ("?fieldManager=ann", {"metadata": {"name": "web", "managedFields": [{"manager": "x"}]}}, 400),
    ],
)
async def test_a_malformed_apply_is_refused(kube: Kube, query: str, change: dict[str, Any], code: int) -> None:
    body = {**workload("Deployment", "web"), **change}
    assert (await kube.call("PATCH", f"{APPS}/deployments/web{query}", body, APPLY_PATCH))[0] == code
