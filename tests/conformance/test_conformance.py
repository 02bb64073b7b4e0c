"""Each row, asked of each server."""

from __future__ import annotations

import pytest

from tests.conformance import deletion, managers, patches, reading, refusals, rights, templates, writes
from tests.conformance.asking import BOTH, Asking, Row, Server
from tests.conformance.servers import servers
from tidegate.rollouts.template_hash import template_hash

ROWS = [
    *templates.ROWS,
    *writes.ROWS,
    *patches.ROWS,
    *managers.ROWS,
    *refusals.ROWS,
    *rights.ROWS,
    *deletion.ROWS,
    *reading.ROWS,
]


def test_no_two_rows_have_one_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("name", templates.TEMPLATES)
def test_what_a_server_fills_in_is_no_other_version(name: str) -> None:
    asked, stored = templates.TEMPLATES[name]
    assert template_hash(asked) == template_hash(stored)


def test_what_a_schema_fills_in_is_no_other_version() -> None:
    assert template_hash(templates.ALL_IN_ONE) == template_hash(templates.UNDER_ARGO)


ASKED = [(server, row) for server in servers() for row in ROWS if row.under in (BOTH, server.partition("-")[2])]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("server", "row"),
    ASKED,
    ids=[f"{server}-{row.name.replace(' ', '-')}" for server, row in ASKED],
    indirect=["server"],
    scope="module",
)
async def test_the_server_answers_as_expected(server: Server, namespace: str, row: Row) -> None:
    await Asking(server, namespace).row(row)
