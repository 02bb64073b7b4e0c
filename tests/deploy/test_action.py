"""The action for GitHub, its reusable workflow, and the examples for GitLab and Jenkins."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import DEPLOY
from tests.unit.cli.releases import aborting
from tidegate.cli.app import run as tidegate
from tidegate.client import Released, ReleaseOutcome
from tidegate.client.released import released

BIN = Path(sysconfig.get_path("scripts"))
ACTION = DEPLOY / "github" / "action"
DEFINITION: dict[str, Any] = yaml.safe_load((ACTION / "action.yml").read_text())
REUSABLE: dict[str, Any] = yaml.safe_load((DEPLOY / "github" / "reusable.yml").read_text())


@pytest.fixture(scope="module")
def step() -> Any:
    """The module of the action's step."""
    spec = importlib.util.spec_from_file_location("action_release", ACTION / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    files = {"GITHUB_OUTPUT": str(tmp_path / "output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    given = {"FILES": str(DEPLOY.parent / "examples" / "checkout" / "corrected"), "IMAGES": "", "REASON": ""}
    return {**files, **given, "NAMESPACE": "", "CLUSTER": "default", "TIMEOUT": "3h"}


def outputs(environment: dict[str, str]) -> dict[str, str]:
    lines = Path(environment["GITHUB_OUTPUT"]).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def aborted() -> Released:
    return released(
        ReleaseOutcome.ROLLED_BACK, aborting().status, temporal_ui="https://temporal.internal/namespaces/rollouts"
    )


def test_the_summary_has_outcome_links_and_a_row_for_each_reading(step: Any) -> None:
    found = aborted()
    text = "\n".join(step.lines(found))
    assert text.startswith(f"### {next(iter(found.images.values()))}: rolled back\n")
    assert f"[incident]({found.links.incident})" in text
    assert f"[run]({found.links.run})" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(found.readings)
    assert any("█" in row for row in rows)


def test_a_text_from_outside_ends_no_row_and_sets_no_output(step: Any, environment: dict[str, str]) -> None:
    step.say(environment, {"reason": "bad\noutcome=promoted"}, [step.cell("a | b\n<script>")])
    assert outputs(environment) == {"reason": "bad outcome=promoted"}
    assert Path(environment["GITHUB_STEP_SUMMARY"]).read_text() == "a \\| b &lt;script>\n"


@pytest.mark.parametrize(
    ("values", "bars"), [([], ""), (["0", "0"], "▁▁"), (["1", "x", "2"], "▅█"), (["-1", "4"], "▁█")]
)
def test_a_chart_has_a_bar_for_each_number(step: Any, values: list[str], bars: str) -> None:
    found = aborted()
    assert found.status is not None
    run = found.status.analyses[0]
    metric = run.status.metrics[0]
    measured = metric.measurements[0]
    changed = metric.model_copy(
        update={"measurements": tuple(measured.model_copy(update={"value": value}) for value in values)}
    )
    status = found.status.model_copy(
        update={"analyses": (run.model_copy(update={"status": run.status.model_copy(update={"metrics": (changed,)})}),)}
    )
    assert step.chart(found.model_copy(update={"status": status}), run.name, metric.name) == bars


def test_what_cannot_be_done_is_an_error_with_the_command_s_exit_code(
    step: Any, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert step.main(environment | {"FILES": "/nope"}) == 5
    assert outputs(environment)["outcome"] == "error"
    assert capsys.readouterr().err.startswith("::error::")


def test_each_output_is_one_that_the_step_sets(step: Any, environment: dict[str, str]) -> None:
    named = {name: each["value"] for name, each in DEFINITION["outputs"].items()}
    assert named == {name: f"${{{{ steps.release.outputs.{name} }}}}" for name in named}
    text = (ACTION / "release.py").read_text()
    assert set(named) == set(re.findall(r'"(outcome|reason|revision|weight|incident|run)":', text))


def test_the_inputs_reach_the_step_by_its_environment_alone(environment: dict[str, str]) -> None:
    *_, step_ = DEFINITION["runs"]["steps"]
    assert environment.keys() - {"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} <= step_["env"].keys()
    for each in DEFINITION["runs"]["steps"]:
        assert "${{" not in each.get("run", "")


def test_the_reusable_workflow_gives_inputs_that_the_action_has() -> None:
    job = REUSABLE["jobs"]["release"]
    *_, last = job["steps"]
    given, known = last["with"], DEFINITION["inputs"]
    assert given.keys() <= known.keys()
    assert {name for name, each in known.items() if each.get("required")} <= given.keys()
    assert set(job["outputs"]) <= DEFINITION["outputs"].keys()


@pytest.mark.parametrize("file", [ACTION / "action.yml", DEPLOY / "github" / "reusable.yml"], ids=lambda f: f.name)
def test_zizmor_finds_nothing_and_steps_are_pinned(file: Path) -> None:
    done = subprocess.run(
        [str(BIN / "zizmor"), "--offline", "--no-progress", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for used in re.findall(r"uses: (\S+)", file.read_text().partition("permissions: {}")[2] or file.read_text()):
        assert used.startswith("./") or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", used)


def commands() -> Iterator[tuple[str, str]]:
    gitlab = yaml.safe_load((DEPLOY / "gitlab" / "release.yml").read_text())["release"]["script"]
    jenkins = (DEPLOY / "jenkins" / "Jenkinsfile").read_text().partition("sh '''")[2].partition("'''")[0]
    yield "gitlab", "\n".join(gitlab)
    yield "jenkins", jenkins


@pytest.mark.parametrize(("name", "script"), list(commands()), ids=[name for name, _ in commands()])
def test_a_script_is_sound_shell_with_options_that_there_are(
    name: str, script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"{name}.sh"
    file.write_text(f"#!/bin/sh\nset -e\n{script}\n")
    done = subprocess.run([str(BIN / "shellcheck"), "-s", "sh", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    (command,) = re.findall(r"tidegate start(?:[^\n\\]|\\\n)*", script)
    options = [each for each in shlex.split(command.replace("\\\n", " ")) if each.startswith("--")]
    assert tidegate(["start", "--help"]) == 0
    text = capsys.readouterr().out
    assert [each for each in options if each not in text] == []
    assert "--require-hashes" in script
