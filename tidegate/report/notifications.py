"""Notifications of events: the subscriptions in a Rollout's annotations, as Argo's engine reads them. Pure.

Source: argo-rollouts, notifications; argoproj/notifications-engine, subscriptions.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tidegate.contract import Event, Notification, ReleaseStatus
from tidegate.manifests.decode import nearest
from tidegate.report.chart import chart_of
from tidegate.report.explain import reason_of

PREFIX: Final = "notifications.argoproj.io/subscribe."
YAML_PREFIX: Final = "notifications.argoproj.io/subscribe_yaml"
SLACK: Final = "slack"

# Reasons of events that a release tells of; the first nine are those that Argo Rollouts brings triggers for.
_REASONS: Final = (
    "RolloutUpdated",
    "RolloutStepCompleted",
    "RolloutPaused",
    "RolloutAborted",
    "RolloutCompleted",
    "ScalingReplicaSet",
    "AnalysisRunRunning",
    "AnalysisRunFailed",
    "AnalysisRunError",
    "AnalysisRunInconclusive",
    "AnalysisRunSuccessful",
    "BakeCompleted",
    "BakeStarted",
    "CompensationFailed",
    "ExperimentCreated",
    "ForeignWeights",
    "GitReverted",
    "GitUnchanged",
    "IncidentOpened",
    "NewReplicaSetCreated",
    "ProgressDeadlineExceeded",
    "RestartRequested",
    "RolloutPromoted",
    "RolloutRestarted",
    "RolloutResumed",
    "SwitchService",
    "TrafficWeightUpdated",
)


def trigger_of(reason: str) -> str:
    """Name of the trigger of an event's reason: `on-rollout-aborted` of `RolloutAborted`."""
    return "on-" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", reason).lower()


TRIGGERS: Final = frozenset(map(trigger_of, _REASONS))
DEFAULT_TRIGGERS: Final = (
    "on-rollout-updated",
    "on-rollout-paused",
    "on-rollout-aborted",
    "on-rollout-completed",
    "on-incident-opened",
)
"""What a subscription that names a service alone stands for."""

UNSUPPORTED_SERVICES: Final = frozenset(
    {"awssqs", "email", "github", "newrelic", "opsgenie", "pagerduty", "pushover", "webex"}
)
"""Services of Argo's engine that Tidegate does not have; a webhook cannot have such a name."""

