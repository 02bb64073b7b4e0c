"""Columns of records in ServiceNow beside their cause: by settings, by annotations where allowed, and links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from tidegate.contract import Column, Facts, Graph, Template, check_column, render
from tidegate.manifests.plain_text import harmless
from tidegate.report.links import run_url

_CODE = re.compile(r"\[\s*(/?)\s*code\s*\]", re.IGNORECASE)
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
MAX_VALUE = 1000
MAX_COMPLAINT = 200
LEVELS = ("1", "2", "3")
INCIDENT_DEFAULTS: Mapping[str, str] = {"urgency": "2", "impact": "2"}
# What a release may ask for decides who is called and how loudly; nothing that gives it access to anything.
ALLOWED_FIELDS = ("assignment_group", "urgency", "impact", "category", "subcategory", "business_service", "cmdb_ci")
GRAPH_URL = "https://app.datadoghq.com/metric/explorer?exp_query={query}&from_ts={from_ts}&to_ts={to_ts}&live=false"


class ServiceNowSettings(BaseModel):
    """Access to ServiceNow, and columns of its records."""

    model_config = ConfigDict(frozen=True)

    url: str = ""  # empty: `url` of the secret
    # With `username` and `password`, or `client_id` and `client_secret` for OAuth (grant client_credentials).
    secret_path: str = "secret/tidegate/servicenow"  # noqa: S105  a path
    # Columns of an incident, such as `{"assignment_group": "On-call {namespace}"}`: names are as displayed.
    fields: dict[Column, Template] = {}
    allowed_fields: tuple[Column, ...] = ALLOWED_FIELDS  # columns that annotations of a Rollout may set
    resolve_code: str = "Solution provided"  # resolution code of incidents
    change_template: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")  # sys_id of a standard change template
    change_fields: dict[Column, Template] = {}  # columns of a change, as `fields`
    success_code: str = "successful"  # close codes of changes
    failure_code: str = "unsuccessful"
    temporal_ui: str = ""  # base URL of the Temporal UI with its namespace
    graph_url: str = GRAPH_URL  # with `{query}`, `{from_ts}` and `{to_ts}` (unix milliseconds)
    timeout_seconds: float = Field(default=15.0, gt=0)  # of one request


@dataclass(frozen=True)
class RecordColumns:
    """Columns of a new record: those of settings, those requested by annotations, and complaints about others."""

    fixed: Mapping[str, str]
    requested: Mapping[str, str]
    complaints: tuple[str, ...]

    @property
    def all(self) -> dict[str, str]:
        """Columns of the settings, overridden by requested ones."""
        return {**self.fixed, **self.requested}


def columns_of(
    templates: Mapping[str, str], requested: Mapping[str, str], allowed: Iterable[str], facts: Facts
) -> RecordColumns:
    """The columns with their facts in place. One that cannot be used is a complaint, not an error."""
    fixed = {name: render(template, facts)[:MAX_VALUE] for name, template in templates.items()}
    granted: dict[str, str] = {}
    complaints = []
    for name, template in requested.items():
        try:
            granted[name] = _granted(name, template, frozenset(allowed), facts)
        except ValueError as error:
            complaints.append(f"the Rollout's {_shown(name)}={_shown(template)} is not used: {error}")
    return RecordColumns(fixed, granted, tuple(complaints))


def described(description: str, complaints: Iterable[str], length: int) -> str:
    """The description with the complaints in front, where no cut reaches them, at most `length` characters long."""
    return cut("\n".join([*complaints, description]), length)


def plain_columns(body: Mapping[str, str]) -> dict[str, str]:
    """Columns as they are sent, without markup that acts on a reader.

    A journal shows text between `[code]` tags as HTML, and mails show all of it so: no text of ours starts one.
    """
    return {name: _TAG.sub("\u2039", _CODE.sub(r"(\1code)", harmless(text))) for name, text in body.items()}


def cut(text: str, length: int) -> str:
    """`text` itself, or as much of it as fits, with dots."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def links(facts: Facts, graphs: Iterable[Graph], temporal_ui: str, graph_url: str) -> list[str]:
    """Lines with the addresses of the run in the Temporal UI and of the graphs, as far as settings say where."""
    lines = []
    if temporal_ui and facts.workflow:
        lines.append(f"Temporal: {run_url(temporal_ui, facts.workflow, facts.run)}")
    if graph_url:
        lines += [f"Graph of {graph.metric}: {_graph(graph, graph_url)}" for graph in graphs]
    return lines


def _graph(graph: Graph, template: str) -> str:
    values = {
        "{query}": quote(graph.query, safe=""),
        "{from_ts}": str(round(graph.start.timestamp() * 1000)),
        "{to_ts}": str(round(graph.end.timestamp() * 1000)),
    }
    for placeholder, value in values.items():  # no quoted query holds a brace
        template = template.replace(placeholder, value)
    return template


def _granted(name: str, template: str, allowed: frozenset[str], facts: Facts) -> str:
    check_column(name)
    if name not in allowed:
        raise ValueError(f"allowed are {', '.join(sorted(allowed)) or 'none'}")
    value = render(template, facts).strip()
    if not value:
        raise ValueError("it is empty")
    if len(value) > MAX_VALUE:
        raise ValueError(f"it is longer than {MAX_VALUE} characters")
    if name in ("urgency", "impact") and value not in LEVELS:
        raise ValueError(f"it has to be one of {', '.join(LEVELS)}")
    return value


def _shown(text: str) -> str:
    return repr(cut(text, MAX_COMPLAINT))
