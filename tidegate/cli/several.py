"""Several Rollouts in one command, by their names or by labels: each has its line, and the worst exit code counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel

from tidegate.cli.exits import ExitCode, worst
from tidegate.cli.failures import print_error
from tidegate.cli.options import Output, rollout_names, rollout_ref, with_client
from tidegate.cli.output import document, documents, print_json, stderr, stdout
from tidegate.client import NoSuchReleaseError, ReleaseSummary, RolloutRef, TidegateClient, TidegateError
from tidegate.manifests.findings import ManifestError
from tidegate.manifests.selector import LabelSelector, parse_selector

Result = TypeVar("Result")


def selector(text: str) -> LabelSelector:
    """Read the value of `--selector`. Raises typer.BadParameter."""
    try:
        return parse_selector(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Names of Rollouts.", autocompletion=rollout_names, show_default=False),
]
Selector = Annotated[
    LabelSelector | None,
    typer.Option(
        "--selector",
        "-l",
        parser=selector,
        metavar="LABELS",
        help="Rollouts with these labels, as kubectl selects: app=checkout,tier!=test.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class CommandResult:
    """Result of a command for one Rollout: as a payload, as a line, and as an exit code."""

    payload: BaseModel
    line: str
    code: ExitCode = ExitCode.OK


@dataclass(frozen=True)
class RolloutSelection:
    """Rollouts of a namespace of a cluster: those of the names, or those that the selector matches."""

    names: Sequence[str]
    selector: LabelSelector | None
    namespace: str
    cluster: str

    def __post_init__(self) -> None:
        """Raise typer.BadParameter for neither of the two, for both, and for names that are none."""
        if bool(self.names) == (self.selector is not None):
            raise typer.BadParameter("give names, or --selector LABELS", param_hint="NAME")
        for name in self.names:
            rollout_ref(name, self.namespace, self.cluster)

    @property
    def is_one(self) -> bool:
        """True for one Rollout by its name: its document is none of a list."""
        return len(self.names) == 1

    async def rollouts(self, client: TidegateClient, *, under_way: bool) -> list[tuple[RolloutRef, str]]:
        """Addresses with what is known of each; `under_way` leaves out what has no release now.

        Raises NoSuchReleaseError where the selector matches nothing.
        """
        if self.selector is None:
            return [(rollout_ref(name, self.namespace, self.cluster), "") for name in dict.fromkeys(self.names)]
        found = [
            each
            for each in await client.list(self.namespace, cluster=self.cluster, selector=self.selector)
            if each.state == "Running" or not under_way
        ]
        if not found:
            what = "has a release under way and these labels" if under_way else "has these labels"
            raise NoSuchReleaseError(
                f"no Rollout of namespace {self.namespace} {what}: {self.selector.text()}",
                f"see `tidegate list -n {self.namespace}`",
            )
        return [(RolloutRef(each.namespace, each.name, each.cluster), _known(each)) for each in found]


def _known(release: ReleaseSummary) -> str:
    weight = f"at {release.weight} %" if release.weight is not None else ""
    return " ".join(filter(None, (release.version, weight)))


def read_each(
    selection: RolloutSelection, query: Callable[[TidegateClient, RolloutRef], Awaitable[Result]]
) -> tuple[list[Result], ExitCode]:
    """Query each Rollout at the same time: the answers in the order of the names, and the worst exit code.

    An error of one is written to stderr and leaves the others alone.
    """

    async def all_of_them(client: TidegateClient) -> list[tuple[Result | None, ExitCode]]:
        rollouts = await selection.rollouts(client, under_way=False)
        return await asyncio.gather(*(_one(query(client, rollout)) for rollout, _ in rollouts))

    done = with_client(all_of_them)
    return [answer for answer, _ in done if answer is not None], worst(code for _, code in done)


def for_each(
    selection: RolloutSelection,
    act: Callable[[TidegateClient, RolloutRef], Awaitable[CommandResult]],
    output: Output,
    *,
    announced: str = "",
    under_way: bool = False,
) -> int:
    """Act on each Rollout at the same time, and return the worst exit code.

    `announced` is what is done to them: it is printed with their names before, where they are several or selected.
    """

    async def one(client: TidegateClient, rollout: RolloutRef) -> CommandResult:
        answer = await act(client, rollout)
        if output is Output.TEXT:
            stdout().print(answer.line)
        return answer

    async def all_of_them(client: TidegateClient) -> list[tuple[CommandResult | None, ExitCode]]:
        rollouts = await selection.rollouts(client, under_way=under_way)
        if announced and (len(rollouts) > 1 or selection.selector is not None):
            stderr().print(f"{announced}: {', '.join(f'{each.name} {known}'.rstrip() for each, known in rollouts)}")
        return await asyncio.gather(*(_one(one(client, rollout)) for rollout, _ in rollouts))

    done = with_client(all_of_them)
    answers = [answer for answer, _ in done if answer is not None]
    if output is Output.JSON and selection.is_one:
        for answer in answers:
            print_json(document(answer.payload))
    elif output is Output.JSON:
        print_json(documents(answer.payload for answer in answers))
    return worst(code if answer is None else answer.code for answer, code in done)


async def _one(work: Awaitable[Result]) -> tuple[Result | None, ExitCode]:
    """Result for one Rollout; an expected error is written to stderr, and has an exit code."""
    try:
        return await work, ExitCode.OK
    except (TidegateError, ManifestError) as error:
        return None, print_error(error) or ExitCode.INTERNAL
