"""Dispatch of notifications: one activity, and a backend for each configured service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog
from temporalio import activity

from activities.transport.errors import not_configured
from tidegate.contract import Activity, Notification, NotificationSent

log = structlog.get_logger(__name__)


class Backend(Protocol):
    """A service that can carry a notification."""

    async def send(self, notification: Notification, *, repeated: bool) -> NotificationSent:
        """Send it; `repeated` says that an earlier attempt may have done so already.

        Raises ApplicationError: `RateLimited` with the delay that the service asks for, `Unauthorized` when the
        credentials stay refused, `Unavailable`, `NotFound` or `Rejected`.
        """
        ...


def service_key(name: str) -> str:
    """Key of a service's name: names of variables have no hyphen."""
    return name.lower().replace("_", "-")


class Notifications:
    """The activity that sends notifications, by `backends`: service -> backend."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = {service_key(name): backend for name, backend in backends.items()}

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.send_notification]

    @activity.defn(name=Activity.SEND_NOTIFICATION)
    async def send_notification(self, notification: Notification) -> NotificationSent:
        """Tell one recipient of one event. Raises `NotConfigured`, and whatever the service's backend raises."""
        backend = self._backends.get(service_key(notification.service))
        if backend is None:
            setting = (
                "SLACK__SECRET_PATH"
                if notification.service == "slack"
                else f"WEBHOOKS__{_variable(notification.service)}__URL"
            )
            raise not_configured(f"notifications by {notification.service}", f"TIDEGATE_{setting}")
        sent = await backend.send(notification, repeated=activity.info().attempt > 1)
        log.info(
            "notification sent",
            id=notification.id,
            service=notification.service,
            recipient=notification.recipient,
            created=sent.created,
        )
        return sent


def _variable(service: str) -> str:
    return service.upper().replace("-", "_")
