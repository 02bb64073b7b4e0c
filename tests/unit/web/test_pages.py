"""Cards of releases: what they say, buttons only for operators, and no text that acts as HTML.

`TIDEGATE_WRITE_SNAPSHOTS=1 pytest tests/unit/web/test_pages.py` writes the texts anew, to be read in the diff.
"""

from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cli.releases import at
from tests.unit.cli.screens import EXAMPLES, plain
from tests.unit.web.fleets import NOW, fleet, moved, row, summary, text
from tidegate.contract import Event, Message
from tidegate.web.html import tag
from tidegate.web.page import PageContext, card, fleet_page, form_page, release_page
from tidegate.web.rows import Fleet, FleetPart, FleetRow
from tidegate.web.verbs import Verb, verbs_for

SNAPSHOTS = Path(__file__).parents[2] / "data" / "web"
WRITE = "TIDEGATE_WRITE_SNAPSHOTS"
OPERATOR = PageContext(viewer="ana", may_act=True, acts=True, refresh=5)


class Elements(HTMLParser):
    """Every element of a page with its attributes, and whether each was closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "br", "img", "hr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_release_reads_as_it_did(name: str) -> None:
    example = EXAMPLES[name]()
    said = text(release_page(row(example), Fleet([], example.now), example.now, PageContext()))
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get(WRITE):
        file.parent.mkdir(exist_ok=True)
        file.write_text(said)
    assert said == file.read_text(), f"look at what has changed, then {WRITE}=1"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_has_the_words_of_the_terminal(name: str) -> None:
    example = EXAMPLES[name]()
    said = " ".join(text(card(row(example), example.now, PageContext())).split())
    for line in plain(example.lines(200, 60)).splitlines():
        label, _, value = line.partition("  ")
        if label in ("paused by", "waiting for", "ended by", "why", "traffic", "taken back"):
            assert f"{label} {' '.join(value.split())}" in said


def test_the_fleet_begins_with_what_waits_for_an_operator() -> None:
    elements = Elements(fleet_page(fleet(), NOW, PageContext()))
    sections = [attributes["aria-label"] for name, attributes in elements.found if name == "section"]
    assert sections == [FleetPart.OPERATOR, FleetPart.UNDER_WAY, FleetPart.TAKEN_BACK, FleetPart.ENDED]
    assert elements.open == []
    cards = [attributes["aria-label"] for name, attributes in elements.found if name == "article"]
    assert [each.split(": ")[1] for each in cards if each] == [
        "Paused",
        "Paused",
        "Progressing",
        "Progressing",
        "Degraded",
    ]


@pytest.mark.parametrize(
    ("name", "buttons"),
    [
        ("running", ["abort", "pause", "promote"]),
        ("paused", ["resume", "abort"]),
        ("holding", ["promote", "abort"]),
        ("aborting", []),
        ("good", []),
    ],
)
def test_buttons_are_what_works_now_and_only_for_operators(name: str, buttons: list[str]) -> None:
    example = EXAMPLES[name]()
    found = [each for each in Elements(card(row(example), example.now, OPERATOR)).found if each[0] == "a"]
    assert [str(a["href"]).rpartition("/")[2] for _, a in found if "button" in (a.get("class") or "")] == buttons
    for context in (PageContext(), PageContext(viewer="bob", acts=True)):
        assert "button" not in card(row(example), example.now, context)


def test_an_aborted_release_that_has_ended_can_be_tried_again() -> None:
    status = EXAMPLES["aborting"]().status.model_copy(update={"finished_at": at(230)})
    assert verbs_for(FleetRow(summary(status), status, at(240))) == (Verb.RETRY,)


def test_without_a_worker_it_shows_what_temporal_keeps_and_how_old_a_state_is() -> None:
    example = EXAMPLES["paused"]()
    kept = summary(example.status, waiting_for="an operator")
    said = text(card(FleetRow(kept, trouble="no worker answers"), NOW, PageContext()))
    assert "no worker answers: this is what Temporal itself keeps" in said
    for words in ("version 1.2.0", "weight 25 %", "waiting for an operator", "began 5m30s ago"):
        assert words in " ".join(said.split())
    old = FleetRow(kept, example.status, at(300), "no worker answers")
    assert "state of 03:25:38 UTC, 30s old: no worker answers" in text(card(old, NOW, PageContext()))
    assert FleetRow(kept).group(NOW) is FleetPart.OPERATOR


def test_a_form_names_the_effect_and_keeps_what_its_operator_saw() -> None:
    page = form_page(row(EXAMPLES["paused"]()), Verb.ABORT, OPERATOR, [("token", "t"), ("run", "r")])
    assert "Puts all traffic back on 1.1.0, then removes the pods of 1.2.0." in page
    inputs = [attributes for name, attributes in Elements(page).found if name == "input"]
    assert [(each["name"], "required" in each) for each in inputs] == [
        ("token", False),
        ("run", False),
        ("reason", True),
    ]


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["running", "paused", "aborting", "comparing"]))
def test_no_text_from_outside_acts_as_html(hostile: str, kind: str) -> None:
    words = f"\"><script>alert(1)</script><b onclick='x'>{hostile}"
    example = moved(EXAMPLES[kind]())
    status = example.status.model_copy(
        update={
            "name": words,
            "namespace": words,
            "by": words,
            "images": {words: words},
            "cause": words,
            "warnings": (words,),
            "manual_pause": Message(by=words, reason=words),
            "events": (*example.status.events, Event(at=NOW, reason=words, message=words)),
            "source": example.status.source.model_copy(update={"ci_url": f"javascript:{words}", "commit": words}),
        }
    )
    dirty = FleetRow(summary(status, version=words), status, NOW, words)
    calm = row(example)
    for page, same in (
        (
            release_page(dirty, Fleet([dirty], NOW, words), NOW, OPERATOR, words),
            release_page(calm, fleet(), NOW, OPERATOR),
        ),
        (fleet_page(Fleet([dirty], NOW), NOW, OPERATOR), fleet_page(fleet(), NOW, OPERATOR)),
    ):
        elements = Elements(page)
        assert elements.open == []
        assert {name for name, _ in elements.found} <= {name for name, _ in Elements(same).found}
        for name, attributes in elements.found:
            assert not any(key.startswith("on") for key in attributes)
            assert not (attributes.get("href") or "").startswith("javascript:")
            assert name != "script" or attributes.get("src") == "/static/page.js"


@given(st.text(), st.text())
def test_what_is_written_is_read_back(content: str, value: str) -> None:
    from tidegate.manifests.plain_text import harmless

    elements = Elements(tag("p", content, title=value))
    assert elements.found == [("p", {"title": harmless(value)})]
    assert "".join(elements.texts) == harmless(content)
