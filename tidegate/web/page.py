"""Pages: the fleet, one release, the form of an act, and a message. Pure: rows and a time in, HTML out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from tidegate.client import PastRelease, RolloutRef
from tidegate.client.refs import outcome_of
from tidegate.manifests.plain_text import one_line
from tidegate.report.aborted import abort_event
from tidegate.report.ages import age, clock, since
from tidegate.report.current_state import effective_phase, times
from tidegate.report.links import run_url
from tidegate.web import parts
from tidegate.web.html import Child, Html, tag
from tidegate.web.rows import Fleet, FleetPart, FleetRow
from tidegate.web.verbs import Verb, effect, verbs_for

MAX_REASON: Final = 500
"""Characters of a reason that the form takes."""
_CARDS: Final = (FleetPart.OPERATOR, FleetPart.UNDER_WAY, FleetPart.TAKEN_BACK)
_OUTCOME_TONES: Final = {"promoted": "good", "aborted": "bad", "refused": "bad"}


@dataclass(frozen=True)
class PageContext:
    """Viewer of a page, rights, and the time after which it is read anew."""

    viewer: str = ""
    may_act: bool = False
    acts: bool = False  # the process has buttons at all
    refresh: int = 0  # seconds; 0 for a page that stays as it is
    temporal_ui: str = ""


def fleet_page(fleet: Fleet, now: datetime, context: PageContext) -> str:
    """All releases: those that wait for an operator first, then those under way, taken back, and ended."""
    groups: dict[FleetPart, list[FleetRow]] = {group: [] for group in FleetPart}
    for row in fleet.rows:
        groups[row.group(now)].append(row)
    waiting = len(groups[FleetPart.OPERATOR])
    body = [
        _counts(groups),
        _age(fleet, now),
        *(_section(group, groups[group], now, context) for group in _CARDS),
        _ended(groups[FleetPart.ENDED], now),
        None if fleet.rows else tag("p", "No release is known to Temporal.", class_="dim"),
    ]
    return _document(f"{waiting} waiting - Tidegate" if waiting else "Tidegate", body, context)


def release_page(row: FleetRow, fleet: Fleet, now: datetime, context: PageContext, outcome: str = "") -> str:
    """One release with all that is known of it; `outcome` is what the viewer has just done."""
    done = tag("p", outcome, class_="outcome", role="status") if outcome else None
    body = [_back(), done, _age(fleet, now), card(row, now, context, whole=True)]
    return _document(f"{row.summary.name} - Tidegate", body, context)


def form_page(
    row: FleetRow, verb: Verb, context: PageContext, hidden: Iterable[tuple[str, str]], complaint: str = ""
) -> str:
    """The form in which an operator gives the reason of an act, and reads its effect first."""
    path = release_path(row.rollout)
    fields = [tag("input", type="hidden", name=name, value=value) for name, value in hidden]
    reason = tag(
        "input", id="reason", name="reason", required=True, maxlength=MAX_REASON, autofocus=True, autocomplete="off"
    )
    form = tag(
        "form",
        fields,
        tag("p", effect(verb, row)),
        tag("p", complaint, class_="bad", role="alert") if complaint else None,
        tag("p", tag("label", "Why", for_="reason"), reason),
        tag("p", f"The release keeps your name, {context.viewer}, and the reason.", class_="dim"),
        tag(
            "p",
            tag("button", f"{verb} {row.summary.name}", class_=f"button {verb}"),
            tag("a", "Leave it", href=path, class_="button quiet"),
            class_="acts",
        ),
        method="post",
        action=f"{path}/{verb}",
    )
    title = f"{verb} {row.summary.name}"
    return _document(
        f"{title} - Tidegate", [_back(), tag("article", tag("h2", title), form, class_="card form")], context
    )


def message_page(title: str, text: str, context: PageContext, remedy: str = "", back: str = "/") -> str:
    """A refusal or an error, with what to do about it."""
    body = [
        tag("h2", title),
        tag("p", one_line(text), role="alert"),
        tag("p", one_line(remedy)) if remedy else None,
        tag("p", tag("a", "Back", href=back, class_="button quiet")),
    ]
    return _document(f"{title} - Tidegate", tag("article", body, class_="card form"), context)


def release_path(rollout: RolloutRef) -> str:
    """Path of the page of a Rollout's newest release."""
    return "/releases/" + "/".join(quote(part, safe="") for part in (rollout.cluster, rollout.namespace, rollout.name))


