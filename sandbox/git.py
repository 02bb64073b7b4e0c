"""The Git of the embedded world: a bare repository, and a clone in which somebody works."""

from __future__ import annotations

import subprocess
from pathlib import Path

TIMEOUT_SECONDS = 30
PUSHES = 5  # until somebody else is no longer faster


class GitRepository:
    """What Argo CD would apply. Everything raises subprocess.CalledProcessError with what git complains of."""

    def __init__(self, folder: Path, name: str = "config.git") -> None:
        """Make both below `folder`, which exists."""
        self.bare = folder / name
        self.url = f"file://{self.bare}"
        self._work = folder / "work"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        git(self.bare, "config", "uploadpack.allowFilter", "true")
        git(folder, "clone", "--quiet", self.url, str(self._work))
        git(self._work, "checkout", "--quiet", "-b", "main")

    def commit(self, message: str, **files: str) -> str:
        """Push a change; `__` in a file's name stands for `/`, `_` for `.`. Returns the commit."""
        for name, text in files.items():
            self._write(name.replace("__", "/").replace("_", "."), text)
        return self._publish(message)

    def commit_file(self, message: str, path: str, text: str) -> str:
        """Push a change of one file, on top of what others pushed meanwhile. Returns the commit that has it."""
        for left in reversed(range(PUSHES)):
            if self.has_commits:
                git(self._work, "fetch", "--quiet", "origin", "main")
                git(self._work, "reset", "--quiet", "--hard", "origin/main")
            self._write(path, text)
            if not git(self._work, "status", "--porcelain"):
                break
            try:
                return self._publish(message)
            except subprocess.CalledProcessError:  # somebody was faster
                if not left:
                    raise
        return self.head()

    def link(self, path: str, target: Path) -> str:
        """Push a symbolic link."""
        file = self._work / path
        file.parent.mkdir(parents=True)
        file.symlink_to(target)
        return self._publish("link")

    @property
    def has_commits(self) -> bool:
        """Whether anything was pushed."""
        return bool(git(self.bare, "for-each-ref", "refs/heads"))

    def head(self, branch: str = "main") -> str:
        """The newest commit."""
        return git(self.bare, "rev-parse", branch).decode().strip()

    def file(self, path: str, branch: str = "main") -> str:
        """A file's content as of now."""
        return git(self.bare, "cat-file", "blob", f"{branch}:{path}").decode()

    def count(self, branch: str = "main") -> int:
        """How many commits there are."""
        return int(git(self.bare, "rev-list", "--count", branch))

    def message(self, commit: str) -> str:
        """The whole message of a commit."""
        return git(self.bare, "log", "-n1", "--format=%B", commit).decode()

    def changed(self, commit: str) -> list[str]:
        """The files that a commit touched."""
        return git(self.bare, "diff-tree", "-r", "--name-only", f"{commit}~", commit).decode().split()

    def with_trailer(self, name: str, value: str) -> list[str]:
        """The commits of `main` whose messages end with that trailer, the newest first."""
        return git(self.bare, "log", "--format=%H", f"--grep=^{name}: {value}$", "main").decode().split()

    def everything(self) -> bytes:
        """Every commit with its message and its changes, for a scan."""
        return git(self.bare, "log", "--all", "--patch")

    def hook(self, name: str, script: str) -> None:
        """Let a shell script run on the side of the bare repository."""
        file = self.bare / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def _write(self, path: str, text: str) -> None:
        file = self._work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())

    def _publish(self, message: str) -> str:
        git(self._work, "add", "--all")
        git(self._work, "commit", "--quiet", "-m", message)
        git(self._work, "push", "--quiet", "origin", "main")
        return self.head()


def git(folder: Path, *arguments: str) -> bytes:
    """What a git command prints. Raises subprocess.CalledProcessError."""
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example", "-c", "commit.gpgSign=false"]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=folder, check=True, timeout=TIMEOUT_SECONDS, capture_output=True).stdout
