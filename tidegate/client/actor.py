"""User of this command, from the environment of the CI system or of the login."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping

from tidegate.contract import Source
from tidegate.manifests.plain_text import one_line

_CI_ACTORS = {
    "GITHUB_ACTOR": "github",
    "GITLAB_USER_LOGIN": "gitlab",
    "BUILDKITE_BUILD_CREATOR": "buildkite",
    "CIRCLE_USERNAME": "circleci",
    "BUILD_USER_ID": "jenkins",
}


def actor(environment: Mapping[str, str] = os.environ) -> str:
    """`user@location`: the CI system's actor, else the login name on this host."""
    for variable, location in _CI_ACTORS.items():
        if environment.get(variable):
            return one_line(f"{environment[variable]}@{location}")
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user id has no name
        user = f"uid{os.getuid()}"
    return one_line(f"{user}@{socket.gethostname()}")


def source(environment: Mapping[str, str] = os.environ) -> Source:
    """Repository, commit and run of a GitHub or GitLab job; empty fields elsewhere."""
    run = environment.get("GITHUB_RUN_ID")
    github = f"{environment.get('GITHUB_SERVER_URL')}/{environment.get('GITHUB_REPOSITORY')}/actions/runs/{run}"
    return Source(
        repository=environment.get("GITHUB_REPOSITORY") or environment.get("CI_PROJECT_PATH") or "",
        commit=environment.get("GITHUB_SHA") or environment.get("CI_COMMIT_SHA") or "",
        ci_url=github if run else environment.get("CI_PIPELINE_URL") or "",
    )
