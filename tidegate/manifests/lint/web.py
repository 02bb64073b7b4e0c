"""A metric that any other server measures: settings that cannot be measured with, and what would surprise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.jsonpath import JsonPath, PathError
from tidegate.manifests.providers.web import LONGEST_TIMEOUT, Web
from tidegate.manifests.support import CODE as UNSUPPORTED

CODE = "web"
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}")
_REFERENCE_REMEDY = "write {{args.NAME}}, an argument with valueFrom.secretKeyRef"

# Field below `provider.web`, what is wrong with it, and the remedy.
Problem = tuple[Path, str, str]


def web_findings(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    """What is wrong with a metric at `path`; nothing for another provider's."""
    asked = metric.provider.web
    if asked is None:
        return
    at = (*path, "provider", "web")
    for where, message, remedy in _problems(asked):
        yield template.finding(Severity.ERROR, CODE, (*at, *where), message, remedy=remedy)
    for name in asked.authentication.unsupported():
        message = f"not supported by Tidegate: authentication.{name}"
        yield template.finding(Severity.ERROR, UNSUPPORTED, (*at, "authentication", name), message)
    for where, message, remedy in _surprises(asked):
        yield template.finding(Severity.WARNING, CODE, (*at, *where), message, remedy=remedy)


def _problems(asked: Web) -> Iterator[Problem]:
    if contradiction := asked.contradiction():
        field, message = contradiction
        yield (field,), message, ""
    elif not _open(asked.url) and urlsplit(asked.url).scheme not in ("http", "https"):
        yield ("url",), "no URL of a server", "such as https://checks.internal/checkout"
    if asked.json_path and not _open(asked.json_path):
        try:
            JsonPath(asked.json_path)
        except PathError as error:
            yield ("jsonPath",), str(error), "such as {$.data.ok}"
    oauth2 = asked.authentication.oauth2
    if oauth2.token_url and not (oauth2.client_id and oauth2.client_secret):
        yield ("authentication", "oauth2"), "tokenUrl needs clientId and clientSecret", ""


def _surprises(asked: Web) -> Iterator[Problem]:
    if asked.timeout_seconds > LONGEST_TIMEOUT:
        message = f"a measurement ends after {LONGEST_TIMEOUT} s in any case"
        yield ("timeoutSeconds",), message, f"write at most {LONGEST_TIMEOUT}"
    oauth2 = asked.authentication.oauth2
    if oauth2.client_secret and not _open(oauth2.client_secret):
        where: Path = ("authentication", "oauth2", "clientSecret")
        yield where, "a secret in a manifest is kept in every history", _REFERENCE_REMEDY
    for index, header in enumerate(asked.headers):
        if header.key.lower() != "authorization":
            continue
        if oauth2.token_url:
            yield ("headers", index), "this header is sent in the place of authentication", "leave one of them out"
        if not _open(header.value):
            yield ("headers", index, "value"), "a secret in a manifest is kept in every history", _REFERENCE_REMEDY


def _open(text: str) -> bool:
    """Whether an argument decides what the text will be."""
    return bool(_PLACEHOLDER.search(text))
