"""Validation of manifests, and one-line forms: what Argo accepts, refuses, and how it says it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from tests.cases.family import Answer, Family, Input, equal
from tidegate.manifests.analysis_template import AnalysisTemplate, RolloutAnalysis
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.rollout import AnalysisLocation, Istio, Rollout
from tidegate.manifests.steps import CanaryStep, PauseStep, step_text
from tidegate.manifests.validation.analyses import analysis_errors
from tidegate.manifests.validation.references import (
    reference_errors,
    service_errors,
    virtual_service_errors,
    virtual_service_settings,
)
from tidegate.manifests.validation.rollout import validate_rollout

SERVICE_FIELDS: Final = {
    "StableService": ("stableService",),
    "CanaryService": ("canaryService",),
    "PingService": ("pingPong", "pingService"),
    "PongService": ("pingPong", "pongService"),
    "ActiveService": ("activeService",),
    "PreviewService": ("previewService",),
}
ANALYSIS_FIELDS: Final = {
    "PrePromotionAnalysis": "prePromotionAnalysis",
    "PostPromotionAnalysis": "postPromotionAnalysis",
}


def in_argos_form(errors: list[FieldError]) -> list[dict[str, str]]:
    return [{"type": error.type, "field": error.field, "detail": error.detail} for error in errors]


def rollout_validation(given: Input) -> Answer:
    try:
        rollout = Rollout.model_validate(given["rollout"])
    except ValidationError:
        return {"accepted": False, "parse_error": True}
    errors = in_argos_form(validate_rollout(rollout))
    by_controller = reference_errors(rollout, {}, {}) if rollout.spec.strategy.chosen else []
    return {
        "accepted": not errors and not by_controller,
        "errors": errors,
        "controller_error": "; ".join(f"{error.field}: {error.detail}" for error in by_controller),
    }


def same_verdict(expected: Answer, actual: Answer) -> bool:
    """Whether a Rollout got the same verdict; errors count where it could be read, the controller's where stated."""
    if expected.get("parse_error"):
        return bool(actual.get("parse_error"))
    stated = {key: actual.get(key) for key in expected}
    return equal(expected, stated)


def reference_validation(given: Input) -> Answer:
    rollout = Rollout.model_validate(given["rollout"])
    errors: list[FieldError] = []
    for each in given.get("services", []):
        errors += service_errors(rollout, SERVICE_FIELDS[each["type"]], each["service"])
    for each in given.get("virtualservices", []):
        istio = rollout.canary.istio or Istio()
        settings = virtual_service_settings(istio)
        named = next(((path, one) for path, one in settings if one.located("")[0] == each["metadata"]["name"]), None)
        if named is not None:
            errors += virtual_service_errors(rollout, named[1], each, named[0])
    for each in given.get("analyses", []):
        groups = {"AnalysisTemplate": "templates", "ClusterAnalysisTemplate": "clusterTemplates"}
        models = [
            AnalysisTemplate.model_validate({"kind": kind, **template})
            for kind, key in groups.items()
            for template in each.get(key) or []
        ]
        step = each["step"] if each["type"] == "InlineAnalysis" else ANALYSIS_FIELDS.get(each["type"])
        errors += analysis_errors(models, analysis_of(rollout, step, each.get("args")), step)
    return {"accepted": not errors, "errors": in_argos_form(errors)}


def blue_green_validation(given: Input) -> Answer:
    """The Rollout by itself; what it names is looked at only where that is fine."""
    answer: dict[str, Any] = rollout_validation(given)
    return reference_validation(given) if answer["accepted"] else answer


def router_validation(given: Input) -> Answer:
    """The spec, and the Ingresses that are given: these are looked at where the spec itself is fine."""
    answer = rollout_validation(given)
    if not answer["accepted"] or "ingresses" not in given:
        return answer
    rollout = Rollout.model_validate(given["rollout"])
    namespace = rollout.metadata.namespace
    found = {f"Ingress/{each['metadata']['name']}.{namespace}": each for each in given["ingresses"]}
    errors = in_argos_form(reference_errors(rollout, {}, {}, routed=found))
    return {"accepted": not errors, "errors": errors}


def analysis_of(rollout: Rollout, step: AnalysisLocation, args: Any) -> RolloutAnalysis:
    """The analysis at a place of the Rollout, with these arguments."""
    found = dict(rollout.strategy.analyses()).get(step)
    given = found.to_wire() if found is not None else {}
    given.pop("startingStep", None)
    return RolloutAnalysis.model_validate(given | {"args": args})


def step_string(given: Input) -> Answer:
    return {"value": step_text(CanaryStep.model_validate(given["step"]))}


def pause_duration(given: Input) -> Answer:
    return {"value": PauseStep.model_validate(given["pause"]).seconds() or 0}


FAMILIES = (
    Family("rollout_validation", rollout_validation, same_verdict),
    Family("reference_validation", reference_validation),
    Family("bluegreen_validation", blue_green_validation, same_verdict),
    Family("router_validation", router_validation, same_verdict),
    Family("step_string", step_string),
    Family("pause_duration", pause_duration),
)
