"""One revert in one clone: find the commit with the bad image, put the good one back, push it, never by force.

Every decision is made on the state of the remote at the clone. A push that comes too late is not repeated: the caller
starts again with another clone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from temporalio.exceptions import ApplicationError

from activities.git.command import Git, GitError, TooMuchOutputError
from activities.git.images import KUSTOMIZATIONS, Found, NotEditableError, edited, find_images, is_manifest
from activities.transport.errors import rejected
from tidegate.contract import ErrorType, RevertMode, RevertRequest, RevertResult
from tidegate.manifests.plain_text import harmless, one_line

SYSTEM = "Git"
DEPTH = 50  # commits that are looked at
MAX_FILES = 64  # manifests in one folder
RELEASE_TRAILER = "Tidegate-Release"
RUN_TRAILER = "Tidegate-Run"

_FILE_MODES = ("100644", "100755")
_MAX_REASON = 500
_LOST_RACE = ("[rejected]", "cannot lock ref", "failed to update ref", "incorrect old value")


class MovedOnError(Exception):
    """The remote branch changed between clone and push."""


@dataclass(frozen=True)
class _File:
    mode: str
    text: str
    found: Found

    @property
    def restored(self) -> str:
        return edited(self.text, self.found.edits)


@dataclass(frozen=True)
class _Bump:
    """The commit that brought the bad image and did nothing else."""

    commit: str
    subject: str


class Revert:
    """The revert that `request` asks for."""

    def __init__(self, git: Git, request: RevertRequest, mode: RevertMode) -> None:
        self._git = git
        self._request = request
        self._mode = mode

    async def carry_out(self) -> RevertResult:
        """Clone, read, and push one commit at most.

        Raises MovedOnError, GitError, GitTimeoutError, and ApplicationError `NotFound` or `Rejected`.
        """
        head = await self._clone()
        branch = self._request.branch
        if commit := await self._pushed_before(head):
            return self._result(commit, branch, created=False)
        if self._mode is RevertMode.BRANCH:
            branch, commit = await self._own_branch()
            if commit:
                return self._result(commit, branch, created=False)
        files = await self._files(head)
        wrong = {path: file for path, file in files.items() if file.found.edits}
        if not wrong:
            images = ", ".join(dict.fromkeys(image for file in files.values() for image in file.found.images))
            message = f"{self._where}: nothing to put back, the image was changed already: {images}"
            return RevertResult(message=message)
        commit = await self._commit(head, wrong, self._message(await self._bump(head, wrong)))
        await self._push(commit, branch)
        return self._result(commit, branch, created=True)

    @property
    def _where(self) -> str:
        return f"{self._request.repository} {self._request.branch}"

    def _result(self, commit: str, branch: str, *, created: bool) -> RevertResult:
        good = ", ".join(dict.fromkeys(change.good for change in self._request.images))
        review = "" if branch == self._request.branch else f" on branch {branch}, for a pull request"
        before = "" if created else " (pushed before)"
        message = f"{self._where}: commit {commit[:12]} puts back {good}{review}{before}"
        return RevertResult(message=message, commit=commit, branch=branch, created=created)

    async def _clone(self) -> str:
        """The branch without the content of its files, which follows where it is read; returns its newest commit."""
        await self._git.run(
            "clone",
            "--quiet",
            "--bare",
            "--template=",
            "--no-tags",
            "--single-branch",
            f"--depth={DEPTH}",
            "--filter=blob:none",
            f"--branch={self._request.branch}",
            "--",
            self._request.repository,
            ".",
        )
        return await self._git.text("rev-parse", "--verify", f"refs/heads/{self._request.branch}")

    async def _pushed_before(self, head: str) -> str:
        """The commit that an earlier attempt made for the same cause; empty for none."""
        trailers = "%x00".join(
            f"%(trailers:key={key},valueonly,separator=%x2C)" for key in (RELEASE_TRAILER, RUN_TRAILER)
        )
        log = await self._git.text("log", f"-n{DEPTH}", f"--format=%H%x00{trailers}", head, "--")
        cause = [self._request.release, self._request.run]
        rows = (line.split("\0") for line in log.split("\n"))
        return next((commit for commit, *found in rows if found == cause), "")

    async def _own_branch(self) -> tuple[str, str]:
        """Name of the branch for a pull request, and what was pushed to it for this cause.

        Revisions are counted anew when a Rollout is made anew, so the name may be taken by another cause. The run tells
        them apart as a whole: ids that were made in one minute begin alike.
        """
        name = f"tidegate/revert-{self._request.rollout}-{self._request.revision}"
        for branch in (name, f"{name}-{self._request.run}"):
            if not await self._git.text("ls-remote", "--heads", "origin", f"refs/heads/{branch}"):
                return branch, ""
            local = "refs/tidegate/own"
            refspec = f"+refs/heads/{branch}:{local}"
            await self._git.run("fetch", "--quiet", "--no-tags", f"--depth={DEPTH}", "origin", refspec)
            if commit := await self._pushed_before(local):
                return branch, commit
        raise rejected(SYSTEM, f"{self._request.repository}: branch {branch} holds something else; delete it")

    # ----------------------------------------------------------------------------------------------------- what stands

    async def _files(self, head: str) -> dict[str, _File]:
        """The files that say what image runs: a kustomization that sets it, otherwise the manifests."""
        files = {}
        for path, (mode, blob) in (await self._manifests(head)).items():
            if (file := await self._file(path, mode, blob)) is not None:
                files[path] = file
        set_by = {path: file for path, file in files.items() if PurePosixPath(path).name in KUSTOMIZATIONS}
        if not files:
            what = f"no Rollout {self._request.rollout}, and no kustomization that sets its images"
            raise _not_found(f"{self._where}: {what} in {self._request.path}")
        return set_by or files

    async def _manifests(self, head: str) -> dict[str, tuple[str, str]]:
        """Mode and blob of the files at the path, those of its folders left out, as Argo CD does."""
        path = self._request.path.strip("/")
        if path in ("", "."):
            tree, folder = head, ""
        else:
            listed = await self._list(head, path)
            if path not in listed:
                raise _not_found(f"{self._where}: there is no {path}")
            mode, tree = listed[path]
            if mode in _FILE_MODES:
                return {path: (mode, tree)}
            folder = f"{path}/"
        listed = await self._list(tree)
        files = {name: row for name, row in listed.items() if row[0] in _FILE_MODES and is_manifest(name)}
        if len(files) > MAX_FILES:
            raise rejected(SYSTEM, f"{self._where}: {path}: more than {MAX_FILES} manifests; name the file in the path")
        return {f"{folder}{name}": row for name, row in files.items()}

    async def _list(self, tree: str, *paths: str) -> dict[str, tuple[str, str]]:
        rows = {}
        for row in (await self._git.text("ls-tree", "-z", tree, "--", *paths)).split("\0"):
            if row and "\ufffd" not in row:  # a name that is no UTF-8 cannot be written back
                about, _, name = row.partition("\t")
                mode, _, object_id = about.split(" ")
                rows[name] = (mode, object_id)
        return rows

    async def _file(self, path: str, mode: str, blob: str) -> _File | None:
        """A file, None where it says nothing of the images or cannot be read."""
        try:
            # Its line ends are its own, so nothing may be stripped.
            text = (await self._git.run("cat-file", "blob", blob)).decode()
        except (UnicodeDecodeError, TooMuchOutputError):
            return None
        try:
            found = await asyncio.to_thread(find_images, PurePosixPath(path).name, text, self._request)
        except NotEditableError as error:
            raise rejected(SYSTEM, f"{self._where}: {path}: {error}") from error
        return None if found is None else _File(mode, text, found)

    # -------------------------------------------------------------------------------------------------- what is undone

    async def _bump(self, head: str, wrong: Mapping[str, _File]) -> _Bump | None:
        """The newest commit that brought a bad image, if to revert it does what is asked for and no more."""
        log = await self._git.text("log", f"-n{DEPTH}", "--format=%H %P", head, "--", *wrong)
        for line in filter(None, log.split("\n")):
            commit, *parents = line.split()
            if len(parents) != 1:
                return None
            before = {path: await self._at(parents[0], path, file) for path, file in wrong.items()}
            if all(file is not None and file.found.edits for file in before.values()):
                continue  # it was bad before
            after = {path: await self._at(commit, path, file) for path, file in wrong.items()}
            return await self._bump_of(commit, parents[0], before, after)
        return None

    async def _bump_of(
        self, commit: str, parent: str, before: Mapping[str, _File | None], after: Mapping[str, _File | None]
    ) -> _Bump | None:
        changed = await self._git.text("diff-tree", "-r", "-z", "--name-only", "--no-renames", parent, commit)
        if set(filter(None, changed.split("\0"))) != set(before):
            return None
        for path, file in before.items():
            then = after[path]
            if file is None or then is None or then.restored != file.text:
                return None
        return _Bump(commit, await self._git.text("log", "-n1", "--format=%s", commit, "--"))

    async def _at(self, commit: str, path: str, now: _File) -> _File | None:
        listed = await self._list(commit, path)
        return await self._file(path, now.mode, listed[path][1]) if path in listed else None

    def _message(self, bump: _Bump | None) -> str:
        request = self._request
        if bump is not None:
            title = [f'Revert "{bump.subject}"', f"This reverts commit {bump.commit}."]
        else:
            images = ", ".join(f"{change.container} to {change.good}" for change in request.images)
            title = [f"Put images of {request.namespace}/{request.rollout} back: {images}"]
        why = f"Revision {request.revision} was rolled back: {_line(request.reason)}"
        built = [f"It was built from {_line(request.commit)}."] if request.commit else []
        trailers = f"{RELEASE_TRAILER}: {request.release}\n{RUN_TRAILER}: {request.run}\n"
        return harmless("\n\n".join([*title, why, *built, trailers]))

    async def _commit(self, head: str, wrong: Mapping[str, _File], message: str) -> str:
        """A commit on `head` that differs from it in these files alone."""
        rows = b""
        for path, file in wrong.items():
            blob = await self._git.text("hash-object", "-w", "--stdin", input=file.restored.encode())
            rows += f"{file.mode} {blob}\t{path}\0".encode()
        await self._git.run("read-tree", head)
        await self._git.run("update-index", "-z", "--index-info", input=rows)
        tree = await self._git.text("write-tree", "--missing-ok")  # unread content stays on the server
        return await self._git.text("commit-tree", tree, "-p", head, "-F", "-", input=message.encode())

    async def _push(self, commit: str, branch: str) -> None:
        try:
            await self._git.run("push", "--porcelain", "--no-verify", "origin", f"{commit}:refs/heads/{branch}")
        except GitError as error:
            text = f"{error.output}\n{error.complaint}"
            if any(sign in text for sign in _LOST_RACE):
                raise MovedOnError(branch) from error
            if "[remote rejected]" in text:
                why = next(line for line in text.split("\n") if "[remote rejected]" in line)
                hint = "let Tidegate push there, or set its mode to branch"
                raise rejected(SYSTEM, f"{self._where}: {why.split(chr(9))[-1]}; {hint}") from error
            raise


def _line(text: str) -> str:
    """One line, cut at a readable length."""
    return one_line(text)[:_MAX_REASON]


def _not_found(detail: str) -> ApplicationError:
    return ApplicationError(f"{SYSTEM}: {detail}", type=ErrorType.NOT_FOUND, non_retryable=True)
