"""What a release would refuse, and what it would do otherwise than a manifest seems to say."""

from tidegate.manifests.lint.check import check_release, lint

__all__ = ["check_release", "lint"]
