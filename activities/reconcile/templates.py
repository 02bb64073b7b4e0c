"""The analysis templates that a manifest names, as they are in the cluster."""

from __future__ import annotations

from collections.abc import Iterable

from activities.kubernetes.client import ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES, Cluster, Object
from activities.transport.errors import rejected
from tidegate.manifests.analysis_template import TemplateRef
from tidegate.manifests.limits import excess_text, excesses


async def read_templates(cluster: Cluster, namespace: str, named: Iterable[TemplateRef]) -> list[Object]:
    """Templates that are named, and those that they name in turn, each once; a missing one is left out.

    Raises `Rejected` for a template that exceeds the limits.
    """
    wanted = [(each.cluster_scope, each.template_name) for each in named]
    found: dict[tuple[bool, str], Object] = {}
    while wanted:
        key = wanted.pop()
        if key in found or not key[1]:
            continue
        resource, where = (CLUSTER_ANALYSIS_TEMPLATES, "") if key[0] else (ANALYSIS_TEMPLATES, namespace)
        template = await cluster.find(resource, where, key[1])
        if template is not None:
            for excess in excesses({"spec": template.get("spec")}):
                raise rejected("Kubernetes", f"{resource.kind} '{key[1]}': {excess_text(excess)}")
            found[key] = template
            inner = template["spec"].get("templates") or []
            wanted += [(bool(each.get("clusterScope")), str(each.get("templateName", ""))) for each in inner]
    return list(found.values())
