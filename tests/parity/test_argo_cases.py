"""Argo's own verdicts: recorded cases, and the manifests of its repository. A few of each stand in tests/data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from tidegate.manifests.analysis_template import AnalysisTemplate, RolloutAnalysis
from tidegate.manifests.documents import load
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Severity
from tidegate.manifests.lint import lint
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.steps import CanaryStep, PauseStep, step_text
from tidegate.manifests.support import CODE as UNSUPPORTED
from tidegate.manifests.validation.analyses import analysis_errors
from tidegate.manifests.validation.references import reference_errors, service_errors, virtual_service_errors
from tidegate.manifests.validation.rollout import validate_rollout

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "manifests"
MORE_CASES = ROOT.parent / "shared" / "cases"
MORE_MANIFESTS = ROOT.parent / "shared" / "argo-manifests"
# What Argo's lint looks at; the other findings are Tidegate's own.
ARGO_CODES = {"invalid", "reference", "pod-template"}
SERVICE_FIELDS = {"StableService": ("stableService",), "CanaryService": ("canaryService",)}


def cases(family: str) -> list[Any]:
    found = {
        case["id"]: case
        for folder in (MORE_CASES, DATA / "cases")
        if (folder / f"{family}.yaml").is_file()
        for case in yaml.load((folder / f"{family}.yaml").read_text(), Loader=yaml.CSafeLoader)["cases"]
    }
    return [pytest.param(case, id=case["id"]) for case in found.values()]


def in_argos_form(errors: list[FieldError]) -> list[dict[str, str]]:
    return [{"type": error.type, "field": error.field, "detail": error.detail} for error in errors]


@pytest.mark.parametrize("case", cases("rollout_validation"))
def test_rollout_validation(case: dict[str, Any]) -> None:
    expected = case["expected"]
    if expected.get("parse_error"):
        with pytest.raises(ValidationError):
            Rollout.model_validate(case["input"]["rollout"])
        return
    rollout = Rollout.model_validate(case["input"]["rollout"])
    errors = in_argos_form(validate_rollout(rollout))
    assert errors == expected["errors"]
    by_controller = reference_errors(rollout, {}, {}) if rollout.spec.strategy.canary else []
    assert (not errors and not by_controller) == expected["accepted"]
    if text := expected.get("controller_error"):
        assert [f"{error.field}: {error.detail}" for error in by_controller] == [text]


@pytest.mark.parametrize("case", cases("reference_validation"))
def test_reference_validation(case: dict[str, Any]) -> None:
    given = case["input"]
    rollout = Rollout.model_validate(given["rollout"])
    errors: list[FieldError] = []
    for each in given.get("services", []):
        errors += service_errors(rollout, SERVICE_FIELDS[each["type"]], each["service"])
    for each in given.get("virtualservices", []):
        istio = rollout.canary.istio
        assert istio is not None
        [setting] = [one for one in istio.all_virtual_services() if one.name == each["metadata"]["name"]]
        errors += virtual_service_errors(rollout, setting, each)
    for each in given.get("analyses", []):
        templates = [*each.get("templates", []), *each.get("clusterTemplates", [])]
        models = [AnalysisTemplate.model_validate(template) for template in templates]
        analysis = RolloutAnalysis.model_validate({"args": each.get("args")})
        step = each["step"] if each["type"] == "InlineAnalysis" else None
        errors += analysis_errors(models, analysis, step)
    assert in_argos_form(errors) == case["expected"]["errors"]
    assert (not errors) == case["expected"]["accepted"]


@pytest.mark.parametrize("case", cases("step_string"))
def test_step_text(case: dict[str, Any]) -> None:
    assert step_text(CanaryStep.model_validate(case["input"]["step"])) == case["expected"]["value"]


@pytest.mark.parametrize("case", cases("pause_duration"))
def test_pause_seconds(case: dict[str, Any]) -> None:
    pause = PauseStep.model_validate(case["input"]["pause"])
    assert (pause.seconds() or 0) == case["expected"]["value"]


def manifests() -> Iterator[Any]:
    yield pytest.param(DATA / "argo" / "istio-subset-split.yaml", True, id="istio-subset-split")
    yield pytest.param(DATA / "argo" / "malformed-rollout.yaml", False, id="malformed-rollout")
    index = MORE_MANIFESTS / "index.yaml"
    entries = yaml.load(index.read_text(), Loader=yaml.CSafeLoader)["manifests"] if index.is_file() else []
    for entry in entries:
        accepted = entry["argo_lint"].startswith("accept")
        yield pytest.param(MORE_MANIFESTS / entry["path"], accepted, id=entry["path"])
    if not entries:
        yield pytest.param(index, True, id="index", marks=pytest.mark.skip(reason="no ../shared/argo-manifests here"))


@pytest.mark.parametrize(("path", "accepted"), list(manifests()))
def test_a_manifest_of_argos_repository_gets_argos_verdict(path: Path, accepted: bool) -> None:
    found = [each for each in lint(load([path])) if each.severity is Severity.ERROR]
    assert (not [each for each in found if each.code in ARGO_CODES]) == accepted, found
    assert all(each.message.startswith("not supported by Tidegate: ") for each in found if each.code == UNSUPPORTED)
