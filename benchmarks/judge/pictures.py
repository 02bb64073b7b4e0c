"""Pictures of simulated rollouts for docs/proof.md: `python -m benchmarks.judge.pictures`.

Each is drawn from the judgements of one rollout, by what draws the picture of an incident.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import matplotlib as mpl

from activities.charts import figure_of
from benchmarks.judge.cells import ERRORS, GOOD
from benchmarks.judge.fleet import Fleet, Service, Version
from benchmarks.judge.rollout import run
from benchmarks.judge.session import Session
from tidegate.analysis.compare.measurement import metadata_of
from tidegate.analysis.compare.models import Ruling
from tidegate.analysis.status import Measurement, MetricStatus, Phase
from tidegate.contract import Chart
from tidegate.report.compared_chart import compared_curves

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
START: Final = datetime(2026, 3, 1, 3, 20, tzinfo=UTC)
SECONDS: Final = 60
"""Between the points of a picture."""
SERVICE: Final = Service(load=50.0, errors=0.005)
PICTURED: Final[Mapping[str, Version]] = {"proof-good.svg": GOOD, "proof-harm.svg": ERRORS[0]}


def drawn(version: Version) -> str:
    """The SVG of one rollout, alike each time."""
    target = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "tidegate", "svg.fonttype": "none"}):
        figure_of(_chart(version)).savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue().decode()


def _chart(version: Version) -> Chart:
    measurements: dict[int, Measurement] = {}
    weights: dict[datetime, int] = {}

    def watch(seconds: int, session: Session) -> None:
        weights.update((_at(each.since), round(100 * each.share)) for each in session.weights)
        judgement = session.judgement
        spent = seconds % SECONDS
        if judgement is not None and (spent == 0 or judgement.ruling is not Ruling.WAIT):
            if spent < SECONDS / 2:  # a rate of a few seconds would be a spike
                measurements.pop(seconds - spent, None)
            measurements[seconds] = Measurement(
                phase=Phase.RUNNING,
                value=judgement.sentence,
                started_at=_at(seconds),
                metadata=metadata_of(judgement, session.weights[-1], session.wanted),
            )

    outcome = run(Fleet(SERVICE, version, seed="picture"), watch)
    metric = MetricStatus(name="as-good-as-stable", phase=Phase.RUNNING, measurements=tuple(measurements.values()))
    curves = compared_curves("background analysis", metric)
    title = f"{version.name}, {SERVICE.load:.0f} requests a second: {outcome.end} after {outcome.seconds} s"
    return Chart(title=title, comparisons=(curves,) if curves else (), weights=tuple(weights.items()))


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def written() -> Iterator[Path]:
    """Write each picture, and yield its path."""
    for name, version in PICTURED.items():
        path = FOLDER / name
        path.write_text(drawn(version), encoding="utf-8")
        yield path


if __name__ == "__main__":
    for each in written():
        print(each.relative_to(FOLDER.parents[1]))
