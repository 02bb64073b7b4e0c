"""The bake: for how long a version is watched with all of the traffic before it becomes the stable one, and by what.

Two annotations of a Rollout say so; Argo Rollouts has nothing of the kind for a canary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from tidegate.manifests.durations import PAUSE_HINT, pause_seconds

BAKE: Final = "tidegate.io/bake"
BAKE_TEMPLATES: Final = "tidegate.io/bake-templates"
_CLUSTER: Final = "cluster:"
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # of a Kubernetes object


def read_duration(text: object) -> timedelta:
    """A pause's duration: whole seconds or a Go duration, not below zero. Raises ValueError with what is allowed."""
    if (seconds := pause_seconds(str(text))) < 0:
        raise ValueError(f"give {PAUSE_HINT}; 0 for no bake")
    return timedelta(seconds=seconds)


def bake_duration(annotations: Mapping[str, Any]) -> timedelta | None:
    """Duration of the bake, zero: there is none; None without the annotation.

    Raises ValueError that names annotation, value and remedy.
    """
    text = annotations.get(BAKE)
    if text is None:
        return None
    try:
        return read_duration(text)
    except ValueError as error:
        raise ValueError(f"metadata.annotations['{BAKE}']: {text!r}: {error}") from error


def bake_templates(annotations: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """References to the templates that are named for a bake, as in an analysis block; None without the annotation.

    Names of AnalysisTemplates with commas between; `cluster:NAME` is a ClusterAnalysisTemplate. Raises ValueError that
    names annotation, value and remedy.
    """
    text = annotations.get(BAKE_TEMPLATES)
    if text is None:
        return None
    named = [name.strip() for name in str(text).split(",")]
    if not all(_NAME.fullmatch(name.removeprefix(_CLUSTER)) for name in named):
        raise ValueError(
            f"metadata.annotations['{BAKE_TEMPLATES}']: {text!r}: give names of AnalysisTemplates with commas between, "
            f"{_CLUSTER}NAME for a ClusterAnalysisTemplate"
        )
    return [
        {"templateName": name.removeprefix(_CLUSTER)} | ({"clusterScope": True} if name.startswith(_CLUSTER) else {})
        for name in named
    ]


def bake_analysis(annotations: Mapping[str, Any], background: dict[str, Any] | None) -> dict[str, Any] | None:
    """The analysis block of a Rollout's bake: the named templates, else those of `background`; or None.

    `background` is the analysis beside the steps; either has its arguments. Raises ValueError as `bake_templates` does.
    """
    named = bake_templates(annotations)
    if named is None:
        return background or None
    arguments = (background or {}).get("args")
    return {"templates": named} | ({"args": arguments} if arguments else {})


def through_the_bake(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of an AnalysisRun whose metrics are measured until it is ended, at the intervals that they have.

    A `count` says how long a gate lasts, and the bake has a duration for that. What has no interval is measured once.
    """
    metrics = [
        {field: value for field, value in metric.items() if field != "count" or not metric.get("interval")}
        for metric in spec["metrics"]
    ]
    return {**spec, "metrics": metrics}
