"""Manifests from files, as `lint` and a release read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tidegate.analysis.conditions import compile_condition
from tidegate.analysis.rules import is_meant
from tidegate.client.errors import RefusedError
from tidegate.manifests.documents import Manifests, in_one_round, load
from tidegate.manifests.findings import Finding, ManifestError
from tidegate.manifests.lint import lint


def findings_of(manifests: Manifests) -> list[Finding]:
    """Everything that `lint` says of manifests."""
    return lint(manifests, compile_condition=compile_condition, matches=is_meant)


def read(paths: Sequence[str | Path]) -> Manifests:
    """As `load`; a ManifestError has the findings of `lint` on the rest as well, so that one round mends all."""
    try:
        return load(paths)
    except ManifestError as error:
        raise ManifestError(in_one_round(error, findings_of)) from None


def one_namespace(stated: Sequence[tuple[str, str]], given: str | None) -> str:
    """The namespace of manifests, as (label, `metadata.namespace`), and of `--namespace`; `default` without any.

    Raises RefusedError where two of them differ.
    """
    found = [(label, namespace) for label, namespace in stated if namespace]
    for label, namespace in found:
        if given and namespace != given:
            raise RefusedError(
                f"{label}: metadata.namespace is {namespace!r} and --namespace {given!r}", "give one, or the same"
            )
        if namespace != found[0][1]:
            raise RefusedError(
                f"{label}: metadata.namespace is {namespace!r}, that of {found[0][0]} {found[0][1]!r}",
                "give manifests of one namespace",
            )
    return found[0][1] if found else given or "default"
