"""What each help says, and what it costs to say it.

`TIDEGATE_WRITE_SNAPSHOTS=1 pytest tests/unit/cli/test_help.py` writes the texts anew, to be read in the diff.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.core import TyperGroup

from tidegate.cli.app import run
from tidegate.cli.commands import COMMANDS
from tidegate.cli.context_namespace import context_namespace
from tidegate.cli.lazy import loaded

SNAPSHOTS = Path(__file__).parents[2] / "data" / "help"
WRITE = "TIDEGATE_WRITE_SNAPSHOTS"
# What a help and a completion of a command import beside the standard library: nothing that connects, checks or draws.
LIGHT = {"annotated_doc", "shellingham", "tidegate", "typer"}


def paths() -> Iterator[tuple[str, ...]]:
    """The words of the program's help and of each command's."""
    yield ()
    for name, command in COMMANDS.items():
        yield (name,)
        found: Any = loaded(name, command)
        if isinstance(found, TyperGroup):
            yield from ((name, each) for each, sub in found.commands.items() if not sub.hidden)


PATHS = list(paths())
structlog.reset_defaults()


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("KUBECONFIG", "/none")
    for name in ("TIDEGATE_NAMESPACE", "TIDEGATE_CLUSTER", "TIDEGATE_SERVER"):
        monkeypatch.delenv(name, raising=False)
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: "-".join(path) or "tidegate")
def test_a_help_reads_as_it_did(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    text = capsys.readouterr().out
    file = SNAPSHOTS / f"{'-'.join(('tidegate', *path))}.txt"
    if os.environ.get(WRITE):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()
    assert "<bool>" not in text
    assert all(len(line) <= 80 for line in text.splitlines() if "tidegate " not in line), "a terminal shows it whole"


@pytest.mark.parametrize("path", [path for path in PATHS if path], ids="-".join)
def test_each_command_has_an_example(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    run([*path, "--help"])
    text = capsys.readouterr().out
    if "COMMAND [ARGS]" not in text:
        assert f"tidegate {' '.join(path)}" in text.partition("Examples:")[2]


def test_no_snapshot_is_of_a_command_that_is_gone() -> None:
    assert {file.stem for file in SNAPSHOTS.iterdir()} == {"-".join(("tidegate", *path)) for path in PATHS}


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []], ids=str)
def test_a_help_imports_nothing_that_is_slow(arguments: list[str]) -> None:
    code = (
        "import sys; from tidegate.cli.app import run; run(sys.argv[1:]);"
        "print(*sorted({m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)))"
    )
    argv = [sys.executable, "-I", "-c", code, *arguments]
    last = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()[-1]
    imported = {name for name in last.split() if not name.startswith(("_", "sitecustomize", "editable"))}
    assert imported <= LIGHT


def test_the_program_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tidegate 0.")


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --command")]
)
def test_each_shell_has_a_script(shell: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert word in script
    assert "_TIDEGATE_COMPLETE" in script


@pytest.mark.parametrize(
    ("words", "number", "offered"),
    [
        ("tidegate hi", 1, ["history"]),
        ("tidegate get ro", 2, ["rollout"]),
        ("tidegate promote --fu", 2, ["--full"]),
    ],
)
def test_a_shell_completes_commands_and_options(words: str, number: int, offered: list[str]) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(number), "_TIDEGATE_COMPLETE": "complete_bash"}
    argv = [sys.executable, "-c", "from tidegate.cli.app import run; run([])"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=os.environ | asked, check=False)
    assert done.stdout.split() == offered


CONFIG = """
current-context: {current}
contexts:
  - name: it
    context: {{cluster: it, namespace: shipping}}
  - name: bare
    context: {{cluster: it}}
"""


def test_the_namespace_of_the_current_context_is_the_default(tmp_path: Path) -> None:
    it, bare, broken = (tmp_path / name for name in ("it", "bare", "broken"))
    it.write_text(CONFIG.format(current="it"))
    bare.write_text(CONFIG.format(current="bare"))
    broken.write_text("{")
    assert context_namespace({"KUBECONFIG": str(it)}) == "shipping"
    assert context_namespace({"KUBECONFIG": str(bare)}) == ""
    assert context_namespace({"KUBECONFIG": f"{broken}{os.pathsep}{it}{os.pathsep}{bare}"}) == "shipping"
    assert context_namespace({"HOME": str(tmp_path)}) == "", "there is no file"


def test_a_command_takes_the_namespace_of_the_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config"
    file.write_text(CONFIG.format(current="it"))
    monkeypatch.setenv("KUBECONFIG", str(file))
    for command in (["promote"], ["get", "rollout"]):
        run([*command, "--help"])
        assert "default: shipping" in " ".join(capsys.readouterr().out.split())
    run(["start", "--help"])
    assert "shipping" not in capsys.readouterr().out, "manifests name their own"
