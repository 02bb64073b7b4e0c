"""Which analysis watches a version at each of its weights, and until when: what nothing watches, nothing stops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import accumulate, pairwise
from math import inf
from typing import Final, NamedTuple

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric, RolloutAnalysis
from tidegate.manifests.decode import decode_object
from tidegate.manifests.documents import Loaded
from tidegate.manifests.durations import format_duration, int_or_zero, parse_duration
from tidegate.manifests.findings import Finding, ManifestError, Path, Severity
from tidegate.manifests.placeholders import PlaceholderError, fill_object
from tidegate.manifests.rollout import Canary, Rollout
from tidegate.manifests.steps import CanaryStep, step_text
from tidegate.manifests.templates import TemplateKey, used_templates

Templates = Mapping[TemplateKey, Loaded[AnalysisTemplate]]

_STEPS: Final = ("spec", "strategy", "canary", "steps")
_ENDLESS: Final = "leave count out, in a template of its own for the background: it then ends with the release"
_WATCH: Final = "add an analysis step after the weight, or a background analysis whose metrics have no count"


class Watched(NamedTuple):
    """A metric of an analysis with the template and the field that end it, and the seconds until then, inf for none."""

    template: Loaded[AnalysisTemplate]
    name: str
    field: Path
    readings: int
    seconds: float


class Held(NamedTuple):
    """A weight that a version is held at: percent, the step that sets it, and the first step after it."""

    weight: int
    first: int
    end: int


def coverage_findings(rollout: Loaded[Rollout], templates: Templates) -> Iterator[Finding]:
    """Warnings about a background analysis that ends before the last step, and about weights that nothing watches.

    Times are those of the quickest release: each pause and each gate as short as it can be, nothing for pods to start.
    A pause without a duration counts as endless.
    """
    canary = rollout.model.spec.strategy.canary
    if canary is None or not canary.template_refs() or not canary.steps:
        return
    background = _watched(canary.analysis, templates) if canary.analysis is not None else []
    if background is not None:
        yield from _background_ends(rollout, canary, background, templates)
    yield from _unwatched(rollout, canary, background, templates)


def _background_ends(
    rollout: Loaded[Rollout], canary: Canary, background: Sequence[Watched], templates: Templates
) -> Iterator[Finding]:
    began = _began(canary)
    begins = _begins(canary, began, templates)
    for metric in background:
        if began >= len(canary.steps) or metric.seconds >= begins[-1]:
            continue
        during = max(index for index, begin in enumerate(begins) if begin <= metric.seconds)
        times = "reading" if metric.readings == 1 else "readings"
        message = (
            f"{metric.name} of the background analysis of {rollout.label} is over after {metric.readings} {times}: at "
            f"the earliest {_text(metric.seconds)} after it began, in step {during} "
            f"({step_text(canary.steps[during])}) of {len(canary.steps)}; the steps after that go on without it"
        )
        value = metric.template.document.value(metric.field)
        shown = None if isinstance(value, dict | list) else value
        yield metric.template.finding(
            Severity.WARNING, "background-ends", metric.field, message, value=shown, remedy=_ENDLESS
        )


def _unwatched(
    rollout: Loaded[Rollout], canary: Canary, background: Sequence[Watched] | None, templates: Templates
) -> Iterator[Finding]:
    """One finding for all weights, at the first; `background` None stands for one that cannot be read."""
    bare = [held for held in _held(canary) if not _is_watched(held, canary, background, templates)]
    if not bare:
        return
    weights = ", ".join(f"{held.weight} % (step {held.first})" for held in bare)
    message = f"no gate and no background analysis watches the version at {weights}"
    yield rollout.finding(
        Severity.WARNING, "unwatched-weight", (*_STEPS, bare[0].first, "setWeight"), message, remedy=_WATCH
    )


def _is_watched(held: Held, canary: Canary, background: Sequence[Watched] | None, templates: Templates) -> bool:
    if any(_is_gate(step) for step in canary.steps[held.first : held.end]):
        return True
    began = _began(canary)
    if canary.analysis is None or began >= held.end:
        return False
    begin = _begins(canary, began, templates)[held.first]
    return background is None or any(metric.seconds > begin or metric.seconds == inf for metric in background)


def _held(canary: Canary) -> Iterator[Held]:
    """Weights between none and all of the traffic at which a step takes time."""
    setting = [index for index, step in enumerate(canary.steps) if step.set_weight is not None]
    for first, end in pairwise([*setting, len(canary.steps)]):
        weight = canary.steps[first].set_weight or 0
        takes_time = any(step.pause or _is_gate(step) or step.experiment for step in canary.steps[first:end])
        if 0 < weight < canary.max_weight() and takes_time:
            yield Held(weight, first, end)


def _is_gate(step: CanaryStep) -> bool:
    return step.analysis is not None or bool(step.experiment and step.experiment.analyses)


def _began(canary: Canary) -> int:
    """Step at which the background analysis begins."""
    return max(0, (canary.analysis.starting_step or 0) if canary.analysis else 0)


def _begins(canary: Canary, zero: int, templates: Templates) -> list[float]:
    """Seconds from the beginning of step `zero` to that of each step, 0 for those before; inf behind an open pause."""
    lasting = [_seconds(step, templates) if index >= zero else 0.0 for index, step in enumerate(canary.steps)]
    return list(accumulate(lasting[:-1], initial=0.0))


def _seconds(step: CanaryStep, templates: Templates) -> float:
    """Least seconds that a step takes; 0 where nothing here says."""
    if step.pause is not None:
        seconds = step.pause.seconds()
        return inf if seconds is None else max(0, seconds)
    if step.analysis is not None:
        gates = _watched(step.analysis, templates) or ()
        return max((gate.seconds for gate in gates if gate.seconds < inf), default=0.0)
    if step.experiment is not None and step.experiment.duration:
        return _duration(step.experiment.duration) or 0.0
    return 0.0


def _watched(analysis: RolloutAnalysis, templates: Templates) -> list[Watched] | None:
    """The metrics of an analysis; None when one of its templates is not at hand."""
    used = used_templates(analysis.templates, {key: each.model for key, each in templates.items()})
    if used.missing:
        return None
    found = [templates[key] for key in used.found]
    values: dict[str, str | None] = {}
    for argument in (argument for each in found for argument in each.model.spec.args):
        values[f"args.{argument.name}"] = argument.value
    values |= {f"args.{each.name}": each.value for each in analysis.args}
    return [
        _read(template, index, _filled(metric, values))
        for template in found
        for index, metric in enumerate(template.model.spec.metrics)
    ]


def _filled(metric: Metric, values: Mapping[str, str | None]) -> Metric:
    """The metric with its arguments as far as they are known here."""
    try:
        return decode_object(Metric, fill_object(metric.to_wire(), values), metric.name)
    except (PlaceholderError, ManifestError):
        return metric


def _read(template: Loaded[AnalysisTemplate], index: int, metric: Metric) -> Watched:
    path: Path = ("spec", "metrics", index)
    ends = {
        "count": int_or_zero(metric.count),
        "consecutiveSuccessLimit": int_or_zero(metric.consecutive_success_limit),
    }
    given = {field: number for field, number in ends.items() if number > 0}
    interval, delay = _duration(metric.interval), _duration(metric.initial_delay)
    if given:
        field, readings = min(given.items(), key=lambda item: item[1])
    else:
        field, readings = "", 1
    endless = metric.provider.compare is not None or (not given and bool(metric.interval))
    seconds = inf if endless or interval is None or delay is None else delay + (readings - 1) * interval
    return Watched(template, metric.name, (*path, field) if field else path, readings, seconds)


def _duration(text: str) -> float | None:
    """Seconds; None for what is no duration."""
    try:
        return parse_duration(text or "0").total_seconds()
    except ValueError:
        return None


def _text(seconds: float) -> str:
    return format_duration(timedelta(seconds=seconds))
