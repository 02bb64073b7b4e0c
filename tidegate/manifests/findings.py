"""Findings about manifests: errors and warnings that name file, field, value and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict

Path: TypeAlias = tuple[str | int, ...]

_LONGEST_VALUE = 80


class Severity(StrEnum):
    """An error refuses the manifests, a warning lets them pass, a note is for those who want to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(BaseModel):
    """One finding."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    severity: Severity
    code: str  # for programs; all other fields are for readers
    message: str
    file: str = ""
    line: int = 0  # from 1; 0: the object came from no file
    object: str = ""
    path: str = ""  # such as `spec.strategy.canary.steps[0].pause.duration`
    value: str = ""  # of the field
    remedy: str = ""

    def __str__(self) -> str:
        location = f"{self.file}:{self.line}" if self.file else self.object
        field = f"{self.path}: " if self.path else ""
        value = f"{self.value}: " if self.value else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{location}: {self.severity}: {field}{value}{self.message}{remedy} [{self.code}]"


class ManifestError(ValueError):
    """Manifests that cannot be used; `findings` holds every reason, not only the first.

    `rest` is the readable part, for a caller that checks it as well: documents of a text, or the manifests without
    unreadable fields. `faults` are the fields at fault, where they are fields.
    """

    def __init__(self, findings: Iterable[Finding], *, rest: Any = None, faults: Iterable[Path] = ()) -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        self.rest = rest
        self.faults: tuple[Path, ...] = tuple(faults)
        super().__init__("\n".join(map(str, self.findings)))


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that refuse the manifests."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def path_text(path: Sequence[str | int]) -> str:
    """Field path as text: `a.b[0]`, with `['key']` for a key that holds a dot, slash or bracket."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif set(part) & set("./[]' ") or not part:
            text += f"['{part}']"
        else:
            text += f".{part}" if text else part
    return text


def value_text(value: object) -> str:
    """A value as it may be shown: JSON-like, and cut where it is long."""
    if value is None:
        return ""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    if isinstance(value, bool):
        text = text.lower()
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
