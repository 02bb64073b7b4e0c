"""The `git` program with nothing around it that could change what it does: no shell, hooks, prompts or configuration.

Commands work on a bare clone. No file of a repository is ever checked out, so that none of its links, filters and
attributes has an effect.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from activities.transport.masking import MASK, mask
from activities.transport.oauth2 import basic, credential

MAX_OUTPUT = 4 * 1024 * 1024  # bytes that one command may say
MAX_COMPLAINT = 500  # characters of it that an error quotes

_CONFIGURATION = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    "http.followRedirects=false",  # a redirect would carry the password to another host
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "push.gpgSign=false",
)
_INHERITED = ("PATH", "SSH_AUTH_SOCK", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
# The words are in the environment, so that they stand neither on a disk nor in a list of processes.
_ASKPASS = """#!/bin/sh
case "$1" in
Username*) printf '%s\\n' "$TIDEGATE_GIT_USERNAME" ;;
*) printf '%s\\n' "$TIDEGATE_GIT_PASSWORD" ;;
esac
"""
_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+@")


class GitError(Exception):
    """A command ended with an error, `code` being its exit code; the text holds no secret."""

    def __init__(self, command: str, code: int, complaint: str, output: str = "") -> None:
        super().__init__(f"git {command}: {complaint or f'exit code {code}'}")
        self.code = code
        self.complaint = complaint
        self.output = output


class TooMuchOutputError(GitError):
    """The output of a command is larger than MAX_OUTPUT bytes."""


class GitTimeoutError(Exception):
    """A command took longer than it may."""


@dataclass(frozen=True)
class Login:
    """Credentials for a server; empty for one without."""

    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Author:
    """Author of the commits."""

    name: str
    email: str


class Git:
    """Commands on one bare repository in a folder of its own."""

    def __init__(self, folder: Path, author: Author, login: Login, ca_file: Path | None, timeout: float) -> None:
        """`folder` also holds what git writes beside the repository; `timeout` limits a command, in seconds."""
        self._timeout = timeout
        self._login = login
        self.repository = folder / "repository"
        self.repository.mkdir()
        self._environment = _environment(folder, author, login, ca_file)

    async def text(self, command: str, *arguments: str, input: bytes = b"") -> str:  # noqa: A002  # as in subprocess
        """Output of a command, without the last line end. Raises as `run`."""
        return (await self.run(command, *arguments, input=input)).decode(errors="replace").rstrip("\n")

    async def run(self, command: str, *arguments: str, input: bytes = b"") -> bytes:  # noqa: A002  # as in subprocess
        """Run one command and return what it says. Raises GitError and GitTimeoutError."""
        configuration = (part for setting in _CONFIGURATION for part in ("-c", setting))
        process = await self._start(*configuration, command, *arguments)
        try:
            async with asyncio.timeout(self._timeout):
                output_bytes, complaint = await _converse(process, input)
        except TimeoutError:
            raise GitTimeoutError(f"git {command}: no end after {self._timeout:g} s") from None
        finally:
            await _end(process)
        if output_bytes is None:
            raise TooMuchOutputError(command, 0, f"more than {MAX_OUTPUT} bytes of output")
        if process.returncode:
            output = self._masked(output_bytes.decode(errors="replace"))
            raise GitError(command, process.returncode, self._masked(complaint.decode(errors="replace")), output)
        return output_bytes

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                "git",
                *arguments,
                cwd=self.repository,
                env=self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # its helpers end with it
            )
        except FileNotFoundError:
            raise GitError("", 127, "this worker has no git program") from None

    def _masked(self, text: str) -> str:
        if self._login.password:
            text = mask(text, (self._login.password, credential(basic(self._login.username, self._login.password))))
        text = _IN_ADDRESS.sub(f"{MASK}@", text).strip()
        return text if len(text) <= MAX_COMPLAINT else f"...{text[-MAX_COMPLAINT:]}"  # the cause comes last


@asynccontextmanager
async def open_git(author: Author, login: Login, *, ca_file: Path | None, timeout: float) -> AsyncIterator[Git]:
    """A place for one clone, which is gone in the end."""
    with tempfile.TemporaryDirectory(prefix="tidegate-git-", ignore_cleanup_errors=True) as folder:
        yield Git(Path(folder), author, login, ca_file, timeout)


def _environment(folder: Path, author: Author, login: Login, ca_file: Path | None) -> dict[str, str]:
    askpass = folder / "askpass"
    askpass.write_text(_ASKPASS)
    askpass.chmod(0o700)
    own = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {
        **own,
        "HOME": str(folder),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": str(askpass),
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_INDEX_FILE": str(folder / "index"),
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_COMMITTER_NAME": author.name,
        "GIT_COMMITTER_EMAIL": author.email,
        "TIDEGATE_GIT_USERNAME": login.username,
        "TIDEGATE_GIT_PASSWORD": login.password,
        **({"GIT_SSL_CAINFO": str(ca_file)} if ca_file else {}),
    }


async def _converse(process: asyncio.subprocess.Process, content: bytes) -> tuple[bytes | None, bytes]:
    """Output and complaints; None for an output that is too long."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("a process without pipes")
    complaints = asyncio.create_task(_tail(process.stderr))
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(content)
            await process.stdin.drain()
        process.stdin.close()
        output_bytes = await _all(process.stdout)
        if output_bytes is None:
            return None, b""
        complaint = await complaints
        await process.wait()
        return output_bytes, complaint
    finally:
        complaints.cancel()


async def _all(stream: asyncio.StreamReader) -> bytes | None:
    output_bytes = bytearray()
    while part := await stream.read(65536):
        output_bytes += part
        if len(output_bytes) > MAX_OUTPUT:
            return None
    return bytes(output_bytes)


async def _tail(stream: asyncio.StreamReader) -> bytes:
    output_bytes = b""
    while part := await stream.read(65536):
        output_bytes = (output_bytes + part)[-8 * MAX_COMPLAINT :]
    return output_bytes


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
