"""Findings on manifests: parts that a release would reject, or carry out otherwise than a reader expects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.deferred import deferred

if TYPE_CHECKING:
    from tidegate.manifests.lint.check import check_release, lint

__all__ = ["check_release", "lint"]

__getattr__ = deferred(__name__)