def card(row: FleetRow, now: datetime, context: PageContext, *, whole: bool = False) -> Html:
    """One release; with every event and larger drawings in a `whole` view."""
    phase = effective_phase(row.status) if row.status is not None else row.summary.phase or row.summary.state
    return tag(
        "article",
        _head(row, str(phase), now, whole=whole),
        _trouble(row, now),
        _of_records(row, now, context) if row.status is None else _of_status(row, now, context, whole=whole),
        class_=f"card {parts.TONES.get(phase, '')}",
        aria_label=f"{row.summary.namespace}/{row.summary.name}: {phase}",
    )


def _head(row: FleetRow, phase: str, now: datetime, *, whole: bool) -> Html:
    found = row.summary
    where = f" {found.namespace}" + (f" on {found.cluster}" if found.cluster != "default" else "")
    name: Child = found.name if whole else tag("a", found.name, href=release_path(row.rollout))
    parts_of_time = list(times(row.status, now)) if row.status is not None else [since(found.started_at, now)]
    began = parts.time_tag(found.started_at, now, ", ".join(parts_of_time))
    title = tag("h2" if whole else "h3", name, tag("span", where, class_="dim"))
    return tag("header", title, tag("p", parts.badge(phase), " ", began, class_="state"))


def _trouble(row: FleetRow, now: datetime) -> Html | None:
    """Line that says why a state is an old one, or is what Temporal itself keeps."""
    if not row.trouble:
        return None
    if row.status is None or row.read_at is None:
        text = f"{row.trouble}: this is what Temporal itself keeps"
    else:
        text = f"state of {clock(row.read_at)} UTC, {since(row.read_at, now)} old: {row.trouble}"
    return tag("p", "⚠ ", one_line(text), class_="trouble")


def _of_records(row: FleetRow, now: datetime, context: PageContext) -> list[Child]:
    found = row.summary
    kept = found if isinstance(found, PastRelease) else None
    rows: list[tuple[str, Child]] = [
        ("version", found.version or "not known"),
        ("released by", found.by),
        ("revision", found.revision),
        ("weight", f"{found.weight} %" if found.weight is not None else None),
        ("waiting for", found.waiting_for),
        ("outcome", found.outcome),
        ("why", one_line(kept.message) if kept is not None else None),
        ("image", ", ".join(kept.images.values()) if kept is not None else None),
        ("workflow", f"{found.state}, began {since(found.started_at, now)} ago"),
    ]
    return [parts.facts((label, value) for label, value in rows if value not in ("", None)), _buttons(row, context)]


def _of_status(row: FleetRow, now: datetime, context: PageContext, *, whole: bool) -> list[Child]:
    status = row.status
    if status is None:
        return []
    abort = abort_event(status)
    history = run_url(context.temporal_ui, status.workflow_id, status.run_id) if context.temporal_ui else ""
    return [
        tag("div", parts.version_part(status), parts.weights_part(status), class_="what"),
        parts.alerts_part(status),
        parts.abort_part(status, abort) if abort is not None else None,
        parts.steps_part(status, now),
        parts.wait_part(status, now) if abort is None else None,
        _buttons(row, context),
        parts.gates_part(status, now, whole=whole),
        parts.pods_part(status) if whole else None,
        parts.events_part(status, now, most=None if whole else parts.EVENTS),
        parts.origin_part(status, history) if whole else None,
    ]


