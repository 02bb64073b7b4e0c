"""What is wrong with manifests, or worth knowing: findings that name file, field, value and remedy."""

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
    """One thing that was found. `code` is stable and for programs, everything else for people.

    `line` counts from 1, 0 standing for an object that came from no file. `path` is the field in the form
    `spec.strategy.canary.steps[0].pause.duration`, `value` what stands there.
    """

    model_config = ConfigDict(frozen=True)

    severity: Severity
    code: str
    message: str
    file: str = ""
    line: int = 0
    object: str = ""
    path: str = ""
    value: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file else self.object
        field = f"{self.path}: " if self.path else ""
        value = f"{self.value}: " if self.value else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{place}: {self.severity}: {field}{value}{self.message}{remedy} [{self.code}]"


class ManifestError(ValueError):
    """Manifests that cannot be used; `findings` holds every reason, not only the first.

    `rest` is what could be read all the same, for whoever wants to say what is wrong with that as well: documents of a
    text, or the manifests without what does not fit. `faults` are the fields at fault, where they are fields.
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
    """Field path as people write it: `a.b[0]`, with `['key']` for a key that holds a dot, slash or bracket."""
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
