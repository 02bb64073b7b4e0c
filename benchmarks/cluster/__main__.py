"""What N releases at once cost a Kubernetes cluster, and Argo's controller beside it, where its binary is given.

`python -m benchmarks.cluster --kubeconfig FILE [-n 20] [--istio] [--simulate-pods] [--audit-log FILE]
[--argo-controller BINARY] [--standing N] [-o json]`. The cluster has the CRDs of Rollouts; with `--istio` those of
Istio, too. N Rollouts of four pods and three steps are made in a namespace of their own and, when all are Healthy,
changed at once. Worker, watcher and Temporal's development server are processes of this checkout. Requests are counted
in the API server's audit log. With `--standing` nothing is changed: what so many Rollouts cost that only stand.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from pydantic import BaseModel

from benchmarks.cluster.controllers import Controller, argo, tidegate
from benchmarks.cluster.run import Asked, Costs, home, ratios, releases, standing
from benchmarks.machine import Machine


class _Report(BaseModel):
    before: Machine
    after: Machine
    costs: list[Costs]
    ratios: dict[str, float]


def _row(costs: Costs, *, stands: bool) -> str:
    lines = [f"{costs.controller}: " + ("standing" if stands else f"all Healthy after {costs.seconds:.1f} s")]
    if costs.requests:
        verbs = ", ".join(f"{verb} {number}" for verb, number in costs.requests.items())
        kinds = ", ".join(f"{key} {number}" for key, number in costs.by_kind.items())
        rate = f" ({costs.all_requests / costs.seconds:.2f} a second)" if stands else ""
        lines += [f"  requests  {costs.all_requests}{rate}: {verbs}", f"            {kinds}"]
    for what, unit, own, beside in (
        ("CPU", "s", costs.cpu, costs.cpu_beside),
        ("resident" if stands else "peak", "MB", costs.mb, costs.mb_beside),
    ):
        parts = " + ".join(f"{name} {value:.2f}" for name, value in own.items())
        apart = "".join(f"; apart: {name} {value:.2f}" for name, value in beside.items())
        lines.append(f"  {what:<9} {sum(own.values()):.2f} {unit}: {parts}{apart}")
    return "\n".join(lines)


def _file(text: str) -> Path:
    return Path(text).resolve()


async def _measured(options: argparse.Namespace) -> list[Costs]:
    asked = Asked(
        rollouts=options.standing or options.rollouts,
        kubeconfig=options.kubeconfig,
        context=options.context,
        istio=options.istio,
        simulate_pods=options.simulate_pods,
        audit_log=options.audit_log,
        limit=options.limit,
    )
    measure = standing if options.standing else releases

    async def measured(name: str, controller: AbstractAsyncContextManager[Controller]) -> Costs:
        async with home(asked, name) as cluster, controller as running:
            return await measure(asked, running, cluster, name)

    here = f"tidegate-benchmark-{os.getpid()}"
    costs = []
    if not options.only_argo:
        costs.append(await measured(here, tidegate(asked.kubeconfig, here, options.logs)))
    if options.argo_controller is not None:
        costs.append(await measured(f"{here}-argo", argo(options.argo_controller, asked.kubeconfig, f"{here}-argo")))
    return costs


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=_file, required=True, help="file that names the cluster")
    parser.add_argument("--context", default="", help="context of the kubeconfig; its current one by default")
    parser.add_argument("-n", "--rollouts", type=int, default=20, help="how many are released at once")
    parser.add_argument("--istio", action="store_true", help="route by a VirtualService")
    parser.add_argument("--standing", type=int, default=0, help="so many that only stand, instead of releases")
    parser.add_argument("--simulate-pods", action="store_true", help="make pods Ready: the cluster has no kubelet")
    parser.add_argument("--audit-log", type=_file, help="file of the API server, at least of level Metadata")
    parser.add_argument("--argo-controller", type=_file, help="binary of Argo Rollouts' controller, to compare with")
    parser.add_argument("--only-argo", action="store_true", help="leave Tidegate out")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds until all have to be Healthy")
    parser.add_argument("--logs", type=Path, help="folder that keeps logs and Temporal's database")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    options = parser.parse_args()
    if options.only_argo and options.argo_controller is None:
        parser.error("--only-argo needs --argo-controller")
    before = Machine.now()
    costs = await _measured(options)
    after = Machine.now()
    compared = dict(ratios(*costs)) if len(costs) == 2 else {}
    if options.output == "json":
        print(_Report(before=before, after=after, costs=costs, ratios=compared).model_dump_json(indent=2))
        return
    print(*(_row(each, stands=bool(options.standing)) for each in costs), sep="\n")
    if compared:
        print("Tidegate / Argo: " + ", ".join(f"{what} {times:.2f}" for what, times in compared.items()))
    print(f"before: {before}", f"after:  {after}", sep="\n")


if __name__ == "__main__":
    asyncio.run(_main())
