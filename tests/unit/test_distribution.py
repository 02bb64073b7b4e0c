"""What a client's packages are enough for."""

from __future__ import annotations

from tests.installed import CLIENT, SCRIPTS, run_command, run_with

IMPORT = """
import gc
import tidegate.client
from lark import Lark
assert all(getattr(tidegate.client, name) for name in tidegate.client.__all__)
assert not [built for built in gc.get_objects() if isinstance(built, Lark)], "a grammar was built"
"""


def test_the_client_needs_its_own_packages_alone_and_builds_no_grammar() -> None:
    done = run_with(CLIENT, IMPORT)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_needs_the_packages_of_a_client_alone() -> None:
    done = run_command(CLIENT, "tidegate", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "promote" in done.stdout
    assert SCRIPTS["kubectl-tidegate"] == SCRIPTS["tidegate"]
