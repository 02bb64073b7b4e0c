"""Common lints of HTTP providers: addresses and credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from tidegate.manifests.analysis_template import AnalysisTemplate
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.providers.authentication import Authentication, Header
from tidegate.manifests.support import CODE as UNSUPPORTED

_PLACEHOLDER: Final = re.compile(r"\{\{.*?\}\}")
_REFERENCE_REMEDY: Final = "write {{args.NAME}}, an argument with valueFrom.secretKeyRef"

Problem = tuple[Path, str, str]
"""Field below the provider, what is wrong with it, and the remedy."""


def is_open(text: str) -> bool:
    """True when the text depends on an argument."""
    return bool(_PLACEHOLDER.search(text))


def is_url(text: str) -> bool:
    """True when the text is the URL of an HTTP server."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def located(
    template: Loaded[AnalysisTemplate], at: Path, code: str, severity: Severity, problems: Iterable[Problem]
) -> Iterator[Finding]:
    """Problems of the provider at `at` as findings."""
    for where, message, remedy in problems:
        yield template.finding(severity, code, (*at, *where), message, remedy=remedy)


def access_findings(
    template: Loaded[AnalysisTemplate], at: Path, code: str, given: Authentication, headers: Iterable[Header]
) -> Iterator[Finding]:
    """Errors in the `authentication` and the `headers` of the provider at `at`."""
    for name in given.unsupported():
        message = f"not supported by Tidegate: authentication.{name}"
        yield template.finding(Severity.ERROR, UNSUPPORTED, (*at, "authentication", name), message)
    yield from located(template, at, code, Severity.ERROR, _incomplete(given))
    yield from located(template, at, code, Severity.WARNING, _exposed(given, headers))


def _incomplete(given: Authentication) -> Iterator[Problem]:
    oauth2, account = given.oauth2, given.basic_auth
    if oauth2.token_url and not (oauth2.client_id and oauth2.client_secret):
        yield ("authentication", "oauth2"), "tokenUrl needs clientId and clientSecret", ""
    if bool(account.username) != bool(account.password):
        yield ("authentication", "basicAuth"), "username and password belong together", ""


def _exposed(given: Authentication, headers: Iterable[Header]) -> Iterator[Problem]:
    for where, secret in (
        (("authentication", "oauth2", "clientSecret"), given.oauth2.client_secret),
        (("authentication", "basicAuth", "password"), given.basic_auth.password),
    ):
        if secret and not is_open(secret):
            yield where, "a secret in a manifest is kept in every history", _REFERENCE_REMEDY
    for index, header in enumerate(headers):
        if header.key.lower() != "authorization":
            continue
        if given.oauth2.token_url or given.basic_auth.username:
            yield ("headers", index), "this header is sent in the place of authentication", "leave one of them out"
        if not is_open(header.value):
            yield ("headers", index, "value"), "a secret in a manifest is kept in every history", _REFERENCE_REMEDY
