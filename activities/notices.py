"""Notices to people and their tools: one activity, and a backend for each service that is set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog
from temporalio import activity

from activities.errors import not_configured
from tidegate.contract import Activity, Notice, NoticeSent

log = structlog.get_logger(__name__)


class Backend(Protocol):
    """A service that can carry a notice."""

    async def send(self, notice: Notice, *, repeated: bool) -> NoticeSent:
        """Send it; `repeated` says that an earlier attempt may have done so already.

        Raises ApplicationError: `RateLimited` with the delay that the service asks for, `Unauthorized` when the
        credentials stay refused, `Unavailable`, `NotFound` or `Rejected`.
        """
        ...


def service_key(name: str) -> str:
    """A name of a service as it is looked up: in the name of a variable there is no hyphen."""
    return name.lower().replace("_", "-")


class Notices:
    """The activity that sends notices, by `backends`: service -> backend."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = {service_key(name): backend for name, backend in backends.items()}

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.send_notice]

    @activity.defn(name=Activity.SEND_NOTICE)
    async def send_notice(self, notice: Notice) -> NoticeSent:
        """Tell one recipient of one event. Raises `NotConfigured`, and whatever the service's backend raises."""
        backend = self._backends.get(service_key(notice.service))
        if backend is None:
            setting = (
                "SLACK__SECRET_PATH" if notice.service == "slack" else f"WEBHOOKS__{_variable(notice.service)}__URL"
            )
            raise not_configured(f"notices by {notice.service}", f"TIDEGATE_{setting}")
        sent = await backend.send(notice, repeated=activity.info().attempt > 1)
        log.info("notice sent", id=notice.id, service=notice.service, recipient=notice.recipient, created=sent.created)
        return sent


def _variable(service: str) -> str:
    return service.upper().replace("-", "_")
