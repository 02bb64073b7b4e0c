"""Objects of a cluster by kubectl, which has the kubeconfig, its login helpers and its rights."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tidegate.client import RefusedError

_ROLLOUTS: Final = "rollouts.argoproj.io"
# What lint reads of them, in one request.
_PLURALS: Final = (
    _ROLLOUTS,
    "experiments.argoproj.io",
    "analysistemplates.argoproj.io",
    "clusteranalysistemplates.argoproj.io",
    "services",
    "deployments.apps",
    "virtualservices.networking.istio.io",
    "destinationrules.networking.istio.io",
)


def objects_of_cluster(arguments: Sequence[str]) -> list[dict[str, Any]]:
    """Objects of each known kind that the cluster serves; `arguments` are kubectl's, such as `--context=prod`.

    Raises RefusedError with kubectl's words where it is missing, may not read, or does not reach the cluster.
    """
    context = [each for each in arguments if each.startswith("--context=")]
    served = _kubectl(["api-resources", "--output=name", *context]).split()
    if _ROLLOUTS not in served:
        raise RefusedError(f"the cluster serves no {_ROLLOUTS}", "choose another --context, or give manifests with -f")
    plurals = ",".join(plural for plural in _PLURALS if plural in served)
    listed = json.loads(_kubectl(["get", plurals, "--output=json", *arguments]))
    return list(_without_writers(listed.get("items") or []))


def _without_writers(objects: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield objects without `managedFields`, which a release leaves out as well."""
    for each in objects:
        metadata = {key: value for key, value in (each.get("metadata") or {}).items() if key != "managedFields"}
        yield {**each, "metadata": metadata}


def _kubectl(arguments: Sequence[str]) -> str:
    program = shutil.which("kubectl")
    if program is None:
        raise RefusedError("kubectl is not on the path", "install it, or give manifests with -f")
    code, output, complaint = asyncio.run(_run(program, arguments))
    if code:
        raise RefusedError(f"kubectl {arguments[0]}: {complaint.strip()}", "try the same kubectl command by hand")
    return output


async def _run(program: str, arguments: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, output and complaint of a program."""
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, complaint = await process.communicate()
    return process.returncode or 0, output.decode(), complaint.decode(errors="replace")
