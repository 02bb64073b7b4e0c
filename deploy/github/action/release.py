"""The action's step: a release, its end as outputs, and a summary with the readings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tidegate.cli.exits import ExitCode, exit_code
from tidegate.client import Released, ReleaseOutcome, TidegateError, release
from tidegate.manifests.durations import parse_duration

CODES = {
    ReleaseOutcome.PROMOTED: ExitCode.OK,
    ReleaseOutcome.HELD: ExitCode.HELD,
    ReleaseOutcome.REFUSED: ExitCode.REFUSED,
    ReleaseOutcome.SUPERSEDED: ExitCode.REFUSED,
    ReleaseOutcome.STOPPED: ExitCode.COMPENSATION_FAILED,
    ReleaseOutcome.COMPENSATION_FAILED: ExitCode.COMPENSATION_FAILED,
}
BARS = "▁▂▃▄▅▆▇█"


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Exit code of the step: that of `tidegate start --wait`."""
    try:
        images = dict(line.partition("=")[::2] for line in environment["IMAGES"].split())
        result = release(
            environment["FILES"].split(),
            images,
            namespace=environment["NAMESPACE"] or None,
            cluster=environment["CLUSTER"],
            reason=environment["REASON"],
            timeout=parse_duration(environment["TIMEOUT"]),
        )
    except TidegateError as error:
        say(environment, {"outcome": "error", "reason": error.message}, [f"{error.message} {error.remedy}".strip()])
        sys.stderr.write(f"::error::{one_line(error.message)}\n")
        return exit_code(error)
    links = result.links
    outputs = {"outcome": result.outcome, "reason": result.reason, "revision": result.revision}
    say(environment, outputs | {"weight": result.weight, "incident": links.incident, "run": links.run}, lines(result))
    if not result.promoted:
        sys.stderr.write(f"::error::{one_line(f'{result.outcome}: {result.reason}')}\n")
    return CODES.get(result.outcome, ExitCode.ROLLED_BACK)


def lines(result: Released) -> Iterator[str]:
    """Yield the summary in Markdown."""
    yield f"### {', '.join(result.images.values()) or 'Release'}: {result.outcome}\n"
    yield f"{cell(result.reason)}\n"
    for name, url in (("incident", result.links.incident), ("run", result.links.run)):
        if url:
            yield f"[{name}]({url})\n"
    if result.readings:
        yield "| gate | metric | result | newest value | readings | why |\n|---|---|---|---|---|---|"
        for each in result.readings:
            row = (each.gate, each.metric, each.phase, each.value, chart(result, each.gate, each.metric), each.sentence)
            yield f"| {' | '.join(cell(str(part)) for part in row)} |"


def chart(result: Released, gate: str, metric: str) -> str:
    """Bars of the kept measurements that are numbers, the oldest first."""
    runs = result.status.analyses if result.status is not None else ()
    values = [
        number
        for run in runs
        if run.name == gate
        for each in run.status.metrics
        if each.name == metric
        for number in map(as_number, (measurement.value for measurement in each.measurements))
        if number is not None
    ]
    most = max(values, default=0)
    return "".join(BARS[round(max(value, 0) / most * (len(BARS) - 1))] if most > 0 else BARS[0] for value in values)


def as_number(text: str) -> float | None:
    """The number that a text is, None for any other text."""
    try:
        return float(text)
    except ValueError:
        return None


def say(environment: Mapping[str, str], outputs: Mapping[str, object], summary: Iterator[str] | list[str]) -> None:
    """Write outputs and summary into the runner's files."""
    with Path(environment["GITHUB_OUTPUT"]).open("a") as file:
        file.writelines(f"{name}={one_line(str(value))}\n" for name, value in outputs.items())
    with Path(environment["GITHUB_STEP_SUMMARY"]).open("a") as file:
        file.writelines(f"{line}\n" for line in summary)


def one_line(text: str) -> str:
    """A text that cannot begin another line."""
    return " ".join(text.split())


def cell(text: str) -> str:
    """A text that ends neither a row nor a cell of a table, and is no HTML."""
    return one_line(text).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.exit(main())
