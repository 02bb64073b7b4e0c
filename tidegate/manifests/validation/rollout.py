"""A Rollout by itself: numbers, selector, pod template, strategy."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.labels import key_problems, value_problems
from tidegate.manifests.pod_template.check import pod_spec_errors, template_labels
from tidegate.manifests.rollout import DEFAULT_PROGRESS_DEADLINE_SECONDS, Rollout, RolloutSpec
from tidegate.manifests.selector import OPERATORS, LabelSelector, Requirement
from tidegate.manifests.validation.blue_green import blue_green_errors
from tidegate.manifests.validation.canary import canary_errors
from tidegate.manifests.workload import is_empty_template

_SPEC: Path = ("spec",)
_SELECTOR: Path = ("spec", "selector")
_STRATEGY: Path = ("spec", "strategy")


def validate_rollout(rollout: Rollout) -> list[FieldError]:
    """Every reason for which Argo's lint refuses a Rollout, in Argo's order; empty when it is valid.

    What only the cluster can tell is in `references`, and what Tidegate does not support yet in `support`.
    """
    spec = rollout.spec
    return [
        *_not_negative("replicas", spec.replicas),
        *_selector_errors(spec),
        *_template_errors(spec),
        *_not_negative("minReadySeconds", spec.min_ready_seconds),
        *_not_negative("revisionHistoryLimit", spec.revision_history_limit),
        *_deadline_errors(spec),
        *_strategy_errors(rollout),
    ]


def _not_negative(name: str, value: int | None) -> Iterator[FieldError]:
    if value is not None and value < 0:
        yield FieldError((*_SPEC, name), "must be greater than or equal to 0")


def _deadline_errors(spec: RolloutSpec) -> Iterator[FieldError]:
    given = spec.progress_deadline_seconds
    yield from _not_negative("progressDeadlineSeconds", given)
    if (DEFAULT_PROGRESS_DEADLINE_SECONDS if given is None else given) <= spec.min_ready_seconds:
        remedy = (
            f"minReadySeconds is {spec.min_ready_seconds}, the deadline {DEFAULT_PROGRESS_DEADLINE_SECONDS} if absent"
        )
        yield FieldError((*_SPEC, "progressDeadlineSeconds"), "must be greater than minReadySeconds", remedy=remedy)


def _selector_errors(spec: RolloutSpec) -> Iterator[FieldError]:
    if spec.workload_ref is not None:
        return
    if spec.selector is None:
        yield FieldError(_SELECTOR, "Rollout has missing field '.spec.selector'", "Required")
        return
    yield from _label_errors(spec.selector)
    if spec.selector.empty:
        remedy = "name labels of the pod template"
        yield FieldError(_SELECTOR, "empty selector is invalid for deployment", remedy=remedy)


def _label_errors(selector: LabelSelector) -> Iterator[FieldError]:
    labels: Path = (*_SELECTOR, "matchLabels")
    for key, value in selector.match_labels.items():
        for problem in (*key_problems(key), *value_problems(value)):
            yield FieldError((*labels, key), problem, argo_path=labels)
    for index, requirement in enumerate(selector.match_expressions):
        yield from _requirement_errors(requirement, (*_SELECTOR, "matchExpressions", index))


def _requirement_errors(requirement: Requirement, path: Path) -> Iterator[FieldError]:
    match requirement.operator:
        case "In" | "NotIn":
            if not requirement.values:
                detail = "must be specified when `operator` is 'In' or 'NotIn'"
                yield FieldError((*path, "values"), detail, "Required")
        case "Exists" | "DoesNotExist":
            if requirement.values:
                detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield FieldError((*path, "values"), detail, "Forbidden")
        case _:
            remedy = f"known operators: {', '.join(OPERATORS)}"
            yield FieldError((*path, "operator"), "not a valid selector operator", remedy=remedy)
    yield from (FieldError((*path, "key"), problem) for problem in key_problems(requirement.key))
    for index, value in enumerate(requirement.values):
        yield from (FieldError((*path, "values", index), problem) for problem in value_problems(value))


def _template_errors(spec: RolloutSpec) -> Iterator[FieldError]:
    if spec.workload_ref is None:
        yield from pod_template_errors(spec)
        return
    if not is_empty_template(spec.template):
        detail = "template must be empty for workload reference rollout"
        yield FieldError(("spec", "template"), detail, "InternalError", "leave out the template, or the workloadRef")
    yield from _unreadable_selector(spec.selector)


def pod_template_errors(spec: RolloutSpec) -> Iterator[FieldError]:
    """Errors of the pod template of the pods, a workload's included."""
    if unreadable := list(_unreadable_selector(spec.selector)):
        yield from unreadable
        return
    if spec.selector is None or not spec.selector.matches(template_labels(spec.template)):
        yield FieldError(("spec", "template", "metadata", "labels"), "`selector` does not match template `labels`")
    yield from pod_spec_errors(spec.template, ("spec", "template"))


def _unreadable_selector(selector: LabelSelector | None) -> Iterator[FieldError]:
    """The one error for a selector that cannot be put to labels, whatever is wrong with it."""
    if selector is not None and any(_label_errors(selector)):
        yield FieldError(_SELECTOR, "invalid label selector")


def _strategy_errors(rollout: Rollout) -> Iterator[FieldError]:
    strategy = rollout.spec.strategy
    # Argo names the field once too often.
    argo_path = (*_STRATEGY, "strategy")
    if strategy.canary is None and strategy.blue_green is None:
        detail = "Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'"
        yield FieldError(_STRATEGY, detail, "Required", argo_path=argo_path)
    if strategy.canary is not None and strategy.blue_green is not None:
        yield FieldError(_STRATEGY, "Multiple Strategies can not be listed", argo_path=argo_path)
    elif strategy.canary is not None:
        yield from canary_errors(strategy.canary)
    elif strategy.blue_green is not None:
        yield from blue_green_errors(strategy.blue_green, rollout.spec.history_limit())
