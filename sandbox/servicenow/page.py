"""Pages of the embedded ServiceNow for people: the list of incidents, and one incident with all that it holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from sandbox.pictures import picture
from sandbox.servicenow.records import Attachment, Incident, Note

STATES = {"1": "New", "2": "In progress", "3": "On hold", "6": "Resolved", "7": "Closed", "8": "Canceled"}
LEVELS = {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"}
PRIORITIES = {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low", "5": "5 - Planning"}
MAX_SHOWN_BYTES = 256 * 1024

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #0b7285; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
header { border-bottom: 3px solid var(--accent); margin-bottom: 1rem; }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; } h2 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
a { color: var(--accent); } small { opacity: .7; }
dl { display: grid; grid-template-columns: max-content 1fr max-content 1fr; gap: .25rem 1.5rem; }
dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
img { max-width: 100%; border: 1px solid var(--line); border-radius: 6px; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow: auto;
      white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .4rem .75rem .4rem 0;
      border-bottom: 1px solid var(--line); vertical-align: top; }
details { margin: .5rem 0; } summary { cursor: pointer; }
"""


def list_page(incidents: Iterable[Incident]) -> str:
    """All incidents, newest first."""
    rows = "".join(_row(incident) for incident in reversed(list(incidents)))
    table = f"<table><tr><th>Number<th>Priority<th>State<th>Short description<th>Opened</tr>{rows}</table>"
    return _page("Incidents", "<h1>Incidents</h1>", table if rows else "<p>No incident has been opened.</p>")


def incident_page(incident: Incident, files: Sequence[Attachment], states: Mapping[str, str] = STATES) -> str:
    """One incident, or another record with its `states`: its fields, description, journals and attachments."""
    fields = incident.fields
    title = f"{fields['number']} {fields['short_description']}"
    head = f"<small><a href='/'>Incidents</a></small><h1>{escape(title)}</h1>"
    facts = [
        ("State", states.get(fields["state"], fields["state"])),
        ("Priority", PRIORITIES.get(fields["priority"], fields["priority"])),
        ("Impact", LEVELS.get(fields["impact"], fields["impact"])),
        ("Urgency", LEVELS.get(fields["urgency"], fields["urgency"])),
        ("Category", fields["category"]),
        ("Assignment group", fields["assignment_group"]),
        ("Configuration item", fields["cmdb_ci"]),
        ("Opened", f"{fields['opened_at']} UTC by {fields['sys_created_by']}"),
        ("Close code", fields["close_code"]),
        ("Close notes", fields["close_notes"]),
        ("Correlation id", fields["correlation_id"]),
        *((name, value) for name, value in sorted(fields.items()) if name.startswith("u_")),
    ]
    parts = [
        "<dl>" + "".join(f"<dt>{escape(name)}<dd>{escape(value)}" for name, value in facts if value) + "</dl>",
        f"<h2>Description</h2><pre>{escape(fields['description']) or 'none'}</pre>",
        _journal("Work notes", incident.journals.get("work_notes", [])),
        _journal("Comments", incident.journals.get("comments", [])),
        _attachments(files),
    ]
    return _page(title, head, "".join(parts))


def _row(incident: Incident) -> str:
    fields = incident.fields
    number = escape(fields["number"], quote=True)
    cells = (
        f"<a href='/incident/{number}'>{number}</a>",
        escape(PRIORITIES.get(fields["priority"], fields["priority"])),
        escape(STATES.get(fields["state"], fields["state"])),
        escape(fields["short_description"]),
        escape(fields["opened_at"]),
    )
    return "<tr>" + "".join(f"<td>{cell}" for cell in cells) + "</tr>"


def _journal(title: str, notes: Sequence[Note]) -> str:
    entries = "".join(
        f"<p><small>{escape(note.at)} UTC, {escape(note.by)}</small></p><pre>{escape(note.text)}</pre>"
        for note in reversed(notes)
    )
    return f"<h2>{title}</h2>{entries}" if entries else ""


def _attachments(files: Sequence[Attachment]) -> str:
    shown = "".join(map(_attachment, files))
    return f"<h2>Attachments ({len(files)})</h2>{shown}" if shown else ""


def _attachment(file: Attachment) -> str:
    """A picture as it is, and other files to be opened."""
    name = escape(file.fields["file_name"], quote=True)
    about = f"{name} <small>{escape(file.fields['content_type'])}, {len(file.content)} bytes</small>"
    image = picture(file.fields["file_name"], file.content) if len(file.content) <= MAX_SHOWN_BYTES else ""
    if image:
        return f"<p>{about}</p>{image}"
    return f"<details><summary>{about}</summary><pre>{escape(_readable(file))}</pre></details>"


def _readable(attachment: Attachment) -> str:
    if len(attachment.content) > MAX_SHOWN_BYTES:
        return "too large to be shown here"
    try:
        text = attachment.content.decode()
    except UnicodeDecodeError:
        return "not text"
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _page(title: str, head: str, body: str) -> str:
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<header>{head}</header><main>{body}</main></html>"
    )
