"""Templates and arguments into the request of an analysis run that belongs to no release."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tidegate.analysis.arguments import has_placeholder
from tidegate.analysis.conditions import ConditionError, compile_condition
from tidegate.analysis.rules import RunRules
from tidegate.analysis.spec import SpecError, build_run_spec
from tidegate.client.errors import RefusedError
from tidegate.client.translation import malformed
from tidegate.contract import AnalysisRequest, Document, ErrorType, check_name
from tidegate.manifests.analysis_template import AnalysisTemplate, TemplateArgument
from tidegate.manifests.documents import from_objects

_LONGEST_BASE = 57  # so that a Kubernetes object of one more suffix can still be named after the run
# `<rollout>-<hash>-<revision>[-<step>][.<attempt>]`, the hash being Tidegate's and Argo's, or that of a former Argo.
_OF_A_RELEASE = re.compile(r".+-([bcdfghjklmnpqrstvwxz2456789]{5,10}|[0-9]{8,10})-[0-9]+(-[a-z0-9.-]+)?(\.[0-9]+)?")
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # those of Kubernetes' generated names, which spell no word
_SUFFIX = 5


def analysis_request(
    templates: Sequence[Mapping[str, Any]],
    arguments: Mapping[str, str],
    *,
    namespace: str,
    cluster: str = "default",
    name: str = "",
) -> AnalysisRequest:
    """The request of a run of all `templates`, merged as a release would merge them.

    `templates` are AnalysisTemplates and ClusterAnalysisTemplates with all that they refer to. `name` is by default
    `<first template>-<5 random characters>`. An argument from a Secret stays a reference: only the provider reads it.

    Raises `RefusedError` for an argument that no template declares, one that has no value, one that would bring a
    Secret's content into the request, a name that is none, and for templates that no run could carry out; and
    ManifestError for a template that cannot be read.
    """
    loaded = [each.model for each in from_objects(templates).templates]
    if not loaded:
        raise _refused("there is no AnalysisTemplate to run", "give the file that holds one")
    declared = _declared(loaded)
    _check_arguments(declared, arguments)
    base = loaded[0].metadata.name[:_LONGEST_BASE].rstrip("-.")
    spec = _spec(loaded, templates, arguments)
    chosen = _checked(name) if name else f"{base}-{''.join(secrets.choice(_LETTERS) for _ in range(_SUFFIX))}"
    try:
        return AnalysisRequest(cluster=cluster, namespace=namespace, name=chosen, spec=spec)
    except ValidationError as error:
        raise malformed(error) from error


def _spec(
    loaded: Sequence[AnalysisTemplate], templates: Sequence[Mapping[str, Any]], arguments: Mapping[str, str]
) -> Document:
    analysis = {
        "templates": [{"templateName": each.metadata.name, "clusterScope": each.cluster_scope} for each in loaded],
        "args": [{"name": name, "value": value} for name, value in arguments.items()],
    }
    try:
        spec = build_run_spec(analysis=analysis, templates=templates, rollout={}, stable_hash="", latest_hash="")
    except SpecError as error:
        raise _refused(str(error), "give every template that another one refers to, each metric once") from error
    _check_conditions(RunRules.of(spec))
    return spec


def _declared(templates: Iterable[AnalysisTemplate]) -> dict[str, list[TemplateArgument]]:
    """The declarations of each argument by name, in order of appearance."""
    declared: dict[str, list[TemplateArgument]] = {}
    for template in templates:
        for argument in template.spec.args:
            declared.setdefault(argument.name, []).append(argument)
    return declared


def _check_arguments(declared: Mapping[str, Sequence[TemplateArgument]], given: Mapping[str, str]) -> None:
    for name in given:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise _refused(f"argument {name!r}: no template declares it", f"declared: {known}")
        if secret := next(_secrets(declared[name]), ""):
            raise _refused(
                f"argument {name!r}: its value is in {secret}, where the provider reads it",
                "leave it out: what is given here would be kept in the run's history",
            )
    missing = [name for name, found in declared.items() if name not in given and not _has_value(found)]
    if missing:
        names = ", ".join(missing)
        raise _refused(f"arguments without a value: {names}", f"give --arg {missing[0]}=VALUE for each")


def _secrets(declarations: Iterable[TemplateArgument]) -> Iterator[str]:
    for each in declarations:
        if each.value_from is not None and each.value_from.secret_key_ref is not None:
            yield f"key {each.value_from.secret_key_ref.key!r} of Secret {each.value_from.secret_key_ref.name!r}"


def _has_value(declarations: Sequence[TemplateArgument]) -> bool:
    """True when a template gives a value itself; a field of the Rollout is none without a Rollout."""
    return any(each.value is not None for each in declarations) or any(True for _ in _secrets(declarations))


def _check_conditions(rules: RunRules) -> None:
    """Refuse a condition that arguments made senseless: it would cost every measurement of the run."""
    for metric in rules.metrics:
        for field, text in (("successCondition", metric.success), ("failureCondition", metric.failure)):
            if not text or has_placeholder(text):
                continue
            try:
                compile_condition(text)
            except ConditionError as error:
                raise _refused(
                    f"metric {metric.name!r}: {field}: {text!r}: {error.message}",
                    "check the condition and its arguments",
                ) from error


def _checked(name: str) -> str:
    if _OF_A_RELEASE.fullmatch(name):  # a release cancels any run under a name of its own
        raise _refused(
            f"{name!r} is as a release names its analysis runs: ROLLOUT-HASH-REVISION", "give another --name, or none"
        )
    try:
        return check_name(name)
    except ValueError as error:
        raise _refused(
            f"{name!r} is no name of an analysis run", "use lower-case letters, digits, '-' and '.' (RFC 1123)"
        ) from error


def _refused(message: str, remedy: str) -> RefusedError:
    return RefusedError(message, remedy, ErrorType.INVALID_SPEC)
