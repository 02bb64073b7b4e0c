"""The endpoint for detections: `POST /detections` over HTTP, signed; see `workers.watch.detections`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from aiohttp import web
from pydantic import ValidationError
from temporalio.exceptions import ApplicationError

from activities.secrets.store import Secrets
from tidegate.client import RefusedError, TidegateError
from workers.outside_settings import DetectionsSettings
from workers.watch.detections import SIGNATURE, TIMESTAMP, Detection, is_genuine

log = structlog.get_logger(__name__)

PATH: Final = "/detections"
KEY: Final = "signing_key"
MAX_BODY_BYTES: Final = 256 * 1024

Act = Callable[[Detection], Awaitable[str]]


class DetectionsWebhook:
    """Answers 200 when a detection was dealt with, 401 or 400 when it cannot be, 503 when it should be sent again."""

    def __init__(self, settings: DetectionsSettings, secrets: Secrets, act: Act) -> None:
        self._settings = settings
        self._secrets = secrets
        self._act = act

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post(PATH, self.answer)
        return app

    async def answer(self, request: web.Request) -> web.Response:
        """Deal with one delivery."""
        body = await request.read()
        try:
            if not await self._genuine(request, body):
                log.warning("detection refused", remote=request.remote, why="signature or time")
                return _response(401, "the signature does not fit the body, or it is too old")
            return _response(200, await self._act(Detection.model_validate_json(body)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            return _response(400, f"{where}: {first['msg']}")
        except RefusedError as error:
            return _response(200, error.message)
        except (TidegateError, ApplicationError) as error:
            log.warning("detection not dealt with yet", why=error.message)
            return _response(503, "try again: a system behind it does not answer")

    async def _genuine(self, request: web.Request, body: bytes) -> bool:
        given = [request.headers.get(name, "") for name in (TIMESTAMP, SIGNATURE)]
        path, now, oldest = self._settings.secret_path, datetime.now(UTC), self._settings.oldest
        # A key that was rotated is read again before anybody is turned away.
        for read in (self._secrets.read, self._secrets.refresh):
            key = (await read(path)).get(KEY, "")
            if key and is_genuine(key, body, *given, now=now, oldest=oldest):
                return True
        return False


def _response(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
