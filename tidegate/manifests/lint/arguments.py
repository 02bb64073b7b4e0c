"""Values of arguments, of a template and of an analysis of a Rollout: they are used unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.placeholders import names_in


def argument_value_findings(loaded: Loaded[Any], value: str | None, path: Path) -> Iterator[Finding]:
    """A placeholder within a value: it is not filled in, and reaches the provider unchanged."""
    for name in dict.fromkeys(names_in(value or "")):
        message = f"{{{{{name}}}}} in the value of an argument is not filled in: it is used as it is written"
        meant = name.startswith("args.")
        remedy = "write the placeholder where the argument is used, beside the argument's own" if meant else ""
        severity = Severity.ERROR if meant else Severity.WARNING
        yield loaded.finding(severity, "argument", path, message, value=value, remedy=remedy)
