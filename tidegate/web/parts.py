"""Parts of a release's card, in the order of the terminal's screen and with its words (docs/terminal.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from tidegate.analysis.compare.measurement import EVENT, PROOF, comparison_of
from tidegate.analysis.compare.phrases import percent
from tidegate.analysis.status import Measurement, MetricStatus, Phase
from tidegate.contract import AnalysisRef, CompensationState, Event, ReleaseStatus, StepState, StepStatus, StrategyName
from tidegate.manifests.plain_text import one_line
from tidegate.report.aborted import abort_cost, abort_reason, operator_tasks, taken_back, way_back
from tidegate.report.ages import clock, since
from tidegate.report.compared_chart import compared_curves
from tidegate.report.current_state import (
    command,
    event_text,
    origin,
    paused_by,
    pod_counts,
    shown_events,
    verbs,
    waiting_for,
    weights,
)
from tidegate.report.gates import limits_text, newest_value, readings_summary, scope, shown_gates
from tidegate.report.marks import mark, phase_mark
from tidegate.report.progress import current_step, share_done, short, state_of_step
from tidegate.report.versions import versions
from tidegate.web.html import Child, Html, join, link, tag
from tidegate.web.plots import LARGE, SMALL, compared_plot, readings_plot, weights_plot

TONES: Final = {
    "Healthy": "good",
    "Successful": "good",
    "Progressing": "going",
    "Running": "going",
    "Paused": "held",
    "Degraded": "bad",
    "Failed": "bad",
    "Error": "warning",
    "Inconclusive": "warning",
}
_STEP_MARKS: Final = {
    StepState.DONE: ("✔", "done"),
    StepState.SKIPPED: ("✔", "skipped"),
    StepState.FAILED: ("✖", "failed"),
    StepState.RUNNING: ("▶", "under way"),
    StepState.PENDING: ("", "not yet"),
}
_UNDOING: Final = {
    CompensationState.PENDING: "◷",
    CompensationState.RUNNING: "◌",
    CompensationState.DONE: "✔",
    CompensationState.SKIPPED: "⚠",
    CompensationState.FAILED: "✖",
}
EVENTS: Final = 4
"""Events of a card in the list."""


def time_tag(at: datetime, now: datetime, text: str = "") -> Html:
    """A time with its ISO form: of the day, with its date where that is another one than today."""
    at = at.astimezone(UTC)
    shown = text or (clock(at) if at.date() == now.astimezone(UTC).date() else f"{at:%Y-%m-%d %H:%M:%S}")
    return tag(
        "time", shown, datetime=f"{at:%Y-%m-%dT%H:%M:%SZ}", title=f"{at:%Y-%m-%d %H:%M:%S} UTC, {since(at, now)} ago"
    )


def badge(state: str) -> Html:
    """A phase with its mark, so that its colour is not all that says it."""
    return tag(
        "span", tag("span", phase_mark(state), aria_hidden="true"), f" {state}", class_=f"badge {TONES.get(state, '')}"
    )


def version_part(status: ReleaseStatus) -> Html:
    """Old and new version with the one who released it."""
    before, after = versions(status)
    return tag(
        "p",
        (tag("span", before, class_="old"), " → ") if before else None,
        tag("b", after or f"revision {status.revision}"),
        tag("span", f" {origin(status)}", class_="dim"),
        class_="versions",
    )


def weights_part(status: ReleaseStatus) -> Html:
    """The weight as requested, as set and as seen."""
    return tag(
        "dl", (tag("div", tag("dt", name), tag("dd", value)) for name, value in weights(status)), class_="weights"
    )


def facts(rows: Iterator[tuple[str, Child]]) -> Html | None:
    """Labels with their values; nothing without any."""
    written = [tag("div", tag("dt", label), tag("dd", value)) for label, value in rows]
    return tag("dl", written, class_="facts") if written else None


def alerts_part(status: ReleaseStatus) -> Html | None:
    """Rejections by the cluster, and warnings."""
    texts = [*([str(status.failing)] if status.failing is not None else []), *status.warnings]
    return tag("ul", (tag("li", "⚠ ", one_line(text)) for text in texts), class_="alerts") if texts else None


def steps_part(status: ReleaseStatus, now: datetime) -> Html:
    """The bar with the current step, and all steps in a row."""
    current = current_step(status)
    share = round(100 * share_done(status, now))
    text = f"{current.opening}{current.step}{current.weight}"
    bar = tag("progress", f"{share} %", max=100, value=share, aria_label=text) if status.steps else None
    row = tag("ol", (_step(each, status) for each in status.steps), class_="steps") if status.steps else None
    tone = "bad" if status.aborting else "good"
    return tag(
        "div", tag("p", current.opening, tag("b", current.step), current.weight), bar, row, class_=f"progress {tone}"
    )


def _step(step: StepStatus, status: ReleaseStatus) -> Html:
    state = state_of_step(step, status)
    icon, text = _STEP_MARKS[state]
    here = "step" if state is StepState.RUNNING else None
    hidden = tag("span", f", {text}", class_="unseen")
    return tag("li", f"{icon} " if icon else None, short(step), hidden, class_=str(state), aria_current=here)


def wait_part(status: ReleaseStatus, now: datetime) -> Html | None:
    """The wait, its end, and the command that works now."""
    return facts(_wait(status, now))


def _wait(status: ReleaseStatus, now: datetime) -> Iterator[tuple[str, Child]]:
    if who := paused_by(status):
        yield "paused by", tag("b", one_line(who), class_="held")
    if status.waiting is not None and status.finished_at is None:
        yield "waiting for", one_line(waiting_for(status.waiting, now))
        yield "ended by", one_line(status.waiting.who)
    verb, *others = verbs(status)
    yield "you can", (tag("code", command(verb, status)), f" or {', '.join(others)}" if others else None)


def abort_part(status: ReleaseStatus, abort: Event) -> Html | None:
    """Why a version was taken back, its cost, the state of the traffic, the incident, and what to do next."""
    return facts(_abort(status, abort))


def _abort(status: ReleaseStatus, abort: Event) -> Iterator[tuple[str, Child]]:
    yield "taken back", tag("b", taken_back(status, abort), class_="bad")
    yield "why", one_line(abort_reason(status, abort))
    if cost := abort_cost(status):
        yield "cost", cost
    traffic = way_back(status, abort)
    yield "traffic", tag("span", traffic.text, class_="good" if traffic.done else "warning")
    if status.compensations:
        done = [f"{_UNDOING[each.state]} {each.name} ({each.state})" for each in status.compensations]
        yield "undoing", ", ".join(done)
    if status.incident is not None:
        yield "incident", link(one_line(status.incident.url), one_line(status.incident.number))
    for text in operator_tasks(status):
        yield "do now", tag("b", one_line(text), class_="bad")
    yield "next", (tag("code", command("explain", status)), ", then release a fix")


def gates_part(status: ReleaseStatus, now: datetime, *, whole: bool = False) -> Html | None:
    """Each metric of the gates that count now, with its readings against its limit.

    A `whole` view has larger drawings, and one of the weight over time.
    """
    drawn = [_gate(gate, metric, whole=whole) for gate, metric in shown_gates(status)]
    if whole and status.weights and status.strategy is StrategyName.CANARY:
        name = tag("p", tag("b", "weight"), tag("span", " on the canary", class_="dim"), class_="name")
        drawn.append(tag("li", name, weights_plot(status.weights, status.finished_at or now), class_="gate large"))
    return tag("ul", drawn, class_="gates whole" if whole else "gates") if drawn else None


def _gate(gate: AnalysisRef, metric: MetricStatus, *, whole: bool) -> Html:
    judged = comparison_of(metric)
    notes = [scope(gate), *(["dry run"] if metric.dry_run else [])]
    name = tag(
        "p",
        tag("span", f"{mark(metric.phase)} ", class_=TONES.get(metric.phase, ""), aria_hidden="true"),
        tag("span", f"{metric.phase}: ", class_="unseen"),
        tag("b", one_line(metric.name)),
        tag("span", f" {', '.join(notes)}", class_="dim"),
        class_="name",
    )
    rest = _readings(metric, whole=whole) if judged is None else _comparison(gate, metric, judged, whole=whole)
    return tag("li", name, rest, class_=f"gate {'large' if whole else 'small'}")


def _readings(metric: MetricStatus, *, whole: bool) -> Iterator[Html]:
    phase = metric.measurements[-1].phase if metric.measurements else metric.phase
    yield readings_plot(metric, LARGE if whole else SMALL)
    newest = tag("b", newest_value(metric), class_=TONES.get(phase, ""))
    yield tag("p", newest, f" limit {limits_text(metric)}", class_="value")
    yield tag("p", ", ".join(readings_summary(metric)), class_="counts dim")


def _comparison(gate: AnalysisRef, metric: MetricStatus, judged: Measurement, *, whole: bool) -> Iterator[Child]:
    """Yield how far the weakest proof is, and the sentence of the comparison."""
    proof = judged.metadata.get(PROOF, "")
    if metric.phase is Phase.FAILED:
        yield tag("p", tag("b", "harm is shown", class_="bad"), class_="value")
    elif proof:
        share = float(proof)
        text = f"proof {percent(share)} of what is asked for ({one_line(judged.metadata.get(EVENT, ''))})"
        yield tag("p", text, class_="value")
        yield tag("meter", percent(share), min=0, max=1, value=share, aria_label=text)
    curves = compared_curves(gate.name, metric) if whole else None
    if curves is not None:
        yield (compared_plot(event) for event in curves.events[:1])
        yield tag(
            "p",
            tag("span", "canary", class_="canary-key"),
            " and ",
            tag("span", "stable", class_="stable-key"),
            class_="dim",
        )
    yield tag("p", one_line(judged.value), class_="sentence")


def pods_part(status: ReleaseStatus) -> Html:
    """Pods of each version as a count."""
    parts = [
        tag("li", f"{each.name} ", tag("b", each.text), " ready", ", going" if each.going else None)
        for each in pod_counts(status)
    ]
    return tag("div", tag("h4", "Pods"), tag("ul", parts or tag("li", "none"), class_="pods"))


def events_part(status: ReleaseStatus, now: datetime, *, most: int | None) -> Html | None:
    """The last events, the newest first."""
    shown: Sequence[Event] = shown_events(status)[::-1][:most]
    if not shown:
        return None
    return tag("div", tag("h4", "Events"), tag("ol", (_event(each, status, now) for each in shown), class_="events"))


def _event(event: Event, status: ReleaseStatus, now: datetime) -> Html:
    text = event_text(event, status)
    return tag(
        "li",
        time_tag(event.at, now),
        " ",
        "⚠ " if event.warning else None,
        text,
        class_="warning" if event.warning else None,
    )


def origin_part(status: ReleaseStatus, history: str) -> Html | None:
    """Images, commit, CI job and workflow in full; `history` is the address of the run in the Temporal UI."""
    commit = " ".join(filter(None, (status.source.repository, status.source.commit)))
    rows: list[tuple[str, Child]] = [("image", tag("code", image)) for image in status.images.values()]
    rows += [("commit", one_line(commit))] if commit else []
    rows += [("CI", link(status.source.ci_url, one_line(status.source.ci_url)))] if status.source.ci_url else []
    run = join((tag("code", status.workflow_id), f" run {status.run_id}"))
    rows.append(("workflow", link(history, run) if history else run))
    return facts(iter(rows))
