"""State is kept in fields: no decision looks into a text that is for people."""

from __future__ import annotations

import pytest

from tests.structure.prose import decisions
from tests.structure.sources import ROOT, modules

ROOMS = ("tidegate", "workflows", "activities", "workers")
TEXTS = frozenset({"message", "what", "who", "detail"})
"""Fields of payloads and of Kubernetes objects that hold a sentence for people."""

_RENEWED = "a condition whose text changed is another one, with a time of its own (argo-rollouts, SetRolloutCondition)"
ALLOWED = {
    ("tidegate/rollouts/conditions.py", "found.message == message"): _RENEWED,
    ("tidegate/rollouts/conditions.py", "found.message != at.failing"): _RENEWED,
    ("tidegate/rollouts/conditions.py", "found.message != message"): _RENEWED,
    ("tidegate/experiments/conditions.py", "known.message != message"): _RENEWED,
    ("activities/reconcile/rollout_status.py", "stored.get('message') == meanwhile.message"): (
        "nothing is written where the object says the same already"
    ),
}


def test_no_decision_looks_into_a_text_for_people() -> None:
    files = modules(*ROOMS)
    found = {
        (file.relative_to(ROOT).as_posix(), code): line
        for file in files
        for line, code in decisions(file.read_text(), TEXTS)
    }
    assert len(files) > 300, "the rooms stand elsewhere"
    assert {f"{file}:{found[file, code]}: {code}" for file, code in found.keys() - ALLOWED.keys()} == set()
    assert ALLOWED.keys() - found.keys() == set(), "an exception that is needed no more"


@pytest.mark.parametrize(
    "code",
    [
        "if status.message == 'manually paused': pause()",
        "if status.message: pause()",
        "while not status.message: wait()",
        "cause = status.message.partition('revision 2: ')[2]",
        "refused = ended and status.message.startswith('InvalidSpec:')",
        "rows = [row for row in rows if row.message]",
        "found = re.search('InvalidSpec', status.message)",
        "late = 'ProgressDeadlineExceeded' in document['message']",
        "mine = waiting is not None and waiting.who == who",
        "shown = 'late' if status.get('message') else ''",
        "if status.message and not done: print(title)",
    ],
)
def test_a_decision_by_a_text_is_found(code: str) -> None:
    assert [line for line, _ in decisions(code, TEXTS)] == [1]


@pytest.mark.parametrize(
    "code",
    [
        "if status.message: lines.append(status.message)",
        "text = f'{phase} - {status.message}' if status.message else phase",
        "text = status.message or status.phase",
        "log(error.message)",
        "if status.pause is PauseReason.MANUAL: show(status.message)",
    ],
)
def test_a_text_that_is_only_shown_is_no_decision(code: str) -> None:
    assert list(decisions(code, TEXTS)) == []
