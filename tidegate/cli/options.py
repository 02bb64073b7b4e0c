"""Options that several commands share, and what a command does with a client.

What connects is imported when a command connects: `tests/unit/cli/test_imports.py` has what each may import.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tidegate.manifests.durations import DURATION_HINT, parse_duration

if TYPE_CHECKING:
    from tidegate.client import AnalysisRunRef, ExperimentRef, RolloutRef, TidegateClient

Result = TypeVar("Result")

COMPLETION_SECONDS = 2.0  # a person waits at a prompt


class Output(StrEnum):
    """Form of what a command writes to stdout."""

    TEXT = "text"
    JSON = "json"


def duration(text: str) -> timedelta:
    """Read the value of an option such as `--timeout 5m`."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; give {DURATION_HINT}") from error


def cluster(text: str) -> str:
    """Read the name of a cluster. Raises typer.BadParameter."""
    from tidegate.contract import check_cluster

    try:
        return check_cluster(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}") from error


def rollout_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of Rollouts with a release, for the completion of a shell; none where Temporal does not answer at once."""
    import asyncio

    from tidegate.client import TidegateError

    namespace = str(ctx.params.get("namespace") or "default")

    async def names(client: TidegateClient) -> list[str]:
        async with asyncio.timeout(COMPLETION_SECONDS):
            return [each.name for each in await client.list(namespace)]

    try:
        found = with_client(names)
    except (TidegateError, TimeoutError):
        return []
    return [name for name in found if name.startswith(incomplete)]


Name = Annotated[str, typer.Argument(help="Name of the Rollout.", autocompletion=rollout_names)]
Images = Annotated[
    list[str] | None, typer.Option(metavar="CONTAINER=IMAGE", help="Image to release; * means every container.")
]
RunName = Annotated[str, typer.Argument(help="Name of the analysis run, as the tree shows it.")]
ExperimentName = Annotated[str, typer.Argument(help="Name of the Experiment.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", envvar="TIDEGATE_NAMESPACE", help="Kubernetes namespace.")]
Cluster = Annotated[
    str,
    typer.Option(
        envvar="TIDEGATE_CLUSTER", parser=cluster, metavar="TEXT", help="Kubernetes cluster, as its workers name it."
    ),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="text, or json with a schema_version.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on showing what changes, until it has ended.")]
Timeout = Annotated[
    timedelta | None,
    typer.Option(parser=duration, metavar="DURATION", help="How long to wait, such as 90s or 1h; no limit by default."),
]
By = Annotated[str, typer.Option(help="Who does this, for the record; by default the CI system's actor or you.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]


def rollout_ref(name: str, namespace: str, cluster: str) -> RolloutRef:
    """Address of the Rollout that was named; `rollout/NAME` is understood as well, as kubectl does."""
    from tidegate.client import RolloutRef
    from tidegate.contract import check_name, check_namespace

    name = name.removeprefix("rollout/")
    _check(check_name, name)
    _check(check_namespace, namespace)
    return RolloutRef(namespace, name, cluster)


def experiment_ref(name: str, namespace: str, cluster: str) -> ExperimentRef:
    """Address of the Experiment that was named; `experiment/NAME` is understood as well."""
    from tidegate.client import ExperimentRef
    from tidegate.contract import check_name, check_namespace

    name = name.removeprefix("experiment/")
    _check(check_name, name)
    _check(check_namespace, namespace)
    return ExperimentRef(namespace, name, cluster)


def run_ref(name: str, namespace: str, cluster: str) -> AnalysisRunRef:
    """Address of the analysis run that was named; `analysisrun/NAME` is understood as well."""
    from tidegate.client import AnalysisRunRef
    from tidegate.contract import check_name, check_namespace

    name = name.removeprefix("analysisrun/")
    _check(check_name, name)
    _check(check_namespace, namespace)
    return AnalysisRunRef(namespace, name, cluster)


def _check(check: Callable[[str], str], name: str) -> None:
    try:
        check(name)
    except ValueError as error:
        raise typer.BadParameter(f"{name!r}: {error}") from error


def assignments(options: Iterable[str], option: str, form: str) -> dict[str, str]:
    """The values of a repeated option `NAME=VALUE`; `form` says how one is written."""
    found: dict[str, str] = {}
    for text in options:
        name, separator, value = text.partition("=")
        if not (name and separator):
            raise typer.BadParameter(f"{text!r} is not {form}", param_hint=option)
        if name in found:
            raise typer.BadParameter(f"{name!r} is given twice", param_hint=option)
        found[name] = value
    return found


def with_client(action: Callable[[TidegateClient], Awaitable[Result]]) -> Result:
    """Connect, act, and return what came of it; what the server records of the caller is the actor."""
    import asyncio

    from tidegate.cli.failures import configure_logs
    from tidegate.client import TidegateClient
    from tidegate.client.actor import actor

    configure_logs()

    async def connected() -> Result:
        return await action(await TidegateClient.connect(identity=actor()))

    return asyncio.run(connected())
