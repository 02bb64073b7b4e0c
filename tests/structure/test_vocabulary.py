"""One word for one thing, the field's where it has one: what the product called things before is not used again.

`docs/glossary.md` has the words.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

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
    "Asking": "Queries",
    "Leaving": "Claims",
    "Leave": "ReleaseClaims",
    "MetricAccount": "MetricExplanation",
    "Patience": "MeasureRetries",
    "Wanted": "Selection",
    "Words": "PlainText",
    "SPOKEN_FIELDS": "REQUEST_FIELDS",
    "is_left_undone": "needs_recovery",
    "is_word": "is_external_write",
    "leave_if_cancelled": "raise_if_cancelled",
    "end_analyses_left": "cancel_orphaned_analyses",
    "not_begun": "name_taken",
}

# Words of speech and posture, each with many meanings, and what they stood for. `ELSEWHERE` still uses them.
SPEECH = {
    "Ask": "Command",
    "ask": "query, request, command",
    "_ask": "_query, _request",
    "asked": "request, requested",
    "asked_at": "requested_at",
    "asked_again": "requested_again",
    "asks": "commands",
    "asks_for": "version",
    "begun": "started",
    "first_look": "observe_cluster",
    "has_heard": "has_requested",
    "heard": "requested, acknowledge",
    "look": "observe, read, poll, await_change",
    "look_again": "requeue",
    "moment": "timestamp",
    "news": "updated",
    "place": "location",
    "places": "locations",
    "said": "message, text, status",
    "_say": "_send",
    "stands": "states",
    "tell": "send, publish, notify",
    "_tell": "_send",
    "told": "published, sent, values",
    "_told": "_sent, _published",
    "unheard": "ignored_flags",
    "word": "command, state",
    "words": "text, parts",
}
ELSEWHERE = ("sandbox",)
NO_DOCSTRING_BEGINS_WITH = ("What ", "Whether ")
NO_DOCSTRING_HAS = re.compile(r"\b(for ever|is told|nobody|somebody|whoever)\b", re.IGNORECASE)


def names(room: str) -> Iterator[tuple[str, str]]:
    """Each identifier of a room, and where it is."""
    for file in modules(room):
        for name, line in names_in(file):
            yield name, f"{file.relative_to(ROOT)}:{line}"


def names_in(file: Path) -> Iterator[tuple[str, int]]:
    """Each identifier of a file, and its line."""
    with file.open("rb") as code:
        for token in tokenize.tokenize(code.readline):
            if token.type == tokenize.NAME:
                yield token.string, token.start[0]


def plain() -> Iterator[tuple[str, Path]]:
    """Modules of the product outside `ELSEWHERE`, with their paths from the root."""
    for file in modules():
        path = file.relative_to(ROOT).as_posix()
        if not path.startswith(ELSEWHERE):
            yield path, file


def docstrings(file: Path) -> Iterator[tuple[int, str]]:
    """Each docstring of a file, and the line of what it documents."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            line = 1 if isinstance(node, ast.Module) else node.lineno
            if text := ast.get_docstring(node):
                yield line, text


@pytest.mark.parametrize("room", [room for room in PRODUCT if room != "sandbox"])
def test_no_identifier_is_a_word_of_our_own(room: str) -> None:
    found = {where: f"{name}: say {INSTEAD[name]}" for name, where in names(room) if name in INSTEAD}
    assert found == {}


def test_no_identifier_is_a_word_of_speech() -> None:
    found = {(path, name) for path, file in plain() for name, _ in names_in(file) if name in SPEECH}
    assert {f"{path}: {name}: say {SPEECH[name]}" for path, name in found} == set()


def test_a_docstring_begins_with_a_verb_or_a_noun_and_names_its_persons() -> None:
    found = [
        f"{path}:{line}: {text[:60]}"
        for path, file in plain()
        for line, text in docstrings(file)
        if text.startswith(NO_DOCSTRING_BEGINS_WITH) or NO_DOCSTRING_HAS.search(text)
    ]
    assert found == []


def test_nothing_is_named_both_ways() -> None:
    renamed = INSTEAD | SPEECH
    assert renamed.keys() & {word for instead in renamed.values() for word in instead.split(", ")} == set()


def test_a_module_of_the_product_is_named_by_the_same_words() -> None:
    assert [str(file) for file in modules() if file.stem in INSTEAD] == []
