"""A mesh configuration as Envoy's discovery files: a folder that Envoy watches, every file replaced in one step."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from sandbox.documents import Document
from sandbox.mesh.names import ClusterName
from sandbox.mesh.snapshot import Address

TYPES = "type.googleapis.com/envoy.config"
ROUTE_CONFIG = "mesh"
CLUSTERS_FILE = "clusters.json"
ROUTES_FILE = "routes.json"

# Envoy's own limits are those of a small edge proxy; a mesh sets none unless a DestinationRule does.
LIMITS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
UNLIMITED = 2**32 - 1

# An idle connection is closed by Envoy, never by the pod: the other way round a request may meet a closing connection.
UPSTREAM_IDLE = "60s"


class DiscoveryFiles:
    """The folder. Each `put` returns the version that Envoy will report once it has accepted the content.

    A version is a digest of the content, so that the same content has the same version whoever wrote it.
    """

    def __init__(self, folder: Path) -> None:
        """Create the folder with an empty configuration, which Envoy needs to find when it starts."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.put_clusters([])
        self.put_routes([])

    def put_endpoints(self, name: ClusterName, addresses: Sequence[Address]) -> str:
        """Write the addresses of one cluster; this has to happen before the cluster itself is announced."""
        endpoints: list[JsonValue] = [{"endpoint": {"address": socket_address(*address)}} for address in addresses]
        assignment: Document = {
            "@type": f"{TYPES}.endpoint.v3.ClusterLoadAssignment",
            "cluster_name": str(name),
            "endpoints": [{"lb_endpoints": endpoints}],
        }
        return self._put(self._endpoints_file(name), [assignment])

    def put_clusters(self, names: Sequence[ClusterName]) -> str:
        """Announce exactly these clusters."""
        return self._put(self.folder / CLUSTERS_FILE, [self._cluster(name) for name in names])

    def put_routes(self, virtual_hosts: Sequence[Document]) -> str:
        """Write the whole route table."""
        table: Document = {
            "@type": f"{TYPES}.route.v3.RouteConfiguration",
            "name": ROUTE_CONFIG,
            "virtual_hosts": list[JsonValue](virtual_hosts),
        }
        return self._put(self.folder / ROUTES_FILE, [table])

    def drop_endpoints(self, name: ClusterName) -> None:
        """Remove the file of a cluster that is announced no more."""
        self._endpoints_file(name).unlink(missing_ok=True)

    def _cluster(self, name: ClusterName) -> Document:
        return {
            "@type": f"{TYPES}.cluster.v3.Cluster",
            "name": str(name),
            "type": "EDS",
            "connect_timeout": "0.5s",
            "circuit_breakers": {"thresholds": [dict.fromkeys(LIMITS, UNLIMITED)]},
            "eds_cluster_config": {"eds_config": file_source(self._endpoints_file(name))},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "common_http_protocol_options": {"idle_timeout": UPSTREAM_IDLE},
                    "explicit_http_config": {"http_protocol_options": {}},
                }
            },
        }

    def _endpoints_file(self, name: ClusterName) -> Path:
        return self.folder / f"endpoints-{_digest(str(name))}.json"

    def _put(self, file: Path, resources: Sequence[Document]) -> str:
        """Write beside the file and rename: Envoy acts on the rename, and must never read half a file."""
        text = json.dumps(resources, sort_keys=True)
        version = _digest(text)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(f'{{"version_info": "{version}", "resources": {text}}}')
        os.replace(temporary, file)
        return version


def file_source(file: Path) -> Document:
    """Envoy's ConfigSource for a discovery file."""
    return {"resource_api_version": "V3", "path_config_source": {"path": str(file)}}


def socket_address(host: str, port: int) -> Document:
    """Envoy's Address of a TCP port."""
    return {"socket_address": {"address": host, "port_value": port}}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
