"""Numbers of revisions."""

from __future__ import annotations

from collections.abc import Sequence


def next_revision(revisions: Sequence[int], existing: int | None) -> int:
    """Number of a release: that of its ReplicaSet when it is the newest already, else one more than the highest."""
    highest = max(revisions, default=0)
    return existing if existing is not None and existing == highest and existing > 0 else highest + 1
