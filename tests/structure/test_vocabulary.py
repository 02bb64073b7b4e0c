"""One word for one thing, the field's where it has one: what the product called things before is not used again.

`docs/glossary.md` has the words.
"""

from __future__ import annotations

import tokenize
from collections.abc import Iterator

import pytest

from tests.structure.sources import PRODUCT, ROOT, modules

# What it was -> what it is.
INSTEAD = {
    "Keeper": "Reconciler",
    "keeper": "reconciler",
    "Journal": "ReleaseState",
    "journal": "release_state",
    "Doors": "MessageHandlers",
    "Door": "RolloutDispatcher",
    "Commands": "ActivityCalls",
    "Place": "DesiredState, SourceLocation",
    "Look": "ChangeWatch",
    "picture": "state_digest",
    "Account": "StatusReport",
    "account_of": "report_of",
    "Told": "PendingEvent",
    "News": "PendingEvents",
    "RunNews": "AnalysisRunUpdate",
    "StatusPage": "PublishedStatus",
    "Undo": "AbortHandler",
    "RollBack": "Rollback",
    "roll_back": "rollback",
    "RolledBack": "RollbackResult",
    "aftermath": "compensations",
    "made_way": "superseded",
    "Records": "ChangeRecords",
    "Moves": "ActionExecutor",
    "Move": "Action",
    "next_move": "next_action",
    "Position": "CanaryState",
    "Scene": "ClusterState",
    "scene": "cluster_state",
    "settled": "converged",
    "wake_at": "requeue_at",
    "led_to": "selected_hash",
    "lent_to": "filled_in",
    "View": "ClusterSnapshot",
    "Done": "ReconcileResult",
    "ForeignEdit": "ExternalChange",
    "foreign_edits": "find_external_changes",
    "meddler": "external_editor",
    "fights": "drifts",
    "Notice": "Notification",
    "notice": "notification",
    "notices": "notifications",
    "Deed": "TimelineEntry",
    "deed": "entry",
    "deeds": "timeline",
    "Sighting": "ObservedRollout",
    "sighting": "observed",
    "attendant": "worker",
    "_attendants": "_workers",
    "Refusal": "Rejection",
    "refusal": "rejection",
    "is_refusal": "is_rejection",
    "Question": "a query, by the system that is asked",
    "Answer": "HttpResponse",
    "Asked": "MetricQuery",
    "Due": "PendingQuery",
    "Measuring": "ProviderRunner",
    "trials": "experiments",
    "Tell": "SendUpdate, Unpublished",
    "Standing": "ReplicaSetState",
    "has_news": "has_pending, has_changed",
    "Linger": "KeepUntil",
    "rung": "step_weight",
    "GateAccount": "GateExplanation",
    "A_PERSON": "AN_OPERATOR",
    "for_a_person": "for_an_operator",
    "said_by": "latest_status",
    "attributed_to": "latest_status",
    "until_quiet": "until_scaled_down",
    "to_tell": "to_report",
    "doorway": "watch",
    "story": "report",
}


def names(room: str) -> Iterator[tuple[str, str]]:
    """Each identifier of a room, and where it is."""
    for file in modules(room):
        with file.open("rb") as code:
            for token in tokenize.tokenize(code.readline):
                if token.type == tokenize.NAME:
                    yield token.string, f"{file.relative_to(ROOT)}:{token.start[0]}"


@pytest.mark.parametrize("room", [room for room in PRODUCT if room != "sandbox"])
def test_no_identifier_is_a_word_of_our_own(room: str) -> None:
    found = {where: f"{name}: say {INSTEAD[name]}" for name, where in names(room) if name in INSTEAD}
    assert found == {}


def test_nothing_is_named_both_ways() -> None:
    assert INSTEAD.keys() & {word for said in INSTEAD.values() for word in said.split(", ")} == set()


def test_a_module_of_the_product_is_named_by_the_same_words() -> None:
    assert [str(file) for file in modules() if file.stem in INSTEAD] == []
