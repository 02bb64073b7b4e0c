"""Selectors that would leave pods behind: those of existing versions that they do not match.

Kubernetes forbids it for a Deployment, whose selector cannot change at all (apps/v1 Deployment, spec.selector).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Severity
from tidegate.manifests.rollout import Rollout

_PATH = ("spec", "selector")
_REMEDY = "keep the selector that they were made with, or bring this out as a Rollout of another name"


def left_behind_findings(rollout: Loaded[Rollout], pod_labels: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """`pod_labels` are the labels of the pods of each ReplicaSet that has some, by its name."""
    selector = rollout.model.spec.selector
    if selector is None:
        return
    unmatched = sorted(name for name, labels in pod_labels.items() if not selector.matches(labels))
    if unmatched:
        yield _refused(rollout, f"does not select the pods of ReplicaSet {', '.join(unmatched)}")


def changed_selector_findings(rollout: Loaded[Rollout]) -> Iterator[Finding]:
    """A changed selector in a Rollout from a cluster, as far as its status shows the one by which pods were counted."""
    selector, status = rollout.model.spec.selector, rollout.document.value(("status",))
    if selector is None or not isinstance(status, Mapping):
        return
    counted = str(status.get("selector") or "")
    known, current = set(_terms(counted)), set(_terms(selector.text()))
    if counted and status.get("HPAReplicas") and not current <= known:
        yield _refused(rollout, f"leaves pods behind that stand by {counted} (status.selector)")


def _refused(rollout: Loaded[Rollout], message: str) -> Finding:
    selector = rollout.model.spec.selector
    text = selector.text() if selector is not None else ""
    why = f"{message}: they would be nobody's, and this version would have nothing to be compared with"
    return rollout.finding(Severity.ERROR, "selector-changed", _PATH, why, value=text, remedy=_REMEDY)


def _terms(selector: str) -> Iterator[str]:
    """The requirements of a selector as in a query of the API; the commas within `in (a,b)` divide nothing."""
    term, depth = "", 0
    for letter in selector + ",":
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            if term.strip():
                yield term.strip()
            term = ""
        else:
            term += letter
