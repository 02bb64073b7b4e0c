"""The world of a chaos run: every server and every process of Tidegate by itself, a link before each that may fail."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from sandbox.envoy import Envoy
from sandbox.git import GitRepository
from sandbox.mesh.agent import MeshAgent
from sandbox.mesh.xds import DiscoveryFiles
from sandbox.processes import LOOPBACK, Program, free_port
from sandbox.servicenow.server import ServiceNowApi
from sandbox.slack.server import SlackApi
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import WATCHER, WORKER, TidegateProcess
from tests.chaos.laws import Judge, Reader
from tests.chaos.links import Link
from tests.chaos.manifests import CHANNEL
from tests.chaos.provider import Provider
from tests.chaos.traffic import Traffic
from tidegate.client import TidegateClient, data_converter

ROOT = Path(__file__).parents[2]
WORKERS = ("worker1", "worker2")
TIDEGATE = (*WORKERS, "watcher")
SERVERS = ("temporal", "api")
# A server that is away is what a round wants, and no news.
_QUIET = TelemetryFilter(core_level="ERROR", other_level="ERROR")
PLENTY = 1_000_000  # of requests: how people's systems limit them is tested elsewhere


class Api:
    """The Kubernetes API as a program of its own."""

    def __init__(self, state: Path) -> None:
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.journal = state / "journal.jsonl"
        argv = [sys.executable, "-m", "tests.chaos.api_server", "--port", str(self.port)]
        argv += ["--state", str(state / "cluster.db"), "--journal", str(self.journal)]
        self.program = Program("api", argv, log_file=state / "api.log", cwd=ROOT)

    async def start(self) -> None:
        """Start it, and wait until it answers. Raises ProgramError."""
        await self.program.start(self._ready, timeout=30.0)

    async def _ready(self) -> bool:
        timeout = aiohttp.ClientTimeout(total=1.0)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{self.url}/readyz") as answer:
            return answer.status == 200


class Plane:
    """Everything that runs, and what is known of it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.temporal = TemporalServer(state)
        self.api = Api(state)
        self.git = GitRepository(state)
        password, token = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self.servicenow = ServiceNowApi(username="tidegate", password=password, client_id="x", client_secret="y")
        self.slack = SlackApi(token=token, webhook_key="z", channels=(CHANNEL,))
        _mount(state / "secrets" / "secret/tidegate/servicenow", username="tidegate", password=password)
        _mount(state / "secrets" / "secret/tidegate/slack", token=token)
        self.judge = Judge()
        self.journal = Reader(self.api.journal)
        self.provider = Provider(self.tag)
        self.files = DiscoveryFiles(state / "xds")
        self.envoy = Envoy(state, self.files.folder)
        self.traffic = Traffic(self.envoy)
        self.links: dict[str, Link] = {}
        self.processes: dict[str, TidegateProcess] = {}
        self.deaf: list[tuple[float, float]] = []  # times in which the API server was away
        self.client: TidegateClient
        self.people: Client

    # ----------------------------------------------------------------------------------------------------- what is so

    def look(self) -> None:
        """Read what the journal has grown by."""
        self.judge.take(self.journal.read())

    def tag(self, hash_: str) -> str:
        """Image tag of a version, "" for an unknown one."""
        self.look()
        return next(filter(None, (life.tag(hash_) for life in self.judge.lives.values())), "")

    # --------------------------------------------------------------------------------------------------- start and end

    async def open(self, stack: AsyncExitStack) -> None:
        """Start everything; `stack` ends it."""
        for system in (self.servicenow, self.slack, self.provider):
            stack.push_async_callback(system.stop)
            await system.start()
        self.servicenow.rate_limit.limit = PLENTY
        for limit in (self.slack.history, self.slack.listing, *self.slack.posting.values()):
            limit.limit = PLENTY
        stack.push_async_callback(self.temporal.stop)
        stack.push_async_callback(self.api.program.stop)
        await asyncio.gather(self.temporal.start(), self.api.start())
        await self._open_links(stack)
        for name in TIDEGATE:
            self.processes[name] = self._process(name)
            stack.push_async_callback(self.processes[name].stop)
        kubelet = Program(
            "kubelet",
            [sys.executable, "-m", "sandbox.kubelet", "--api", self.api.url],
            log_file=self.state / "kubelet.log",
        )
        stack.push_async_callback(kubelet.stop)
        stack.push_async_callback(self.envoy.stop)
        await asyncio.gather(*(process.start() for process in self.processes.values()), self.envoy.start())
        await kubelet.start(_at_once)
        mesh = MeshAgent(self.api.url, self.envoy, self.files)
        stack.push_async_callback(mesh.stop)
        await mesh.start()
        stack.push_async_callback(self.traffic.stop)
        runtime = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=_QUIET)))
        self.people = await Client.connect(self.temporal.address, data_converter=data_converter(), runtime=runtime)
        self.client = TidegateClient(self.people)

    async def _open_links(self, stack: AsyncExitStack) -> None:
        for link in (
            *(Link(f"{name}-temporal", int(self.temporal.address.rpartition(":")[2])) for name in TIDEGATE),
            *(Link(f"{name}-api", self.api.port) for name in TIDEGATE),
            Link("provider", self.provider.port),
            Link("servicenow", _port(self.servicenow.url)),
            Link("slack", _port(self.slack.url.removesuffix("/api"))),
        ):
            self.links[link.name] = link
            stack.push_async_callback(link.stop)
            await link.start()

    def _process(self, name: str) -> TidegateProcess:
        settings = {
            "TEMPORAL_ADDRESS": self.links[f"{name}-temporal"].address,
            "TIDEGATE_KUBERNETES__API_URL": self.links[f"{name}-api"].url,
            "TIDEGATE_SECRETS__FOLDER": str(self.state / "secrets"),
            "TIDEGATE_SERVICENOW__URL": self.links["servicenow"].url,
            "TIDEGATE_METRICS__HOSTS": "localhost,127.0.0.0/8",
            "TIDEGATE_SERVICENOW__TIMEOUT_SECONDS": "3",
            "TIDEGATE_SLACK__API_URL": f"{self.links['slack'].url}/api",
            "TIDEGATE_SLACK__SECRET_PATH": "secret/tidegate/slack",
            "TIDEGATE_GIT__REPOSITORIES": self.git.url,
            "TIDEGATE_GRACEFUL_SHUTDOWN": "2s",
            "TIDEGATE_RECONNECT_AT_MOST": "1s",
            "TIDEGATE_WATCHER__RESYNC": "15s",
            "TIDEGATE_WATCHER__STOPPED_EVERY": "1s",
        }
        return TidegateProcess(name, self.state, settings, module=WATCHER if name == "watcher" else WORKER)

    def program(self, name: str) -> Program:
        """The program of a server or a process of Tidegate."""
        known = {"temporal": self.temporal.program, "api": self.api.program}
        return known[name] if name in known else self.processes[name].program


def _mount(folder: Path, **values: str) -> None:
    """A Secret, a file for each key."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, value in values.items():
        (folder / key).write_text(value)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


async def _at_once() -> bool:
    return True


@asynccontextmanager
async def open_plane(state: Path) -> AsyncIterator[Plane]:
    """A plane without a Rollout; everything that it started ends with the context."""
    plane = Plane(state)
    async with AsyncExitStack() as stack:
        await plane.open(stack)
        yield plane
