"""deploy/ansible/: linted, understood by Ansible, and what it writes is written once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from tests.deploy.manifests import DEPLOY

BIN = Path(sysconfig.get_path("scripts"))
ANSIBLE = DEPLOY / "ansible"
ROLE = ANSIBLE / "roles" / "node_base"


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "LC_ALL": "C.UTF-8",
    }
    argv = [str(BIN / command[0]), *command[1:]]
    return subprocess.run(argv, capture_output=True, text=True, cwd=ANSIBLE, env=env, timeout=150)


def test_ansible_lint_finds_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "ansible-lint", "--offline", "--nocolor", "--profile", "production", "node_base.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_ansible_understands_it(tmp_path: Path) -> None:
    done = run(tmp_path, "ansible-playbook", "--syntax-check", "node_base.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_it_writes_is_written_once(tmp_path: Path) -> None:
    playbook = tmp_path / "local.yml"
    variables = {
        "node_base_root": str(tmp_path / "root"),
        "node_base_packages": False,
        "ansible_python_interpreter": sys.executable,
    }
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": [str(ROLE)], "vars": variables}
    playbook.write_text(yaml.safe_dump([play]))
    changed = []
    for _ in range(2):
        done = run(tmp_path, "ansible-playbook", "-i", "localhost,", str(playbook))
        assert done.returncode == 0, done.stdout + done.stderr
        changed.append(int(re.findall(r"changed=(\d+)", done.stdout)[0]))
    assert changed[0] >= 4
    assert changed[1] == 0
    etc = tmp_path / "root" / "etc"
    assert "server ntp1.internal iburst" in (etc / "chrony" / "conf.d" / "bank.conf").read_text()
    assert "net.ipv4.ip_forward = 1\n" in (etc / "sysctl.d" / "60-node-base.conf").read_text()
    assert "-k modules" in (etc / "audit" / "rules.d" / "60-node-base.rules").read_text()


def test_the_sensors_secret_is_read_when_needed_and_never_shown() -> None:
    tasks = yaml.safe_load((ROLE / "tasks" / "sensors.yml").read_text())
    (told,) = [task for task in tasks[0]["block"] if "hashi_vault" in str(task)]
    assert told["no_log"] is True


@pytest.mark.parametrize("name", sorted(yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())))
def test_every_variable_is_specified(name: str) -> None:
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())
    assert specs["argument_specs"]["main"]["options"][name]["description"]
