"""Findings on manifests: parts that a release would reject, or carry out otherwise than a reader expects."""

from tidegate.manifests.lint.check import check_release, lint

__all__ = ["check_release", "lint"]
