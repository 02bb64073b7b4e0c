"""The `tidegate-watcher` process: Rollout objects are a way to their releases, as they are to Argo's controller.

It may be killed, started twice or moved at any time: what it says follows from the objects and the releases alone.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack

import structlog

from activities.kubernetes.client import WATCHER_AGENT, Cluster
from tidegate.client import TidegateClient
from tidegate.client.http_server import serve_http
from tidegate.contract.instances import ControllerInstance
from workers.connection import Connection
from workers.process import connected, run_process, unless_stopped
from workers.settings import Settings
from workers.watch.detections import Detections
from workers.watch.detections_webhook import DetectionsWebhook
from workers.watch.rollouts import Watch
from workers.wiring import open_cluster, open_secrets

log = structlog.get_logger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Watch until `stop` is set. Neither Temporal nor the API server need be up: the health says what is missing."""
    async with connected(settings, stop) as to:
        if to is not None:
            await _watch(to, settings, stop)


async def _watch(to: Connection, settings: Settings, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        cluster = await open_cluster(settings, WATCHER_AGENT, to.meter)
        stack.push_async_callback(cluster.close)
        client = TidegateClient(to.client)
        to.follow(client.use)
        instance = ControllerInstance(settings.kubernetes.instance_id)
        watch = Watch(cluster, client, settings.cluster, settings.watcher, to.meter, instance)
        await _receive_detections(settings, cluster, client, stack)
        checking = asyncio.create_task(to.check(watch.trouble))
        try:
            log.info("watching", cluster=settings.cluster, namespaces=settings.watcher.namespaces or "all")
            await unless_stopped(stop, watch.run())
        finally:
            checking.cancel()
            to.health.set_not_ready("stopping")


async def _receive_detections(
    settings: Settings, cluster: Cluster, client: TidegateClient, stack: AsyncExitStack
) -> None:
    """Open the endpoint for Falcon's detections, where it is configured; `stack` closes it."""
    if (detections := settings.detections) is None:
        return
    act = Detections(cluster, client, settings.cluster).act_on
    dispatcher = DetectionsWebhook(detections, open_secrets(settings, stack), act)
    port = await stack.enter_async_context(serve_http(dispatcher.app(), detections.host, detections.port))
    log.info("detections", host=detections.host, port=port)


def main() -> None:
    """Run the process of `tidegate-watcher`; `run_process` says how it exits."""
    parser = argparse.ArgumentParser(
        prog="tidegate-watcher", description="Makes releases of what people change in Rollout objects."
    )
    run_process(parser, serve)


if __name__ == "__main__":
    main()
