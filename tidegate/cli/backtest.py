"""`backtest`: what a comparison would have said of the past changes of a service's version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

import typer

from tidegate.cli.files import Files, GivenNamespace, checked
from tidegate.cli.options import Output, OutputOption, assignments, duration, with_client
from tidegate.cli.output import stderr
from tidegate.cli.plan import code_of, print_report, wrapped
from tidegate.client import backtest_request, most_series
from tidegate.client.manifest_files import one_namespace, read
from tidegate.contract import BacktestReport, BacktestRequest
from tidegate.manifests.documents import Manifests
from tidegate.report import backtest_view

MONTH = timedelta(days=30)


def past(text: str) -> timedelta:
    """Read the value of `--since`: days such as `30d`, which Go's durations do not have, or one of those."""
    days = text.removesuffix("d")
    return timedelta(days=int(days)) if days != text and days.isdecimal() and len(days) < 5 else duration(text)


def backtest(
    filename: Files,
    since: Annotated[
        timedelta | None,
        typer.Option(parser=past, metavar="DURATION", help="How far to look back, such as 7d or 12h; by default 30d."),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="Judge by other settings as well, such as plus=0.1%,0.5% or errors.times=1.5; may be repeated.",
        ),
    ] = None,
    arg: Annotated[
        list[str] | None, typer.Option("--arg", metavar="NAME=VALUE", help="Value of an argument; may be repeated.")
    ] = None,
    namespace: GivenNamespace = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Say what a comparison would have said of past changes of version. It reads, and changes nothing.

    Exit codes: 0 there is a report, 5 the templates are refused or a source has no such history, 1 a source has no
    answer, 4 no worker answers.
    """
    arguments = assignments(arg or [], "--arg", "NAME=VALUE, such as service-name=checkout")
    settings = [setting for text in sweep or [] for setting in swept(text)]
    request = _request(checked(read(filename)), namespace, arguments, since or MONTH, settings)
    stderr().print(f"reads at most {most_series(request):,} series; nothing is changed")
    report = with_client(lambda client: client.backtest(request))
    print_report(report, output, backtest_lines)
    return code_of(report.comparisons)


def _request(
    manifests: Manifests, namespace: str | None, arguments: dict[str, str], since: timedelta, settings: list[str]
) -> BacktestRequest:
    rollout = manifests.rollout() if manifests.rollouts else None
    stated = [(each.label, each.metadata.namespace) for each in manifests.templates]
    stated += [] if rollout is None else [(rollout.label, rollout.metadata.namespace)]
    return backtest_request(
        [template.raw for template in manifests.templates],
        None if rollout is None else rollout.raw,
        arguments,
        namespace=one_namespace(stated, namespace),
        since=since,
        settings=settings,
    )


def swept(text: str) -> list[str]:
    """Settings of an option `--sweep NAME=VALUE,...`, each `NAME=VALUE`. Raises typer.BadParameter."""
    name, separator, values = text.partition("=")
    found = [value.strip() for value in values.split(",")]
    if not (name and separator and all(found)):
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE,..., such as plus=0.1%,0.5%", param_hint="--sweep")
    return [f"{name}={value}" for value in found]


def backtest_lines(report: BacktestReport, width: int) -> Iterator[str]:
    """Yield the report in lines of at most so many characters."""
    for indent, text in backtest_view(report):
        yield from wrapped(text, width, indent)
