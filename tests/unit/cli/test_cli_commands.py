"""Commands that need no server: reading and refusing what they are given."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from tidegate.cli.app import run

SEED = Path(__file__).parents[3] / "examples" / "checkout"
MANIFESTS = [
    argument
    for name in ("rollout.yaml", "analysis-template.yaml", "services-and-virtualservice.yaml")
    for argument in ("-f", str(SEED / name))
]

Tidegate = Callable[..., int]


@pytest.fixture
def tidegate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tidegate]:
    """Runs a command where no Temporal answers."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    yield lambda *arguments: run(arguments)
    structlog.reset_defaults()


@pytest.fixture
def overweight(tmp_path: Path) -> Path:
    file = tmp_path / "rollout.yaml"
    file.write_text((SEED / "rollout.yaml").read_text().replace("setWeight: 25", "setWeight: 120"))
    return file


def test_lint_explains_the_seed_and_lets_it_pass(tidegate: Tidegate, capsys: pytest.CaptureFixture[str]) -> None:
    assert tidegate("lint", *MANIFESTS) == 0
    *findings, tally = capsys.readouterr().out.splitlines()
    assert tally.startswith("0 errors, ")
    assert any("analysis-template.yaml:" in finding and ": warning: " in finding for finding in findings)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Puts something into the standard input."""

    def pipe(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return pipe


@pytest.mark.parametrize("command", ["lint", "start"])
def test_manifests_come_from_the_standard_input(
    tidegate: Tidegate,
    overweight: Path,
    piped: Callable[[bytes], None],
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    piped(overweight.read_bytes())
    assert tidegate(command, "-f", "-") == 5
    [finding] = [line for line in "".join(capsys.readouterr()).splitlines() if ": error: " in line]
    assert finding.startswith("<stdin>:")
    assert "120" in finding


def test_templates_come_from_the_standard_input(
    tidegate: Tidegate, piped: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    piped(b"apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: {name: t}\nspec: {metrics: []}\n")
    assert tidegate("analysis", "run", "-f", "-") == 5
    assert "<stdin>:4: error: spec.metrics: no metrics specified" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "code"), [(b"", "empty"), (b"# nothing\n", "empty"), (b"a: \xff", "unreadable")])
def test_a_pipe_that_gave_nothing_is_no_manifest_without_a_fault(
    tidegate: Tidegate,
    piped: Callable[[bytes], None],
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    code: str,
) -> None:
    piped(content)
    assert tidegate("lint", "-f", "-") == 5
    [finding, _] = capsys.readouterr().out.splitlines()
    assert finding.startswith("<stdin>:1: error: ")
    assert finding.endswith(f"[{code}]")


def test_lint_names_file_field_and_value(
    tidegate: Tidegate, overweight: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tidegate("lint", "-f", str(overweight)) == 5
    out = capsys.readouterr().out
    [finding] = [line for line in out.splitlines() if ": error: " in line]
    assert finding.startswith(f"{overweight}:")
    assert "setWeight" in finding
    assert "120" in finding
    assert out.splitlines()[-1].startswith("1 error, ")


def test_lint_as_json_has_one_item_for_each_finding(
    tidegate: Tidegate, overweight: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tidegate("lint", "-f", str(overweight), "-o", "json") == 5
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["kind"]) == (1, "List")
    assert "error" in {item["severity"] for item in document["items"]}


def test_start_refuses_before_it_speaks_to_temporal(
    tidegate: Tidegate, overweight: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tidegate("start", "-f", str(overweight)) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert "120" in err
    assert err.splitlines()[-1] == "error: refused: 1 error in the manifests; nothing was done"


def test_a_file_that_is_not_there_is_named(tidegate: Tidegate, capsys: pytest.CaptureFixture[str]) -> None:
    assert tidegate("start", "-f", "/nowhere/rollout.yaml") == 5
    assert "/nowhere/rollout.yaml" in capsys.readouterr().err


def test_an_image_of_a_container_that_is_not_there_is_refused(
    tidegate: Tidegate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tidegate("start", *MANIFESTS, "--image", "chekout=registry.internal/checkout:2") == 5
    assert "chekout" in capsys.readouterr().err


def test_two_namespaces_are_one_too_many(tidegate: Tidegate, capsys: pytest.CaptureFixture[str]) -> None:
    assert tidegate("start", *MANIFESTS, "-n", "shipping") == 5
    assert "metadata.namespace is 'payments' and --namespace 'shipping'" in capsys.readouterr().err


def test_sound_manifests_go_on_to_temporal(tidegate: Tidegate, capsys: pytest.CaptureFixture[str]) -> None:
    assert tidegate("start", *MANIFESTS, "--image", "checkout=registry.internal/payments/checkout:1.1.0") == 8
    err = capsys.readouterr().err
    assert ": warning: " in err
    assert "error: Temporal at 127.0.0.1:1 does not answer" in err
    assert "Traceback" not in err


TEMPLATE = str(SEED / "analysis-template.yaml")


def test_a_run_without_a_release_refuses_before_it_speaks_to_temporal(
    tidegate: Tidegate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tidegate("analysis", "run", "-f", TEMPLATE, "--arg", "service-name=checkout") == 5
    assert "arguments without a value: canary-hash" in capsys.readouterr().err
    broken = tmp_path / "template.yaml"
    broken.write_text(Path(TEMPLATE).read_text().replace("interval: 60s", "interval: 60x"))
    assert tidegate("analysis", "run", "-f", str(broken)) == 5
    assert f"{broken}:" in capsys.readouterr().err


def test_a_run_takes_the_namespace_of_its_templates(tidegate: Tidegate, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["analysis", "run", "-f", TEMPLATE, "--arg", "service-name=a", "--arg", "canary-hash=b"]
    assert tidegate(*arguments, "-n", "shipping") == 5
    assert "metadata.namespace is 'payments' and --namespace 'shipping'" in capsys.readouterr().err
    assert tidegate(*arguments) == 8
    assert "error: Temporal at 127.0.0.1:1 does not answer" in capsys.readouterr().err


def test_templates_of_two_namespaces_are_no_one_run(
    tidegate: Tidegate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(Path(TEMPLATE).read_text().replace("namespace: payments", "namespace: shipping"))
    assert tidegate("analysis", "run", "-f", TEMPLATE, "-f", str(other)) == 5
    assert (
        "metadata.namespace is 'shipping', that of AnalysisTemplate/checkout-canary-datadog" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["frobnicate"], "frobnicate"),
        (["start"], "--filename"),
        (["start", "-f", "x", "--image", "checkout"], "CONTAINER=IMAGE"),
        (["status", "checkout", "--timeout", "5x"], '"5x"'),
        (["get", "rollout"], "give names, or --selector LABELS"),
        (["abort", "checkout", "-l", "app=a"], "give names, or --selector LABELS"),
        (["abort", "-l", "app in a"], "'app in a' is not like"),
        (["get", "rollout", "a", "b", "--watch"], "it follows one Rollout"),
        (["retry", "a", "b", "--wait"], "it follows one release"),
        (["promote", "a", "--full", "-a"], "give one of them"),
        (["promote", "a", "b", "--revision", "2"], "a revision is that of one Rollout"),
        (["list", "analysisruns", "-l", "app=a"], "has no labels"),
        (["list", "pods"], "known: rollouts, analysisruns"),
        (["get", "rollout", "checkout", "-o", "xml"], "xml"),
        (["start", "-f", "x", "--image", "checkout="], "no image for container"),
        (["analysis", "run"], "--filename"),
        (["analysis", "run", "-f", "x", "--arg", "service"], "NAME=VALUE"),
        (["analysis", "run", "-f", "x", "--arg", "a=1", "--arg", "a=2"], "'a' is given twice"),
        (["list", "--limit", "0"], "--limit"),
    ],
)
def test_a_command_that_is_no_command_is_a_usage_error(
    tidegate: Tidegate, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert tidegate(*arguments) == 64
    err = capsys.readouterr().err
    assert complaint in err
    assert err.startswith("error: ")
    assert err.endswith("remedy: see `tidegate --help`\n")


@pytest.mark.parametrize("arguments", [["--help"], ["get", "--help"], ["start", "-h"], ["analysis", "run", "-h"]])
def test_help_is_no_error(tidegate: Tidegate, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert tidegate(*arguments) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["get"], ["analysis"]])
def test_half_a_command_shows_what_there_is(
    tidegate: Tidegate, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert tidegate(*arguments) == 64
    out, err = capsys.readouterr()
    assert "Usage: tidegate" in out
    assert err == ""


def test_version_names_what_it_stands_on(tidegate: Tidegate, capsys: pytest.CaptureFixture[str]) -> None:
    assert tidegate("version", "-o", "json") == 0
    assert set(json.loads(capsys.readouterr().out)) == {"schema_version", "kind", "tidegate", "temporalio"}
