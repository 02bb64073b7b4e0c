"""Settings of the plugin `tidegate/compare`: the canary's bad requests against stable's in the same seconds.

Every text may hold `{{args.name}}`, which is why numbers may be texts. Margins are `times` x stable's rate + `plus`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from math import isfinite
from typing import Annotated, Any, Final

from pydantic import PlainValidator, model_validator

from tidegate.manifests.durations import DURATION_HINT, parse_duration
from tidegate.manifests.findings import Path
from tidegate.manifests.model import Items, Model
from tidegate.manifests.providers.authentication import Authentication
from tidegate.manifests.providers.datadog import SecretRef
from tidegate.manifests.version_tag import VERSION_TAG, is_hash_tag

KEY: Final = "tidegate/compare"
"""Name of the plugin: Argo's controller accepts `owner/name` of these characters only."""
AUTO: Final = "auto"
ERRORS: Final = "errors"
SLOW90: Final = "slow90"
SLOW99: Final = "slow99"
STUCK: Final = "stuck"
GUARD_TIMES: Final = 2
GUARD_PLUS: Final = "5%"
LATENCY_EVENTS: Final = (SLOW90, SLOW99, STUCK)
"""Requests slower than stable's p90, than its p99, and than four times its p99 of the hour before."""
_SHORTEST_BUCKET: Final = timedelta(seconds=10)
_LONGEST_BUCKET: Final = timedelta(minutes=5)
_FRACTION_HINT: Final = "a part of the requests, such as 0.1% or 0.001"

Problem = tuple[Path, str, str]
"""Field below the plugin, message, remedy."""


def _number(value: object) -> float | int | str:
    if isinstance(value, bool) or not isinstance(value, float | int | str):
        raise ValueError("must be a number or text")
    return value


Number = Annotated[float | int | str, PlainValidator(_number)]


class CompareDatadog(Model):
    """Counts of Datadog's trace metrics `trace.<operation>`, `filter` being more tags of the scope."""

    service: str = ""
    operation: str = ""
    env: str = ""
    filter: str = ""
    version_tag: str = "version"
    secret_ref: SecretRef | None = None


class ComparePrometheus(Model):
    """Counters of Prometheus: `errors` and `matchers` are label matchers, `latency` is a classic histogram."""

    address: str = ""
    requests: str = ""
    errors: str = ""
    latency: str = ""
    matchers: str = ""
    pod_label: str = "pod"
    authentication: Authentication = Authentication()


class VersionTags(Model):
    """Values of the tag that tells the versions apart, where the pod templates do not say."""

    canary: str = ""
    stable: str = ""


class CompareMargin(Model):
    """Edge of what is tolerated."""

    times: Number | None = None
    plus: Number | None = None


class CompareEvent(CompareMargin):
    """A bad event; `bad` and `of` are the queries of one of the owner's own, for which they are both needed.

    `early` is what the first, second, ... weight has to prove; `weight` the share of the alarm budget.
    """

    name: str = ""
    bad: str = ""
    of: str = ""
    weight: Number | None = None
    early: Items[CompareMargin] | None = None

    @property
    def is_own(self) -> bool:
        """True when it is none of those that are counted without being described."""
        return self.name not in DEFAULT_EVENTS


class Compare(Model):
    """A comparison of the canary with stable; what is left out has the defaults of the plugin."""

    datadog: CompareDatadog | None = None
    prometheus: ComparePrometheus | None = None
    versions: VersionTags = VersionTags()
    events: Items[CompareEvent] | None = None
    false_promotion: Number = "5%"
    false_abort: Number = "1%"
    bucket: str = "10s"
    warm_up: str = "60s"
    settle: str = "60s"
    min_bake: str = "10m"
    max_wait: str = "1h"
    guard: CompareMargin | None = CompareMargin()
    on_unfair: str = "hold"

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """As in every model, but for `guard: null`, which says that there is none."""
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key == "guard"}

    def wanted_events(self) -> tuple[CompareEvent, ...]:
        """The events with every default in its place; those of latency only where latency can be read."""
        given = self.events
        if given is None:
            slow = self.prometheus is None or bool(self.prometheus.latency)
            names = (ERRORS, *LATENCY_EVENTS) if slow else (ERRORS,)
            given = tuple(CompareEvent.model_validate({"name": name}) for name in names)
        return tuple(map(_with_defaults, given))

    def wanted_guard(self) -> CompareMargin | None:
        """The margin that ends it at once, with every default in its place."""
        guard = self.guard
        if guard is None:
            return None
        given = {name: value for name, value in (("times", guard.times), ("plus", guard.plus)) if value is not None}
        return CompareMargin.model_validate({"times": GUARD_TIMES, "plus": GUARD_PLUS, **given})

    def problems(self) -> Iterator[Problem]:
        """All that is wrong with it, as far as arguments are in their place."""
        yield from _source_problems(self)
        yield from _number_problems(self)
        events = self.wanted_events()
        for index, event in enumerate(events):
            at: Path = ("events", index) if self.events is not None else ()
            twice = event.name in [each.name for each in events[:index]]
            yield from _event_problems(self, event, at, twice=twice)


