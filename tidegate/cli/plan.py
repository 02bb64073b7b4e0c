"""`plan`: what a release can prove at the traffic of its service, said before it starts."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tidegate.cli.exits import ExitCode
from tidegate.cli.files import Files, GivenNamespace, checked
from tidegate.cli.options import Cluster, Images, Output, OutputOption, with_client
from tidegate.cli.output import document, print_json, stdout, terminal_width
from tidegate.cli.requests import images_of
from tidegate.client import TidegateClient, TidegateError
from tidegate.client.actor import actor
from tidegate.client.manifest_files import read
from tidegate.client.release_requests import release_request
from tidegate.contract import ComparisonBacktest, ComparisonForecast, Payload, ReleaseForecast, ReleaseRequest
from tidegate.manifests.documents import Manifests
from tidegate.manifests.images import apply_images
from tidegate.report import forecast_sentences, forecast_view

WIDTH = 80
BESIDE_START = 10.0  # seconds; a release does not wait for it, a person who reads along would not much longer

Report = TypeVar("Report", bound=Payload)


def plan(
    filename: Files,
    image: Images = None,
    namespace: GivenNamespace = None,
    cluster: Cluster = "default",
    output: OutputOption = Output.TEXT,
) -> int:
    """Say what a release can prove at the traffic of the last hour, and when. Nothing is released.

    Exit codes: 0 there is a forecast, 5 the release or a comparison would be refused, 1 a source has no answer, 4 no
    worker answers.
    """
    images, manifests = images_of(image or []), read(filename)
    manifests = checked(apply_images(manifests, images) if images else manifests)
    request = release_request(manifests, namespace, cluster=cluster, by=actor())
    forecast = with_client(lambda client: client.forecast(request))
    print_report(forecast, output, forecast_lines)
    return code_of(forecast.comparisons)


def print_report(report: Report, output: Output, lines: Callable[[Report, int], Iterator[str]]) -> None:
    """Print what an operator asked for, in `lines` of at most 80 characters or as JSON."""
    if output is Output.JSON:
        print_json(document(report))
        return
    for line in lines(report, min(terminal_width() or WIDTH, WIDTH)):
        stdout().print(line)


def forecast_lines(forecast: ReleaseForecast, width: int) -> Iterator[str]:
    """Yield the forecast in lines of at most so many characters."""
    for indent, text in forecast_view(forecast):
        yield from wrapped(text, width, indent)


def wrapped(text: str, width: int, indent: int) -> list[str]:
    """Lines of at most `width` characters; the first has `indent` spaces before it, the rest two more."""
    first, rest = " " * indent, " " * (indent + 2)
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def code_of(comparisons: Sequence[ComparisonForecast | ComparisonBacktest]) -> ExitCode:
    """Exit code of a report, by the sources that refused it or gave no answer.

    A comparison that is not provable, or a change that could not be judged, is a line of the report.
    """
    failed = [each for each in comparisons if each.error]
    if any(each.refused for each in failed):
        return ExitCode.REFUSED
    return ExitCode.INTERNAL if failed else ExitCode.OK


def compares(manifests: Manifests) -> bool:
    """True when a template among the manifests compares the canary with stable."""
    metrics = (metric for template in manifests.templates for metric in template.model.spec.metrics)
    return any(metric.provider.compare is not None for metric in metrics)


async def forecast_beside(client: TidegateClient, request: ReleaseRequest) -> list[str]:
    """Lines to say beside the start of a release. Never fails, and takes at most `BESIDE_START` seconds."""
    try:
        async with asyncio.timeout(BESIDE_START):
            sentences = list(forecast_sentences(await client.forecast(request)))
    except TimeoutError:
        sentences = ["no forecast of the comparison in time: see `tidegate plan`"]
    except TidegateError as error:
        sentences = [f"no forecast of the comparison: {error.message}"]
    return [line for text in sentences for line in wrapped(text, WIDTH, 0)]
