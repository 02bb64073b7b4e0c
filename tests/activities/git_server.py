"""Git's own HTTP server, behind a password."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

from aiohttp import web

from tests.activities.outside import Answering


def git_server(root: Path, authorization: str) -> Answering:
    """Git's own HTTP server over the repositories in `root`, for whoever says the word."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != authorization:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "REMOTE_USER": "tidegate",
        }
        pipe = asyncio.subprocess.PIPE
        server = await asyncio.create_subprocess_exec("git", "http-backend", stdin=pipe, stdout=pipe, env=environment)
        said, _ = await server.communicate(await request.read())
        head, _, body = said.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return web.Response(status=int(headers.pop("Status", "200")[:3]), body=body, headers=headers)

    return answer


def basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
