"""A release in Temporal's own list: search attributes and memo, which can be read while no worker is up.

Search attributes are not encrypted by a payload codec, so they hold no sentence of a person. The memo is encrypted.
"""

from __future__ import annotations

from typing import Any, Final

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import (
        LONGEST_KEYWORD,
        MEMO_LABELS,
        SEARCH_BY,
        SEARCH_OUTCOME,
        SEARCH_PHASE,
        SEARCH_REVISION,
        SEARCH_VERSION,
        SEARCH_WAITING_FOR,
        SEARCH_WEIGHT,
        ReleaseStatus,
    )
    from tidegate.manifests.images import short_versions
    from tidegate.manifests.plain_text import harmless
    from tidegate.rollouts.phase import RolloutPhase
    from workflows.status_record import StatusRecord

Key = SearchAttributeKey[Any]
LONGEST_MESSAGE: Final = 500  # characters; Temporal warns at 2 KB of a memo


class Visibility:
    """Search attributes and memo of one release.

    It writes only what has changed, as each write is an event of the history.
    """

    def __init__(self, record: StatusRecord) -> None:
        self._record = record
        self._values: dict[Key, str | int] = {}
        self._memo: dict[str, Any] = {}

    def show(self) -> None:
        """Write search attributes, and the memo of a version when it begins."""
        status = self._record.current
        self._set(
            {
                SEARCH_PHASE: status.phase.value,
                SEARCH_WEIGHT: status.actual_weight,
                SEARCH_REVISION: status.revision,
                SEARCH_VERSION: short_versions(status.images),
                SEARCH_BY: status.by,
                SEARCH_WAITING_FOR: self._record.waiting_for,
            }
        )
        if status.images:
            self._remember(
                images=status.images,
                commit=status.source.commit,
                ciUrl=status.source.ci_url,
                **{MEMO_LABELS: self._record.labels},
            )

    def end(self) -> None:
        """Write the outcome, and the sentence on it. A release that was refused has no phase and no weight."""
        status = self._record.current
        self._set({SEARCH_OUTCOME: _outcome(status), SEARCH_WAITING_FOR: ""})
        self._remember(message=(status.cause or status.message)[:LONGEST_MESSAGE])

    def _set(self, values: dict[Key, str | int]) -> None:
        changed = [(key, value) for key, value in values.items() if self._values.get(key, "") != value]
        self._values.update(changed)
        if changed:
            workflow.upsert_search_attributes([_update(key, value) for key, value in changed])

    def _remember(self, **values: Any) -> None:
        changed = {name: value for name, value in values.items() if value and self._memo.get(name) != value}
        self._memo.update(changed)
        if changed:
            workflow.upsert_memo(changed)


def _update(key: Key, value: str | int) -> SearchAttributeUpdate[Any]:
    if value == "":
        return key.value_unset()
    return key.value_set(harmless(value)[:LONGEST_KEYWORD] if isinstance(value, str) else value)


def _outcome(status: ReleaseStatus) -> str:
    if status.ended_by is not None:
        return status.ended_by.value
    return RolloutPhase.HEALTHY.value if status.finished_at is not None else ""
