"""Git, which says what is to run: the bad image of an aborted release is put back, so that no sync brings it again."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import BaseModel, ConfigDict, Field
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.git.command import Author, GitError, GitTimeoutError, Login, open_git
from activities.git.revert import SYSTEM, MovedOnError, Revert
from activities.secrets.store import Secrets
from activities.transport.errors import failure, rejected, unavailable
from tidegate.contract import Activity, ErrorType, RevertMode, RevertRequest, RevertResult

log = structlog.get_logger(__name__)

TRIES = 5  # on a branch that others push to
# Who signs in with a token alone: GitHub and GitLab look at the token only.
TOKEN_USER = "x-access-token"  # noqa: S105  a name

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}")
_REF = re.compile(r"[A-Za-z0-9_](?!.*(?:\.\.|//|\.lock(?:/|$)|/\.))[A-Za-z0-9._/+-]{0,199}(?<![./])")
_PATH = re.compile(r"[^\x00-\x1f\x7f\\:-][^\x00-\x1f\x7f\\:]{0,499}")
_ID = re.compile(r"[!-~]{1,400}")
_STATUS = re.compile(r"returned error: (\d{3})")
_COMPLAINTS = (
    (401, ("Authentication failed", "could not read Username", "could not read Password", "Permission denied (")),
    (404, ("not found", "does not exist", "does not appear to be a git repository")),
)


class GitSettings(BaseModel):
    """Repositories for reverts, with credentials and author."""

    model_config = ConfigDict(frozen=True)

    # Allowed prefixes of addresses: an annotation must not send the credentials to another server.
    repositories: tuple[str, ...]
    # With `username` and `password`, or `token`: for https. For ssh the process has keys.
    secret_path: str = "secret/tidegate/git"  # noqa: S105  a path
    mode: RevertMode = RevertMode.PUSH  # of a Rollout without one
    author_name: str = "Tidegate"
    author_email: str = "tidegate@localhost"
    ca_file: Path | None = None  # PEM bundle for a private authority
    timeout_seconds: float = Field(default=60.0, gt=0)  # of one command


class GitOps:
    """The repositories that Argo CD applies."""

    def __init__(self, secrets: Secrets, settings: GitSettings) -> None:
        self._secrets = secrets
        self._settings = settings
        self._author = Author(settings.author_name, settings.author_email)

    @activity.defn(name=Activity.REVERT_COMMIT)
    async def revert_commit(self, request: RevertRequest) -> RevertResult:
        """Put the images back by one commit, or find the existing one; a rejected credential is read again once.

        Raises ApplicationError: `Unauthorized` when the credentials stay rejected, `NotFound` for a missing repository,
        branch or manifest, `Rejected` for an error that an operator has to correct, `RateLimited` or `Unavailable`.
        """
        mode = self._check(request)
        try:
            result = await self._revert(request, mode)
        except ApplicationError as error:
            if error.type != ErrorType.UNAUTHORIZED:
                raise
            result = await self._revert(request, mode, renew=True)
        log.info("git revert", repository=request.repository, commit=result.commit, created=result.created)
        return result

    async def probe(self, repository: str) -> str:
        """List the branches of a repository; without one, read the credentials. Raises ApplicationError."""
        if not repository:
            await self._login("https:", renew=True)
            return "credentials are there; -f with a Rollout that names a repository reads it, too"
        self._check_repository(repository)
        login, settings = await self._login(repository, renew=True), self._settings
        try:
            async with open_git(self._author, login, ca_file=settings.ca_file, timeout=settings.timeout_seconds) as git:
                await git.run("ls-remote", "--heads", "--", repository)
        except GitTimeoutError as error:
            raise unavailable(SYSTEM, f"{repository}: {error}") from error
        except GitError as error:
            raise _failure(repository, error) from error
        return f"{repository} is readable"

    async def _revert(self, request: RevertRequest, mode: RevertMode, *, renew: bool = False) -> RevertResult:
        settings, login = self._settings, await self._login(request.repository, renew=renew)
        for _ in range(TRIES):
            try:
                async with open_git(
                    self._author,
                    login,
                    ca_file=settings.ca_file,
                    timeout=settings.timeout_seconds,
                ) as git:
                    return await Revert(git, request, mode).carry_out()
            except MovedOnError:
                log.info("someone else pushed meanwhile", repository=request.repository, branch=request.branch)
            except GitTimeoutError as error:
                raise unavailable(SYSTEM, f"{request.repository}: {error}") from error
            except GitError as error:
                raise _failure(f"{request.repository} {request.branch}", error) from error
        raise unavailable(SYSTEM, f"{request.repository} {request.branch} moved on during each of {TRIES} tries")

    async def _login(self, repository: str, *, renew: bool) -> Login:
        if not repository.startswith("https:"):
            return Login()
        path = self._settings.secret_path
        secret = await (self._secrets.refresh(path) if renew else self._secrets.read(path))
        password = secret.get("password") or secret.get("token", "")
        username = secret.get("username") or TOKEN_USER
        if not password or "\n" in f"{username}{password}":
            raise rejected(SYSTEM, f"{path} needs username and password, or token, each of one line")
        return Login(username, password)

    def _check(self, request: RevertRequest) -> RevertMode:
        """Reject values that git could read as something else: all of them come from annotations."""
        self._check_repository(request.repository)
        own = f"{request.rollout}-{request.revision}-{request.run}"
        named = {"branch": request.branch, "rollout, revision and run": own}
        for what, value in named.items():
            _match(_REF, what, value, "the name of a branch")
        _match(_PATH, "path", request.path, "a path in the repository")
        if ".." in request.path.split("/") or request.path.startswith("/"):
            raise rejected(SYSTEM, f"path {request.path!r}: give it from the repository's root, without '..'")
        for change in request.images:
            for image in (change.bad, change.good):
                _match(_IMAGE, f"image of {change.container}", image, "name, and tag or digest")
        for value in (request.release, request.run):
            _match(_ID, "release and run", value, "an id without blanks")
        if request.mode and request.mode not in list(RevertMode):
            raise rejected(SYSTEM, f"mode {request.mode!r}: one of {', '.join(RevertMode)}")
        return RevertMode(request.mode) if request.mode else self._settings.mode

    def _check_repository(self, repository: str) -> None:
        # It is quoted only once it is known that it holds nothing that should not be shown.
        try:
            parts = urlsplit(repository)
        except ValueError:
            parts = None
        if parts is None or not _ID.fullmatch(repository) or parts.query or parts.fragment:
            raise rejected(SYSTEM, "repository: give an address such as https://git.example/team/config.git")
        if parts.password is not None or (parts.username is not None and parts.scheme != "ssh"):
            raise rejected(SYSTEM, f"repository: credentials do not belong in it, but in {self._settings.secret_path}")
        allowed = (f"{prefix.rstrip('/')}/" for prefix in self._settings.repositories)
        if ".." in unquote(parts.path).split("/") or not any(f"{repository}/".startswith(prefix) for prefix in allowed):
            known = ", ".join(self._settings.repositories)
            raise rejected(SYSTEM, f"repository {repository!r}: workers are set to write to {known} only")


def _match(pattern: re.Pattern[str], what: str, value: str, meant: str) -> None:
    if not pattern.fullmatch(value):
        raise rejected(SYSTEM, f"{what} {value[:100]!r}: cannot be used as {meant}")


def _failure(location: str, error: GitError) -> ApplicationError:
    """The error for git's complaint, which has the HTTP status in words, or not at all."""
    where = f"{location}: {error}"
    if found := _STATUS.search(error.complaint):
        return failure(SYSTEM, int(found[1]), where, {}, datetime.now(UTC))
    if "Remote branch" in error.complaint:
        # A server that answers with a page, as it may while it starts, seems to have no branches at all.
        return unavailable(SYSTEM, where)
    for status, signs in _COMPLAINTS:
        if any(sign in error.complaint for sign in signs):
            return failure(SYSTEM, status, where, {}, datetime.now(UTC))
    if error.complaint.startswith("fatal: transport"):
        return rejected(SYSTEM, where)
    return unavailable(SYSTEM, where)
