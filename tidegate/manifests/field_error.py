"""One reason why an object is invalid, in the words and with the field paths of Argo and Kubernetes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tidegate.manifests.findings import Path, path_text

Kind = Literal["Required", "Invalid", "NotSupported", "Duplicate", "Forbidden", "InternalError"]
_EMPTY_DETAILS = {"Required": "is required", "Duplicate": "is given twice"}
_STRATEGY: Path = ("spec", "strategy")
_NAMED: tuple[Path, ...] = ((*_STRATEGY, "canary"), (*_STRATEGY, "blueGreen"))


@dataclass(frozen=True)
class FieldError:
    """`path` is the field in the manifest, `detail` Argo's text, `remedy` what is allowed instead."""

    path: Path
    detail: str
    type: Kind = "Invalid"
    remedy: str = ""
    argo_path: Path = ()

    @property
    def message(self) -> str:
        """Argo's text, or a text of ours where Argo's is empty."""
        return self.detail or _EMPTY_DETAILS.get(self.type, self.type)

    @property
    def field(self) -> str:
        """The field as Argo names it: its validation of a strategy leaves the name of that out of the path."""
        if self.argo_path:
            return path_text(self.argo_path)
        length = len(_STRATEGY) + 1
        return path_text((*_STRATEGY, *self.path[length:]) if self.path[:length] in _NAMED else self.path)

    def __str__(self) -> str:
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{path_text(self.path)}: {self.message}{remedy}"
