"""The `tidegate-web` process: the page of all releases, behind the proxy that signs people in."""

from __future__ import annotations

import argparse
import asyncio

import structlog

from tidegate.client import TidegateClient
from tidegate.client.http_server import serve_http
from tidegate.web.access import PageAccess
from tidegate.web.server import WebPage
from workers.connection import Connection
from workers.outside_settings import PageSettings
from workers.process import connected, run_process
from workers.settings import Settings, SettingsError

log = structlog.get_logger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Answer until `stop` is set. Temporal need not be up: the page says that it does not answer."""
    if settings.page is None:
        raise SettingsError("TIDEGATE_PAGE__ORIGIN: give the address of the page, as browsers have it")
    async with connected(settings, stop) as to:
        if to is not None:
            await _answer(to, settings.page, settings.temporal_ui, stop)


async def _answer(to: Connection, settings: PageSettings, temporal_ui: str, stop: asyncio.Event) -> None:
    client = TidegateClient(to.client)
    to.follow(client.use)
    page = WebPage(client, access_of(settings), temporal_ui=temporal_ui, refresh=settings.refresh)
    async with serve_http(page.app(), settings.host, settings.port) as port:
        log.info("page", host=settings.host, port=port, origin=settings.origin, operators=settings.operators)
        checking = asyncio.create_task(to.check(lambda: ""))
        try:
            await stop.wait()
        finally:
            checking.cancel()
            to.health.set_not_ready("stopping")


def access_of(settings: PageSettings) -> PageAccess:
    """Rules of the page, as the settings have them."""
    return PageAccess(
        origin=settings.origin,
        user_header=settings.user_header,
        groups_header=settings.groups_header,
        operators=frozenset(settings.operator_groups()),
        proxies=settings.proxy_networks(),
    )


def main() -> None:
    """Run the process of `tidegate-web`; `run_process` says how it exits."""
    parser = argparse.ArgumentParser(prog="tidegate-web", description="Shows all releases on a page.")
    run_process(parser, serve)


if __name__ == "__main__":
    main()
