"""The `tidegate-watcher` process: Rollout objects are a door to their releases, as they are to Argo's controller.

It may be killed, started twice or moved at any time: what it says follows from the objects and the releases alone.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack

import structlog
from temporalio.client import Client
from temporalio.common import MetricMeter

from activities.cluster import WATCHER_AGENT, Cluster
from tidegate.client import TidegateClient
from workers.codec import open_keys
from workers.detections import Detections
from workers.detections_door import DetectionsDoor, serve_detections
from workers.health import Health, serve_health
from workers.process import check_temporal, connect_patiently, open_runtime, run_process, unless_stopped
from workers.settings import Settings
from workers.watch_rollouts import Watch
from workers.wiring import open_cluster, open_secrets

log = structlog.get_logger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Watch until `stop` is set. Neither Temporal nor the API server need be up: the health says what is missing."""
    runtime = open_runtime(settings)
    health = Health(runtime.metric_meter)
    async with (
        serve_health(health, settings.health.host, settings.health.port) as port,
        open_keys(settings) as keys,
    ):
        log.info("health", host=settings.health.host, port=port)
        client = await unless_stopped(stop, connect_patiently(settings, health, keys, runtime))
        if client is not None:
            await _watch(client, settings, stop, health, runtime.metric_meter)
    log.info("stopped")


async def _watch(temporal: Client, settings: Settings, stop: asyncio.Event, health: Health, meter: MetricMeter) -> None:
    async with AsyncExitStack() as stack:
        cluster = await open_cluster(settings, WATCHER_AGENT)
        stack.push_async_callback(cluster.close)
        client = TidegateClient(temporal)
        watch = Watch(cluster, client, settings.cluster, settings.watcher, meter)
        await _receive_detections(settings, cluster, client, stack)
        checking = asyncio.create_task(check_temporal(temporal, health, watch.trouble, settings.temporal_token_file))
        try:
            log.info("watching", cluster=settings.cluster, namespaces=settings.watcher.namespaces or "all")
            await unless_stopped(stop, watch.run())
        finally:
            checking.cancel()
            health.set_not_ready("stopping")


async def _receive_detections(
    settings: Settings, cluster: Cluster, client: TidegateClient, stack: AsyncExitStack
) -> None:
    """Open the door for Falcon's detections, where it was asked for; `stack` closes it."""
    if (asked := settings.detections) is None:
        return
    act = Detections(cluster, client, settings.cluster).act_on
    door = DetectionsDoor(asked, open_secrets(settings, stack), act)
    port = await stack.enter_async_context(serve_detections(door, asked.host, asked.port))
    log.info("detections", host=asked.host, port=port)


def main() -> None:
    """Entry point of `tidegate-watcher`; `run_process` says how it exits."""
    parser = argparse.ArgumentParser(
        prog="tidegate-watcher", description="Makes releases of what people change in Rollout objects."
    )
    run_process(parser, serve)


if __name__ == "__main__":
    main()