DEFAULT_EVENTS: Final[Mapping[str, tuple[tuple[float, str], ...]]] = {
    ERRORS: ((1.25, "0.1%"), (2, "2%"), (1.5, "0.5%")),
    SLOW90: ((1.5, "0%"), (2.5, "5%"), (2, "2%")),
    SLOW99: ((2, "0%"), (3, "2%"), (2.5, "1%")),
    STUCK: ((2, "0.2%"), (2, "2%"), (2, "0.5%")),
}
"""Margin, and then early margins, of the events that need no description: times and plus."""


def fraction(value: float | int | str) -> float:
    """A part of the requests: `0.1%`, `0.001` or 0.001. Raises ValueError for what is none between 0 and 1."""
    text = str(value).strip()
    number = _float(text.removesuffix("%"), _FRACTION_HINT)
    found = number / 100 if text.endswith("%") else number
    if not 0 <= found <= 1:
        raise ValueError(f"must be between 0 and 1: {_FRACTION_HINT}")
    return found


def factor(value: float | int | str) -> float:
    """A number of 0 and more. Raises ValueError."""
    found = _float(str(value).strip(), "a number such as 1.25")
    if found < 0:
        raise ValueError("must not be negative")
    return found


def seconds(text: str) -> float:
    """Seconds of a Go duration of 0 and more. Raises ValueError."""
    found = parse_duration(text)
    if found < timedelta(0):
        raise ValueError("must not be negative")
    return found.total_seconds()


def is_open(value: object) -> bool:
    """True when an argument decides what a value will be."""
    return isinstance(value, str) and "{{" in value


def _float(text: str, hint: str) -> float:
    try:
        found = float(text)
    except ValueError:
        raise ValueError(f"is no number: write {hint}") from None
    if not isfinite(found):
        raise ValueError(f"is no number: write {hint}")
    return found


def _with_defaults(event: CompareEvent) -> CompareEvent:
    """The event with its margins; one of the owner's own is to prove 1 more and 2 % more, then half of both."""
    if event.name in DEFAULT_EVENTS:
        (times, plus), *early = DEFAULT_EVENTS[event.name]
    else:
        times, plus, early = 0.0, "0", []
        if _is_margin(event):
            own, more = factor(event.times or 0), fraction(event.plus or 0)
            early = [(own + 1, str(min(1.0, more + 0.02))), (own + 0.5, str(min(1.0, more + 0.005)))]
    given = {
        "times": times if event.times is None else event.times,
        "plus": plus if event.plus is None else event.plus,
        "early": tuple(_margin(*each) for each in early) if event.early is None else event.early,
    }
    return event.model_copy(update=given)


def _is_margin(event: CompareEvent) -> bool:
    try:
        factor(event.times or 0), fraction(event.plus or 0)
    except ValueError:
        return False
    return True


def _margin(times: float, plus: str) -> CompareMargin:
    return CompareMargin.model_validate({"times": times, "plus": plus})


def _source_problems(settings: Compare) -> Iterator[Problem]:
    datadog, prometheus = settings.datadog, settings.prometheus
    if (datadog is None) == (prometheus is None):
        yield (), "needs exactly one of datadog and prometheus", "write the source of the counts"
    if datadog is not None:
        for name in ("service", "operation"):
            if not getattr(datadog, name).strip():
                yield ("datadog", name), f"{name} is required", "as in trace.<operation>.hits{service:<service>}"
        yield from _version_tag_problems(datadog, settings.versions)
    if prometheus is not None:
        for name, example in (("requests", "http_requests_total"), ("errors", 'code=~"5.."')):
            if not getattr(prometheus, name).strip():
                yield ("prometheus", name), f"{name} is required", f"such as {example}"
        if not prometheus.pod_label.strip():
            yield ("prometheus", "podLabel"), "must not be empty", "pod without it"
    versions = settings.versions
    if bool(versions.canary) != bool(versions.stable):
        yield ("versions",), "canary and stable belong together", "leave both out, or give both"
    if versions.canary and versions.canary == versions.stable and not is_open(versions.canary):
        yield ("versions",), "both versions have the same value: they cannot be told apart", "give each its own"
    if (versions.canary or versions.stable) and prometheus is not None:
        yield ("versions",), "Prometheus tells versions apart by their pods", "leave versions out"