MAX_SUBSCRIPTIONS: Final = 100
MAX_ID: Final = 200
_MAX_RECIPIENT: Final = 200
_MAX_MESSAGE: Final = 2000
_MAX_FIELD: Final = 500
_MAX_IMAGES: Final = 20
_AFTER_ABORT: Final = ("RolloutAborted", "IncidentOpened")
_DIGEST_LENGTH: Final = 32
_SERVICE = re.compile(r"[a-z0-9]([-_a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, order=True)
class Subscription:
    """One recipient of one trigger."""

    trigger: str
    service: str
    recipient: str


@dataclass(frozen=True)
class Subscriptions:
    """Subscriptions of annotations, each once and in order; `warnings` name those that cannot be honoured."""

    entries: tuple[Subscription, ...] = ()
    warnings: tuple[str, ...] = ()


def read_subscriptions(annotations: Mapping[str, Any]) -> Subscriptions:
    """The subscriptions in the annotations of a Rollout; what cannot be understood is a warning and nothing else.

    `subscribe.<trigger>.<service>`, `subscribe.<service>` for the default triggers, and `subscribe_yaml`, whose value
    is a list of `{trigger: [...], destinations: [{service, recipients: [...]}]}`. Recipients have semicolons between.
    """
    found: set[Subscription] = set()
    warnings: list[str] = []
    for key, value in sorted(annotations.items()):
        field = f"metadata.annotations[{key!r}]"
        for trigger, service, recipients in _entries(key, value, field, warnings):
            complaint = _complaint(trigger, service, recipients)
            if complaint:
                warnings.append(f"{field}: {complaint}; no notification is sent by it")
            else:
                triggers = (trigger,) if trigger else DEFAULT_TRIGGERS
                found |= {Subscription(each, service, name) for each in triggers for name in recipients}
    if len(found) > MAX_SUBSCRIPTIONS:
        warnings.append(f"metadata.annotations: {len(found)} subscriptions, the first {MAX_SUBSCRIPTIONS} are served")
    return Subscriptions(tuple(sorted(found)[:MAX_SUBSCRIPTIONS]), tuple(warnings))


def notifications_for(
    event: Event, subscriptions: Subscriptions, status: ReleaseStatus, *, number: int
) -> tuple[Notification, ...]:
    """Notifications of one event; `status` is the release right after it.

    `number` counts the events of the release's workflow run, so that two of one reason are two causes.
    """
    trigger = trigger_of(event.reason)
    matching = [each for each in subscriptions.entries if each.trigger == trigger]
    return tuple(_notice(event, each, status, number) for each in matching)


def notification_id(status: ReleaseStatus, event: Event, subscription: Subscription, number: int) -> str:
    """The cause of a notification, at most 200 characters; the digest tells apart what a cut would not."""
    subject = f"notice/{status.cluster}/{status.namespace}/{status.name}/{status.revision}/{subscription.trigger}"
    cause = [
        status.workflow_id,
        status.run_id,
        status.revision,
        event.reason,
        number,
        subscription.service,
        subscription.recipient,
    ]
    digest = hashlib.sha256(json.dumps(cause).encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{subject[: MAX_ID - _DIGEST_LENGTH - 1]}/{digest}"


def _notice(event: Event, subscription: Subscription, status: ReleaseStatus, number: int) -> Notification:
    index, incident = status.step_index, status.incident
    gate = next((each.status for each in status.analyses if each.name == event.analysis), None)
    step = status.steps[index] if index is not None and index < len(status.steps) else None
    return Notification(
        id=notification_id(status, event, subscription, number),
        trigger=subscription.trigger,
        service=subscription.service,
        recipient=subscription.recipient,
        at=event.at,
        reason=event.reason,
        message=_cut(event.message, _MAX_MESSAGE),
        analysis=event.analysis,
        cluster=status.cluster,
        namespace=status.namespace,
        name=status.name,
        revision=status.revision,
        phase=status.phase,
        step=step.index + 1 if step is not None else None,
        steps=len(status.steps),
        step_text=_cut(step.text, _MAX_FIELD) if step is not None else "",
        weight=status.actual_weight,
        images={name: _cut(image, _MAX_FIELD) for name, image in sorted(status.images.items())[:_MAX_IMAGES]},
        by=_cut(status.by, _MAX_FIELD),
        commit=_cut(status.source.commit, _MAX_FIELD),
        ci_url=_cut(status.source.ci_url, _MAX_FIELD),
        workflow_id=status.workflow_id,
        run_id=status.run_id,
        incident=incident.number if incident is not None else "",
        incident_url=incident.url if incident is not None else "",
        reading=_cut(reason_of(gate), _MAX_MESSAGE) if gate is not None else "",
        command=command_for(status, aborted=event.reason in _AFTER_ABORT),
        thread=f"{status.workflow_id}/{status.first_run_id or status.run_id}/{status.revision}",
        chart=chart_of(status) if event.reason == "RolloutAborted" else None,
    )


def command_for(status: ReleaseStatus, *, aborted: bool = False) -> str:
    """Return the command that helps in the state of a release."""
    where = f"{status.name} -n {status.namespace}"
    if status.cluster != "default":
        where += f" --cluster {status.cluster}"
    if aborted or status.ended_by is not None:
        return f"tidegate explain {where}"
    if status.manual_pause is not None:
        return f"tidegate resume {where}, or tidegate abort {where}"
    if status.held:
        return f"tidegate promote {where}, or tidegate abort {where}"
    return f"tidegate get rollout {where}"


_Entry = tuple[str, str, tuple[str, ...]]  # trigger ("" for the default ones), service, recipients


def _entries(key: str, value: Any, field: str, warnings: list[str]) -> Iterator[_Entry]:
    if key.startswith(YAML_PREFIX):
        try:
            yield from _of_yaml(value)
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            form = "[{trigger: [...], destinations: [{service: ..., recipients: [...]}]}]"
            warnings.append(f"{field}: {text}: write {form}; no notification is sent by it")
    elif key.startswith(PREFIX):
        first, _, rest = key.removeprefix(PREFIX).partition(".")
        trigger, service = (first, rest.partition(".")[0]) if rest else ("", first)
        yield trigger, service, _recipients(value)


def _recipients(value: Any) -> tuple[str, ...]:
    """Names with semicolons between; an empty value is one recipient without a name, as in Argo."""
    text = value if isinstance(value, str) else ""
    return tuple(name for each in text.split(";") if (name := each.strip())) if text else ("",)


def _of_yaml(value: Any) -> Iterator[_Entry]:
    rows = yaml.safe_load(value) if isinstance(value, str) else None
    if not isinstance(rows, list):
        raise ValueError("no list")
    entries = 0  # aliases let a short text stand for very many
    for row in rows:
        triggers, destinations = _lists(row, "trigger", "destinations")
        for destination, trigger in itertools.product(destinations, triggers):
            [recipients] = _lists(destination, "recipients")
            entries += 1
            if max(entries, len(recipients)) > MAX_SUBSCRIPTIONS:
                raise ValueError(f"more than {MAX_SUBSCRIPTIONS} subscriptions")
            yield str(trigger), str(destination.get("service", "")), tuple(str(each).strip() for each in recipients)


def _lists(owner: Any, *names: str) -> list[list[Any]]:
    found = [owner.get(name) if isinstance(owner, dict) else None for name in names]
    for name, value in zip(names, found, strict=True):
        if not isinstance(value, list) or not value:
            raise ValueError(f"{name} must be a list that is not empty")
    return [value for value in found if isinstance(value, list)]


def _complaint(trigger: str, service: str, recipients: tuple[str, ...]) -> str:
    """The error of an entry, "" for none."""
    if trigger and trigger not in TRIGGERS:
        meant = nearest(trigger, sorted(TRIGGERS))
        return f"there is no trigger {trigger[:80]!r}" + (f", did you mean {meant}?" if meant else "")
    if service in UNSUPPORTED_SERVICES:
        return f"service {service!r} is not supported by Tidegate: use slack, or a webhook of the worker's settings"
    if not _SERVICE.fullmatch(service):
        return f"{service[:80]!r} is no name of a service: slack, or a webhook of the worker's settings"
    if not recipients:
        return "no recipient: names with semicolons between"
    if any(len(each) > _MAX_RECIPIENT or not each.isprintable() for each in recipients):
        return f"a recipient has at most {_MAX_RECIPIENT} printable characters"
    if service == SLACK and "" in recipients:
        return "slack needs a channel, such as payments-releases"
    return ""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
