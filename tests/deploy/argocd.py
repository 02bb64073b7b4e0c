"""How Argo CD judges objects: health by Lua, drift by what is left when what is ignored is taken out."""

from __future__ import annotations

from typing import Any

import jq
from lupa.lua51 import LuaRuntime

from tests.deploy.manifests import DEPLOY, Object, documents

ARGOCD = DEPLOY / "argocd"


def health(obj: Object) -> tuple[str, str]:
    """Status and message of a Rollout by deploy/argocd/health.lua; Argo CD runs Lua 5.1, too."""
    lua = LuaRuntime()
    judge = lua.eval("function(obj)\n" + (ARGOCD / "health.lua").read_text() + "\nend")
    answer = judge(lua.table_from(obj, recursive=True))
    return answer["status"], answer["message"]


def compared(obj: Object, application: str = "checkout") -> Any:
    """What Argo CD compares of an object: all but what the Application ignores."""
    (found,) = [each for each in documents(ARGOCD / "applications.yaml") if each["metadata"]["name"] == application]
    group = obj["apiVersion"].rpartition("/")[0]
    left: Any = {"spec": obj["spec"]}
    for ignored in found["spec"]["ignoreDifferences"]:
        if (ignored.get("group", ""), ignored["kind"]) == (group, obj["kind"]):
            for expression in ignored["jqPathExpressions"]:
                left = jq.compile(f"del({expression})").input_value(left).first()
    return left