def _version_tag_problems(datadog: CompareDatadog, versions: VersionTags) -> Iterator[Problem]:
    tag = datadog.version_tag.strip()
    at: Path = ("datadog", "versionTag")
    if not tag:
        yield at, "must not be empty", f"{VERSION_TAG} without it"
    elif tag != VERSION_TAG and not is_hash_tag(tag) and not is_open(tag) and not versions.canary:
        yield at, "the pod templates do not say the values of this tag", "write versions: {canary: ..., stable: ...}"


def _number_problems(settings: Compare) -> Iterator[Problem]:
    for name, value in (("falsePromotion", settings.false_promotion), ("falseAbort", settings.false_abort)):
        yield from _level(name, value)
    for name, text in _durations(settings).items():
        yield from _duration(name, text)
    if settings.on_unfair not in ("hold", "ignore") and not is_open(settings.on_unfair):
        yield ("onUnfair",), "must be hold or ignore", "hold without it"
    if (guard := settings.wanted_guard()) is not None:
        yield from _margin_problems(guard, ("guard",), auto=False)


def _durations(settings: Compare) -> dict[str, str]:
    fields = {
        "bucket": settings.bucket,
        "settle": settings.settle,
        "minBake": settings.min_bake,
        "maxWait": settings.max_wait,
    }
    return fields if settings.warm_up == AUTO else {**fields, "warmUp": settings.warm_up}


def _duration(name: str, text: str) -> Iterator[Problem]:
    if is_open(text):
        return
    try:
        found = timedelta(seconds=seconds(text))
    except ValueError as error:
        yield (name,), str(error), DURATION_HINT
        return
    if name == "bucket" and (not _SHORTEST_BUCKET <= found <= _LONGEST_BUCKET or found % timedelta(seconds=1)):
        yield (name,), "must be whole seconds between 10s and 5m", "Prometheus: at least twice the scrape interval"
    if name == "settle" and found > _LONGEST_BUCKET:
        yield (name,), "must be at most 5m: what is older no longer changes", "60s without it"
    if name == "maxWait" and not found:
        yield (name,), "must be longer than 0", "1h without it"


def _level(name: str, value: float | int | str) -> Iterator[Problem]:
    if is_open(value):
        return
    try:
        found = fraction(value)
    except ValueError as error:
        yield (name,), str(error), "such as 5%"
        return
    if not 0 < found < 0.5:
        yield (name,), "must be above 0 and below 50%", "such as 5%"


def _event_problems(settings: Compare, event: CompareEvent, at: Path, *, twice: bool) -> Iterator[Problem]:
    if not event.name:
        yield (*at, "name"), "an event needs a name", f"{', '.join(DEFAULT_EVENTS)}, or one of your own with bad and of"
    if twice:
        yield (*at, "name"), f"two events have the name {event.name!r}", "give each its own"
    own = event.is_own
    if event.name and own and not (event.bad.strip() and event.of.strip()):
        yield at, f"{event.name} needs bad and of", "two queries: bad ones, and all of which they are"
    if not own and (event.bad or event.of):
        yield at, f"{event.name} is counted without bad and of", "leave them out, or give the event another name"
    if event.name in LATENCY_EVENTS and settings.prometheus is not None and not settings.prometheus.latency:
        yield (*at, "name"), f"{event.name} needs prometheus.latency", "name a classic histogram"
    yield from _margin_problems(event, at, auto=True)
    for index, margin in enumerate(event.early or ()):
        yield from _margin_problems(margin, (*at, "early", index), auto=False)
    if event.weight is not None and not is_open(event.weight):
        try:
            if factor(event.weight) <= 0:
                yield (*at, "weight"), "must be above 0", "a share relative to the other events"
        except ValueError as error:
            yield (*at, "weight"), str(error), "a number such as 1"


def _margin_problems(margin: CompareMargin, at: Path, *, auto: bool) -> Iterator[Problem]:
    if is_open(margin.times) or is_open(margin.plus):
        return
    try:
        times = factor(1 if margin.times is None else margin.times)
    except ValueError as error:
        yield (*at, "times"), str(error), "such as 1.25"
        return
    if times < 1:
        yield (*at, "times"), "must be 1 or more: less would ask for a canary that is better", "such as 1.25"
    if margin.plus == AUTO and auto:
        return
    try:
        plus = fraction(0 if margin.plus is None else margin.plus)
    except ValueError as error:
        yield (*at, "plus"), str(error), f"{_FRACTION_HINT}{', or auto' if auto else ''}"
        return
    if times == 1 and plus == 0:
        yield at, "a margin of 1 x stable + 0 can never be proven", "raise times or plus"
