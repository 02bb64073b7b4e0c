"""Templates and arguments into the request of an analysis run that belongs to no release."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.client import RefusedError, analysis_request
from tidegate.contract import AnalysisRequest

SECRET = {"secretKeyRef": {"name": "metrics", "key": "token"}}


def template(name: str = "error-rate", *, args: tuple[dict[str, Any], ...] = (), **more: Any) -> dict[str, Any]:
    """An AnalysisTemplate with one metric of its own name; `more` are fields of the metric or of the spec."""
    refers = more.pop("templates", ())
    metric = {"name": name, "successCondition": "result < 1", "provider": {"prometheus": {"query": "up"}}, **more}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name},
        "spec": {"metrics": [metric], "args": list(args), "templates": [{"templateName": each} for each in refers]},
    }


def asked(*templates: dict[str, Any], name: str = "", **arguments: str) -> AnalysisRequest:
    given = {key.replace("_", "-"): value for key, value in arguments.items()}
    return analysis_request(templates, given, namespace="payments", cluster="eu", name=name)


def test_a_request_holds_the_merged_templates_with_their_arguments() -> None:
    service, limit = {"name": "service-name"}, {"name": "limit", "value": "5"}
    request = asked(template(args=(service, limit)), service_name="checkout")
    assert (request.cluster, request.namespace, request.kind, request.release_id) == ("eu", "payments", "", "")
    assert request.spec["args"] == [{"name": "service-name", "value": "checkout"}, {"name": "limit", "value": "5"}]
    assert [metric["name"] for metric in request.spec["metrics"]] == ["error-rate"]


def test_the_default_name_is_the_templates_with_a_random_suffix() -> None:
    first, second = (asked(template()).name for _ in range(2))
    assert first.startswith("error-rate-")
    assert len(first) == len("error-rate-") + 5
    assert first != second
    assert len(asked(template("a" * 200)).name) == 63


def test_a_name_is_taken_as_it_is() -> None:
    assert asked(template(), name="check.1").name == "check.1"


def test_templates_that_refer_to_templates_are_merged_with_them() -> None:
    request = asked(template("outer", templates=("inner",)), template("inner"))
    assert [metric["name"] for metric in request.spec["metrics"]] == ["outer", "inner"]


def test_an_argument_from_a_secret_stays_a_reference() -> None:
    request = asked(template(args=({"name": "token", "valueFrom": SECRET},)))
    assert request.spec["args"] == [{"name": "token", "valueFrom": SECRET}]


def test_a_field_of_the_rollout_needs_a_value_where_there_is_no_rollout() -> None:
    args = ({"name": "hash", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['hash']"}}},)
    assert asked(template(args=args), hash="abc").spec["args"][0]["value"] == "abc"
    with pytest.raises(RefusedError, match="arguments without a value: hash"):
        asked(template(args=args))


@pytest.mark.parametrize(
    ("templates", "arguments", "message", "remedy"),
    [
        ((), {}, "there is no AnalysisTemplate to run", "give the file"),
        (
            (template(args=({"name": "service"}, {"name": "hash"})),),
            {"servcie": "checkout"},
            "argument 'servcie': no template declares it",
            "declared: service, hash",
        ),
        ((template(),), {"x": "1"}, "argument 'x': no template declares it", "declared: none"),
        (
            (template(args=({"name": "service"}, {"name": "hash"})),),
            {},
            "arguments without a value: service, hash",
            "give --arg service=VALUE",
        ),
        (
            (template(args=({"name": "token", "valueFrom": SECRET},)),),
            {"token": "s3cret"},
            "argument 'token': its value is in key 'token' of Secret 'metrics', where the provider reads it",
            "kept in the run's history",
        ),
        ((template(templates=("inner",)),), {}, "AnalysisTemplate 'inner' not found", "every template"),
        ((template(count=3),), {}, "interval must be specified when count > 1", "every template"),
        (
            (template(args=({"name": "limit"},), successCondition="result < {{args.limit}}"),),
            {"limit": "much("},
            "metric 'error-rate': successCondition: 'result < much('",
            "check the condition",
        ),
    ],
)
def test_what_no_run_could_carry_out_is_refused(
    templates: tuple[dict[str, Any], ...], arguments: dict[str, str], message: str, remedy: str
) -> None:
    with pytest.raises(RefusedError) as error:
        analysis_request(templates, arguments, namespace="payments")
    assert message in error.value.message
    assert remedy in error.value.remedy
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "name",
    ["shop-6c54544bf9-2", "shop-6c54544bf9-2-1", "shop-front-bcd456-12-0.3", "shop-bcd456-1-bake", "a-1234567890-1"],
)
def test_a_name_that_a_release_would_give_its_own_run_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="as a release names its analysis runs"):
        asked(template(), name=name)


@pytest.mark.parametrize("name", ["error-rate-6c545", "nightly-2026-11-30", "shop-2", "a.b-1"])
def test_a_name_like_those_that_people_give_is_taken(name: str) -> None:
    assert asked(template(), name=name).name == name


@pytest.mark.parametrize("name", ["Check", "a/b", "-a", "a-", "ä", "a" * 254, "a b"])
def test_a_name_that_kubernetes_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="is no name of an analysis run"):
        asked(template(), name=name)


def test_a_condition_that_needs_a_secret_is_left_to_the_provider() -> None:
    args = ({"name": "limit", "valueFrom": SECRET},)
    request = asked(template(args=args, successCondition="result < {{args.limit}}"))
    assert request.spec["metrics"][0]["successCondition"] == "result < {{args.limit}}"
