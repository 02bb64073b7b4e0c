"""The embedded world: which parts it has, how they are told of each other, and how all of it goes away again."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from sandbox.apply import apply
from sandbox.controllers import Controllers, PodSimulator
from sandbox.datadog.server import DatadogApi
from sandbox.envoy import Envoy
from sandbox.git import GitRepository
from sandbox.kubernetes_api import KubernetesApi
from sandbox.mesh.agent import MeshAgent
from sandbox.mesh.xds import DiscoveryFiles
from sandbox.processes import LOOPBACK, Program, free_port
from sandbox.scraper import Scraper
from sandbox.servicenow.server import ServiceNowApi
from sandbox.slack.server import SlackApi
from sandbox.telemetry import Telemetry
from sandbox.temporal import NAMESPACE, TemporalServer
from sandbox.tidegate_process import READY_SECONDS, WATCHER, WORKER, TidegateProcess
from sandbox.vault import Vault

DATADOG_SECRET = "argo-rollouts/datadog"  # noqa: S105  # a path
SERVICENOW_SECRET = "tidegate/servicenow"  # noqa: S105  # a path
SLACK_SECRET = "tidegate/slack"  # noqa: S105  # a path
GIT_PATH = "tidegate/git"  # of credentials that a repository in a folder does not ask for
SLACK_CHANNEL = "releases"
TOLD = ("on-rollout-aborted", "on-rollout-completed")

Announce = Callable[[str, str], None]


class Part(StrEnum):
    """What may be started by itself; a part starts what it cannot be without."""

    CLUSTER = "cluster"  # Kubernetes API with its controllers; pods are simulated unless there is traffic
    TRAFFIC = "traffic"  # kubelet, mesh agent, Envoy and what it counts
    TEMPORAL = "temporal"
    VAULT = "vault"
    DATADOG = "datadog"
    SERVICENOW = "servicenow"
    SLACK = "slack"


EVERYTHING = frozenset(Part)


class Credentials:
    """Keys of the outside systems, made anew for each world. They stand in Vault and nowhere else."""

    def __init__(self) -> None:
        self.datadog_api_key = secrets.token_hex(16)
        self.datadog_app_key = secrets.token_hex(20)
        self.servicenow_password = secrets.token_urlsafe(24)
        self.servicenow_client_secret = secrets.token_urlsafe(24)
        self.slack_token = f"xoxb-{secrets.token_hex(24)}"
        self.git_token = secrets.token_hex(20)
        self.slack_webhook_key = secrets.token_urlsafe(24)

    def all(self) -> list[str]:
        """Every one of them, for a scan that must find none."""
        return [value for value in vars(self).values() if isinstance(value, str)]


class World:
    """The parts of one embedded world. Everything it keeps is in `state`, everything it starts ends with it."""

    def __init__(self, state: Path, announce: Announce = lambda name, address: None) -> None:
        """Keep everything in `state`; `announce` gets the name and the address of each part as it comes up."""
        self.state = state
        self._announce = announce
        self.credentials = Credentials()
        self.telemetry = Telemetry()
        self.kubernetes = KubernetesApi()
        self.temporal = TemporalServer(state)
        self.git = GitRepository(state)
        self.vault = Vault(state, paths=[DATADOG_SECRET, SERVICENOW_SECRET, SLACK_SECRET, GIT_PATH])
        self.files = DiscoveryFiles(state / "xds")
        self.envoy = Envoy(state, self.files.folder)
        self.datadog = DatadogApi(
            self.telemetry, api_key=self.credentials.datadog_api_key, app_key=self.credentials.datadog_app_key
        )
        self.servicenow = ServiceNowApi(
            username="tidegate",
            password=self.credentials.servicenow_password,
            client_id="tidegate",
            client_secret=self.credentials.servicenow_client_secret,
        )
        self.slack = SlackApi(
            token=self.credentials.slack_token,
            webhook_key=self.credentials.slack_webhook_key,
            channels=(SLACK_CHANNEL,),
        )
        self._programs = [self.temporal.program, self.vault.program, self.envoy.program]
        self.worker: TidegateProcess | None = None
        self.watcher: TidegateProcess | None = None
        self.mesh: MeshAgent | None = None
        self.metrics: dict[str, str] = {}  # where Prometheus reads those of a process, by its name
        self._stack = AsyncExitStack()

    async def start(self, parts: frozenset[Part] = EVERYTHING) -> None:
        """Start the parts, side by side where they do not need each other."""
        await asyncio.gather(
            *(
                start(parts)
                for part, start in (
                    (Part.CLUSTER, self._start_cluster),
                    (Part.TEMPORAL, self._start_temporal),
                    (Part.VAULT, self._start_vault),
                )
                if part in parts
            )
        )

    async def stop(self) -> None:
        """Stop everything in the opposite order of the start."""
        await self._stack.aclose()

    async def _start_temporal(self, parts: frozenset[Part]) -> None:
        self._stack.push_async_callback(self.temporal.stop)
        await self.temporal.start()
        self._announce("Temporal UI", self.temporal.ui_url)
        self._announce("Temporal", self.temporal.address)

    async def _start_cluster(self, parts: frozenset[Part]) -> None:
        self._stack.push_async_callback(self.kubernetes.stop)
        await self.kubernetes.start()
        self._announce("Kubernetes", self.kubernetes.url)
        simulator = None if Part.TRAFFIC in parts else PodSimulator(self.kubernetes.cluster)
        await self._stack.enter_async_context(Controllers(self.kubernetes.cluster, simulator=simulator))
        if Part.TRAFFIC in parts:
            await self._start_traffic()
        if Part.DATADOG in parts:
            self._stack.push_async_callback(self.datadog.stop)
            await self.datadog.start()
        if Part.SERVICENOW in parts:
            self._stack.push_async_callback(self.servicenow.stop)
            await self.servicenow.start()
            self._announce("ServiceNow", f"{self.servicenow.url}/")
        if Part.SLACK in parts:
            self._stack.push_async_callback(self.slack.stop)
            await self.slack.start()
            self._announce("Slack", self.slack.page_url(SLACK_CHANNEL))

    async def _start_traffic(self) -> None:
        kubelet = self._program("kubelet", "sandbox.kubelet", "--api", self.kubernetes.url)
        self._stack.push_async_callback(kubelet.stop)
        self._stack.push_async_callback(self.envoy.stop)
        await asyncio.gather(kubelet.start(_at_once), self.envoy.start())
        self._announce("Envoy", self.envoy.url)
        self.mesh = MeshAgent(self.kubernetes.url, self.envoy, self.files, seen=self.telemetry.learn)
        scraper = Scraper(self.envoy, self.telemetry)
        self._stack.push_async_callback(self.mesh.stop)
        await self.mesh.start()
        self._stack.push_async_callback(scraper.stop)
        await scraper.start()

    async def _start_vault(self, parts: frozenset[Part]) -> None:
        self._stack.push_async_callback(self.vault.stop)
        await self.vault.start()
        self._announce("OpenBao", self.vault.address)

    async def seed_vault(self) -> None:
        """Put the credentials where the worker reads them, the addresses of the embedded APIs beside them."""
        keys = self.credentials
        await self.vault.seed(
            DATADOG_SECRET,
            {"api-key": keys.datadog_api_key, "app-key": keys.datadog_app_key, "address": self.datadog.url},
        )
        await self.vault.seed(SERVICENOW_SECRET, {"username": "tidegate", "password": keys.servicenow_password})
        await self.vault.seed(SLACK_SECRET, {"token": keys.slack_token})
        await self.vault.seed(GIT_PATH, {"token": keys.git_token})

    # ---------------------------------------------------------------------------------------------------- its programs

    async def start_worker(self, timeout: float = READY_SECONDS) -> Program:
        """A Tidegate worker as in production: only addresses differ. Returns its process, which may be killed.

        It has `timeout` seconds to become ready, and more on a slow machine. Raises ProgramError after that.
        """
        if self.worker is None:
            self.worker = self._process("worker", WORKER)
        await self.worker.start(timeout)
        return self.worker.program

    async def start_watcher(self, timeout: float = READY_SECONDS) -> Program:
        """The watcher, which releases what is written into the cluster. Raises ProgramError as `start_worker` does."""
        if self.watcher is None:
            self.watcher = self._process("watcher", WATCHER)
        await self.watcher.start(timeout)
        return self.watcher.program

    def _process(self, name: str, module: str) -> TidegateProcess:
        self.metrics[name] = f"{LOOPBACK}:{free_port()}"
        settings = self._worker_settings() | {"TIDEGATE_TELEMETRY": self.metrics[name]}
        process = TidegateProcess(name, self.state, settings, module=module)
        self._programs.append(process.program)
        self._stack.push_async_callback(process.program.stop)
        return process

    async def start_load(self, rate: float, host: str = "checkout") -> Program:
        """Requests at a constant rate through Envoy until the world ends."""
        argv = ("--url", self.envoy.url, "--host", host, "--rate", str(rate))
        load = self._program(f"load-{host}", "sandbox.load", *argv)
        self._stack.push_async_callback(load.stop)
        await load.start(_at_once)
        return load

    def _program(self, name: str, module: str, *arguments: str) -> Program:
        argv = [sys.executable, "-m", module, *arguments]
        program = Program(name, argv, log_file=self.state / f"{name}.log")
        self._programs.append(program)
        return program

    def resident_megabytes(self) -> dict[str, float]:
        """Resident memory of each program and of this process (`world`), in MB; empty where there is no /proc."""
        pids = {program.name: program.pid for program in self._programs if program.running} | {"world": os.getpid()}
        statm = {name: Path(f"/proc/{pid}/statm") for name, pid in pids.items()}
        page = os.sysconf("SC_PAGE_SIZE")
        return {
            name: round(int(file.read_text().split()[1]) * page / 1e6, 1)
            for name, file in statm.items()
            if file.exists()
        }

    def _worker_settings(self) -> dict[str, str]:
        return {
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TIDEGATE_KUBERNETES__API_URL": self.kubernetes.url,
            "TIDEGATE_VAULT__ADDRESS": self.vault.address,
            "TIDEGATE_VAULT__AUTH": "approle",
            "TIDEGATE_VAULT__ROLE_ID_FILE": str(self.vault.role_id_file),
            "TIDEGATE_VAULT__SECRET_ID_FILE": str(self.vault.secret_id_file),
            # The embedded APIs stand on this machine, where no manifest leads in production.
            "TIDEGATE_METRICS__HOSTS": "localhost,127.0.0.0/8",
            "TIDEGATE_DATADOG__MEASUREMENTS_PER_SECOND": "50",
            "TIDEGATE_TEMPORAL_UI": f"{self.temporal.ui_url}/namespaces/{NAMESPACE}",
            "TIDEGATE_GIT__REPOSITORIES": self.git.url,
            "TIDEGATE_SERVICENOW__URL": self.servicenow.url,
            "TIDEGATE_SLACK__API_URL": self.slack.url,
            "TIDEGATE_SLACK__SECRET_PATH": f"secret/{SLACK_SECRET}",
            "TIDEGATE_SERVICENOW__CHANGE_FIELDS__ASSIGNMENT_GROUP": "{namespace}",
        }

    # --------------------------------------------------------------------------------------------------------- its Git

    def commit(self, rollout: dict[str, Any], message: str) -> dict[str, Any]:
        """Push a Rollout that names this Git, and the channel that hears of it; what was pushed. Blocks."""
        metadata = rollout["metadata"]
        manifest = manifest_of(metadata["name"])
        named = {
            "tidegate.io/git-repository": self.git.url,
            "tidegate.io/git-path": str(Path(manifest).parent),
            **{f"notifications.argoproj.io/subscribe.{trigger}.slack": SLACK_CHANNEL for trigger in TOLD},
        }
        annotations = {**(metadata.get("annotations") or {}), **named}
        pushed = {**rollout, "metadata": {**metadata, "annotations": annotations}}
        self.git.commit_file(message, manifest, yaml.safe_dump(pushed, sort_keys=False))
        return pushed

    async def apply(self, documents: Sequence[dict[str, Any]]) -> None:
        """Apply manifests to the cluster. Raises RuntimeError with the server's answer when it refuses one."""
        await apply(self.kubernetes.url, documents)


def manifest_of(rollout: str) -> str:
    """Path in Git of the manifest of a Rollout."""
    return f"apps/{rollout}/rollout.yaml"


@asynccontextmanager
async def open_world(
    parts: frozenset[Part] = EVERYTHING, announce: Announce = lambda name, address: None
) -> AsyncIterator[World]:
    """A world in a temporary folder; when the context ends no process, port or file of it is left."""
    state = Path(tempfile.mkdtemp(prefix="tidegate-"))
    world = World(state, announce)
    try:
        await world.start(parts)
        if {Part.VAULT, Part.DATADOG, Part.SERVICENOW} <= parts:
            await world.seed_vault()
        yield world
    finally:
        await world.stop()
        shutil.rmtree(state, ignore_errors=True)


async def _at_once() -> bool:
    return True
