"""Templates for columns of a release's records in ServiceNow, and the facts that they may name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from string import Formatter
from typing import Annotated

from pydantic import AfterValidator

from tidegate.contract.payload import Payload

# Columns that Tidegate or the platform fills: with another value, a record could not be found again.
RESERVED_COLUMNS = frozenset(
    {
        "active",
        "close_code",
        "close_notes",
        "comments",
        "correlation_display",
        "correlation_id",
        "description",
        "number",
        "state",
        "work_notes",
    }
)
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,79}")


class Facts(Payload):
    """Facts that a template may name, each as text."""

    namespace: str = ""
    rollout: str = ""
    cluster: str = ""
    revision: str = ""
    images: str = ""
    step: str = ""
    weight: str = ""  # percent of the traffic on the canary
    by: str = ""
    cause: str = ""
    commit: str = ""
    workflow: str = ""  # id
    run: str = ""  # id


class Graph(Payload):
    """A Datadog query of a gate's metric, with its time range."""

    metric: str
    query: str
    start: datetime
    end: datetime


def check_template(text: str) -> str:
    """`text` itself. Raises ValueError when it names an unknown fact, or is no template."""
    names = {name for _, name in _parts(text) if name is not None}
    if unknown := sorted(names - set(Facts.model_fields)):
        known = ", ".join(f"{{{name}}}" for name in Facts.model_fields)
        raise ValueError(f"there is no {{{unknown[0]}}}; known: {known}")
    return text


def render(template: str, facts: Facts) -> str:
    """The template with the facts in place; a fact is never read as a template. Raises ValueError as above."""
    values = facts.model_dump()
    return "".join(
        literal + ("" if name is None else values[name]) for literal, name in _parts(check_template(template))
    )


def check_column(name: str) -> str:
    """`name` itself. Raises ValueError for a column that settings may not fill."""
    if not _COLUMN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a column: small letters, digits and _")
    if name in RESERVED_COLUMNS or name.startswith("sys_"):
        raise ValueError(f"the column {name} is filled by Tidegate or by the platform")
    return name


Template = Annotated[str, AfterValidator(check_template)]
Column = Annotated[str, AfterValidator(check_column)]


def _parts(text: str) -> Iterator[tuple[str, str | None]]:
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}: write {{{{ and }}}} for braces that are meant") from None
    for literal, name, form, conversion in parsed:
        if form or conversion:
            raise ValueError(f"{{{name}}} takes neither a format nor a conversion")
        yield literal, name
