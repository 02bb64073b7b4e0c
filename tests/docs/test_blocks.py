"""Each block of the pages can be used as it is written: shell, commands of others, manifests, Python and JSON."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from activities.notifications.templates import read_templates
from tests.deploy.manifests import problems
from tests.docs.pages import ROOT, blocks, commands
from tidegate.manifests.documents import from_objects, load
from tidegate.manifests.findings import Severity
from tidegate.manifests.lint import lint

BIN = Path(sysconfig.get_path("scripts"))
PAGES = sorted({*ROOT.glob("*.md"), ROOT / "deploy" / "README.md", *(ROOT / "docs").rglob("*.md")})
SOUND = ROOT / "examples" / "checkout" / "corrected"
PROGRAMS = {
    *("cosign", "docker", "export", "gh", "helm", "kind", "kubectl", "make", "pip", "python", "sh", "sha256sum"),
    *("temporal", "tidegate", "tidegate-sandbox", "vault"),
}
_FLAG = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
Document = dict[str, Any]


def blocks_of(language: str) -> list[Any]:
    """Blocks of a language, each named by its page and number."""
    return [
        pytest.param(text, tmp_id, id=tmp_id)
        for page in PAGES
        for number, (found, text) in enumerate(blocks(page.read_text()))
        if found == language and (tmp_id := f"{page.relative_to(ROOT)}-{number}")
    ]


@cache
def known_flags(program: str, *words: str) -> set[str]:
    """Flags that a program has for these words, by its help, with those that all of its commands have."""
    file = BIN / program if (BIN / program).exists() else shutil.which(program)
    if file is None:
        pytest.skip(f"{program} is not on the path")
    more = [["options"]] if program in ("kubectl", "temporal") else []
    asked = [[str(file), *words, "--help"], *([str(file), *each] for each in more)]
    said = [subprocess.run(command, capture_output=True, text=True, timeout=60).stdout for command in asked]
    assert said[0], f"{program} {' '.join(words)} has no help"
    return set(_FLAG.findall("\n".join(said)))


def words_of(command: list[str]) -> list[str]:
    """The words that choose what a program does: the first ones that are no flag and no name."""
    bare = [word for before, word in pairwise(command) if word[0] != "-" and before[0] != "-"]
    longer = command[0] == "temporal" or bare[0] in ("auth", "show")
    longest = bare[:2] in (["workflow", "update"], ["operator", "search-attribute"])
    return bare[: 1 + longer + longest]


OF_OTHERS = sorted(
    {
        tuple(command)
        for page in PAGES
        for language, text in blocks(page.read_text())
        if language == "sh"
        for command in commands(text)
        if command[0] in ("kubectl", "helm", "temporal") and command[:2] != ["kubectl", "argo"]  # a plugin
    }
)


@pytest.mark.parametrize(("text", "name"), blocks_of("sh"))
def test_a_block_of_shell_is_shell_with_known_programs(text: str, name: str) -> None:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, ""), name
    assert {command[0] for command in commands(text)} - PROGRAMS == set()


@pytest.mark.parametrize("program", ["kubectl", "helm", "temporal"])
def test_commands_of_others_have_the_flags_that_are_given(program: str) -> None:
    mine = [list(command) for command in OF_OTHERS if command[0] == program]
    assert mine
    for command in mine:
        given = {word.partition("=")[0] for word in command[1:] if _FLAG.match(word)}
        assert given - known_flags(program, *words_of(command)) == set(), command


@cache
def _sound() -> Mapping[str, Document]:
    manifests = load([SOUND])
    groups = (manifests.rollouts, manifests.templates, manifests.services, manifests.virtual_services)
    return {each.label: dict(each.raw) for group in groups for each in group}


def _rollout(objects: Mapping[str, Document]) -> Any:
    return next(each for label, each in objects.items() if label.startswith("Rollout/"))


def _merged(into: Document, other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merged(into[key], value)
        else:
            into[key] = value


def _linted(change: Callable[[Any], object]) -> None:
    objects = deepcopy(dict(_sound()))
    change(_rollout(objects))
    assert [found for found in lint(from_objects(objects.values())) if found.severity is Severity.ERROR] == []


def _routing(block: Document) -> None:
    _linted(lambda rollout: rollout["spec"]["strategy"]["canary"].update(block))


def _metadata(block: Document) -> None:
    _linted(lambda rollout: _merged(rollout, block))


def _container(block: Document) -> None:
    _linted(lambda rollout: rollout["spec"]["template"]["spec"]["containers"][0].update(block))
    for variable in block["env"]:
        assert json.loads(variable["value"]), "of Datadog's agent: labels and their tags as JSON"


def _metrics(block: Document) -> None:
    args = [{"name": name} for name in sorted(set(re.findall(r"args\.([\w-]+)", json.dumps(block))))]
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "of-a-page"},
        "spec": {"args": args, **block},
    }
    assert [found for found in lint(from_objects([template])) if found.severity is Severity.ERROR] == []


def _templates(block: Document, folder: Path) -> None:
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump({"kind": "ConfigMap", **block}))
    assert read_templates(file)


def _job_of_github(block: Document) -> None:
    inputs = yaml.safe_load((ROOT / "deploy" / "github" / "action" / "action.yml").read_text())["inputs"]
    [step] = block["steps"]
    assert (ROOT / step["uses"].partition("/tidegate/")[2].partition("@")[0] / "action.yml").exists()
    assert step["with"].keys() <= inputs.keys()
    assert {name for name, each in inputs.items() if each.get("required")} <= step["with"].keys()


def _kustomization(block: Document) -> None:
    overlay = next((ROOT / "deploy" / "kustomize" / "overlays").iterdir())
    assert [each for each in block.get("components", ()) if not (overlay / each / "kustomization.yaml").exists()] == []
    assert block.keys() <= {"components", "labels"}
    assert all(label.keys() <= {"pairs", "includeSelectors"} for label in block.get("labels", ()))


def _mesh(block: Document) -> None:
    [provider] = block["extensionProviders"]
    assert provider["envoyExtAuthzHttp"].keys() >= {"service", "port", "includeRequestHeadersInCheck"}


# By the first key of a block that is no whole object.
PARTS: Mapping[str, Callable[[Document], None]] = {
    "components": _kustomization,
    "env": _container,
    "extensionProviders": _mesh,
    "labels": _kustomization,
    "metadata": _metadata,
    "metrics": _metrics,
    "permissions": _job_of_github,
    "trafficRouting": _routing,
}


@pytest.mark.parametrize(("text", "name"), blocks_of("yaml"))
def test_a_block_of_yaml_is_what_it_is_for(text: str, name: str, tmp_path: Path) -> None:
    for block in filter(None, yaml.safe_load_all(text)):
        first = next(iter(block))
        if "kind" in block:
            assert list(problems(block)) == []
        elif first == "data":
            _templates(block, tmp_path)
        else:
            assert first in PARTS, f"{name}: add a check of a block that begins with {first}"
            PARTS[first](block)


@pytest.mark.parametrize(("text", "name"), blocks_of("python"))
def test_a_block_of_python_compiles(text: str, name: str) -> None:
    assert compile(text, name, "exec").co_names


def test_every_block_is_of_a_language_that_is_checked() -> None:
    languages = {language for page in PAGES for language, _ in blocks(page.read_text())}
    assert languages <= {"", "sh", "yaml", "python"}


def test_commands_are_found() -> None:
    text = "A=1 helm template x \\\n  --set a=b | kubectl apply -f - # all\n"
    assert list(commands(text)) == [["helm", "template", "x", "--set", "a=b"], ["kubectl", "apply", "-f", "-"]]
    assert words_of(["kubectl", "-n", "tidegate", "get", "pods"]) == ["get"]


@pytest.mark.parametrize(
    ("check", "block"),
    [
        (_routing, {"trafficRouting": {"smi": {}}}),
        (_job_of_github, {"steps": [{"uses": "a/tidegate/b@c", "with": {}}]}),
    ],
)
def test_a_wrong_block_is_found(check: Callable[[Document], None], block: Document) -> None:
    with pytest.raises(AssertionError):
        check(block)
