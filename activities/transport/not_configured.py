"""Activities of a system that is not configured: they fail with `NotConfigured`, and the effect is skipped at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from temporalio import activity

from activities.transport.errors import not_configured
from tidegate.contract import Activity


def absent(system: str, setting: str, *names: Activity) -> list[Callable[..., Any]]:
    """Activities of those names, which raise ApplicationError `NotConfigured`; `setting` is the missing variable."""
    return [_absent(system, setting, name) for name in names]


def _absent(system: str, setting: str, name: Activity) -> Callable[..., Any]:
    @activity.defn(name=name)
    async def refuse(_: Any) -> NoReturn:
        raise not_configured(system, setting)

    return refuse