def _buttons(row: FleetRow, context: PageContext) -> Html | None:
    found = verbs_for(row) if context.may_act else ()
    if not found:
        return None
    path = release_path(row.rollout)
    links = (tag("a", verb, href=f"{path}/{verb}", class_=f"button {verb}") for verb in found)
    return tag("p", links, class_="acts")


def _section(group: FleetPart, rows: Sequence[FleetRow], now: datetime, context: PageContext) -> Html | None:
    if not rows:
        return None
    cards = tag("div", (card(row, now, context) for row in rows), class_="cards")
    return tag("section", tag("h2", group), cards, aria_label=group)


def _ended(rows: Sequence[FleetRow], now: datetime) -> Html | None:
    if not rows:
        return None
    titles = ("Rollout", "Version", "Outcome", "Weight", "By", "Ended")
    head = tag("thead", tag("tr", (tag("th", title, scope="col") for title in titles)))
    newest = sorted(rows, key=lambda row: row.summary.finished_at or now, reverse=True)
    body = tag("tbody", (_line(row, now) for row in newest))
    return tag("section", tag("h2", FleetPart.ENDED), tag("table", head, body), aria_label=FleetPart.ENDED)


def _line(row: FleetRow, now: datetime) -> Html:
    found = row.summary
    outcome = outcome_of(found.state, row.status)
    mark = "✔" if outcome == "promoted" else "✖"
    name = tag("a", found.name, href=release_path(row.rollout))
    ended = found.finished_at
    return tag(
        "tr",
        tag("th", name, tag("span", f" {found.namespace}", class_="dim"), scope="row"),
        tag("td", found.version or "-"),
        tag("td", f"{mark} {outcome}", class_=_OUTCOME_TONES.get(outcome, "warning")),
        tag("td", f"{found.weight} %" if found.weight is not None else "-"),
        tag("td", found.by or "-"),
        tag("td", parts.time_tag(ended, now, f"{since(ended, now)} ago") if ended is not None else "-"),
    )


def _counts(groups: dict[FleetPart, list[FleetRow]]) -> Html:
    items = (
        tag("li", tag("b", len(rows)), f" {group.lower()}", class_=group.name.lower()) for group, rows in groups.items()
    )
    return tag("ul", items, class_="totals")


def _age(fleet: Fleet, now: datetime) -> Html | None:
    if fleet.read_at is None:
        return tag("p", "⚠ ", one_line(fleet.trouble), class_="trouble", role="status") if fleet.trouble else None
    read = parts.time_tag(fleet.read_at, now, f"{clock(fleet.read_at)} UTC")
    if fleet.trouble:
        text = f"{age(now - fleet.read_at)} old: {one_line(fleet.trouble)}"
        return tag("p", "⚠ state of ", read, f", {text}", class_="trouble", role="status")
    return tag("p", "read ", read, class_="dim read")


def _back() -> Html:
    return tag("p", tag("a", "All releases", href="/"), class_="back")


def _document(title: str, body: Child, context: PageContext) -> str:
    who = context.viewer or "not signed in"
    rights = "may act" if context.may_act else "read only"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href="/static/page.css"),
        tag("noscript", tag("meta", http_equiv="refresh", content=3 * context.refresh)) if context.refresh else None,
        tag("script", src="/static/page.js", defer=True) if context.refresh else None,
    )
    top = tag(
        "header",
        tag("a", "Tidegate", href="/", class_="brand"),
        tag("p", f"{who}, {rights}" if context.viewer or context.acts else rights, class_="dim"),
        class_="top",
    )
    stale = tag("p", "", id="stale", class_="trouble", role="status", hidden=True)
    main = tag("main", body, id="main")
    page = tag(
        "body", tag("a", "To the releases", href="#main", class_="skip"), top, stale, main, data_refresh=context.refresh
    )
    return f"<!doctype html>{tag('html', head, page, lang='en')}"
