"""The value by which a source of metrics tells versions apart, from their pod templates.

Source: Datadog, unified service tagging: the pod label `tags.datadoghq.com/version`, else the variable `DD_VERSION`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

VERSION_LABEL: Final = "tags.datadoghq.com/version"
VERSION_VARIABLE: Final = "DD_VERSION"
VERSION_TAG: Final = "version"


def is_hash_tag(tag: str) -> bool:
    """True when the values of a tag are hashes of pod templates, as Datadog's agent makes tags of pod labels."""
    return "pod_template_hash" in tag.replace("-", "_").lower()


def tag_value(tag: str, template: Mapping[str, Any], pod_hash: str) -> str:
    """Value of a tag on the metrics of the pods of a template; empty where the template does not say it."""
    if is_hash_tag(tag):
        return pod_hash
    return version_of(template) if tag == VERSION_TAG else ""


def version_of(template: Mapping[str, Any]) -> str:
    """Version that a pod template says of itself; empty where it says none."""
    labelled = _mapping(_mapping(template.get("metadata")).get("labels")).get(VERSION_LABEL)
    if isinstance(labelled, str) and labelled:
        return labelled
    containers = _items(_mapping(template.get("spec")).get("containers"))
    variables = [variable for container in containers for variable in _items(container.get("env"))]
    given = [each.get("value") for each in variables if each.get("name") == VERSION_VARIABLE]
    return next((value for value in given if isinstance(value, str)), "")


def _items(value: object) -> list[Mapping[str, Any]]:
    return [_mapping(item) for item in value] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
