"""What the suite was given: a cluster, and what of Argo's there is beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

KUBECONFIG = "TIDEGATE_TEST_KUBECONFIG"
PODS = "TIDEGATE_TEST_PODS"
ARGO_PLUGIN = "TIDEGATE_TEST_ARGO_PLUGIN"
ARGO_CRDS = "TIDEGATE_TEST_ARGO_CRDS"
GATEWAY_CRDS = "TIDEGATE_TEST_GATEWAY_CRDS"
ARGO_CONTROLLER = "TIDEGATE_TEST_ARGO_CONTROLLER"
AUDIT_LOG = "TIDEGATE_TEST_AUDIT_LOG"


def why_not() -> str:
    """Why nothing can be asked of a real cluster, empty where it can."""
    if not os.environ.get(KUBECONFIG):
        return f"this needs a cluster: {KUBECONFIG} names no kubeconfig"
    if "PYTEST_XDIST_WORKER" in os.environ:
        return "this changes what holds for a whole cluster, and has no other beside it: make kubernetes"
    return ""


def path(variable: str, what: str) -> Path:
    """The file or folder that a variable names. Skips the test where it names none."""
    if not (named := os.environ.get(variable)):
        pytest.skip(f"{variable} names no {what.removeprefix('a ')}")
    found = Path(named).expanduser().resolve()
    assert found.exists(), f"{variable}={named} does not exist"
    return found


def is_given(variable: str) -> bool:
    """Whether a variable names something."""
    return bool(os.environ.get(variable))


def pods_are_simulated() -> bool:
    """Whether the suite has to stand in for kubelets."""
    return os.environ.get(PODS) == "simulated"
