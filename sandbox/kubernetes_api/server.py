"""The server: sockets, routing of requests to their answers, and the record of calls."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from aiohttp import web

from sandbox.kubernetes_api import discovery, status
from sandbox.kubernetes_api.admission import ADMINISTRATOR, Admission, Admit, admit_all, admit_by
from sandbox.kubernetes_api.audit import AuditLog, Call
from sandbox.kubernetes_api.authorization import Authorization
from sandbox.kubernetes_api.bodies import MAX_BYTES
from sandbox.kubernetes_api.cluster import Cluster
from sandbox.kubernetes_api.garbage import GarbageCollector, NamespaceLifecycle
from sandbox.kubernetes_api.identity import Identity
from sandbox.kubernetes_api.kinds import NAMESPACES
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.objects import Object, utc_now
from sandbox.kubernetes_api.paths import ResourcePath, parse_path
from sandbox.kubernetes_api.persistence import StateFile
from sandbox.kubernetes_api.rest import ResourceEndpoints
from sandbox.kubernetes_api.store import Clock, Store
from sandbox.kubernetes_api.watch import Watches

_log = structlog.get_logger(__name__)

_LOOPBACK = "127.0.0.1"
_HEALTH_PATHS = ("/healthz", "/livez", "/readyz")
_FIRST_NAMESPACES = ("default", "kube-system")
_USER_AGENT_LENGTH = 128
_SHUTDOWN_SECONDS = 1.0


Gate = Callable[[Call], Awaitable[None]]


class KubernetesApi:
    """A Kubernetes API server on 127.0.0.1. Without `rbac` it asks for no credentials and allows everything.

    With a state file what was written survives a restart; a watch from before it is answered 410 and has to list again.

    Attributes:
        store: the objects; `store.subscribe` tells of every write.
        cluster: the verbs, for what runs inside this process.
        calls: how often each verb was asked for on each resource.
        calls_by: the same for each User-Agent.

    Raises:
        ValueError: the state file is something else.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        state_file: Path | None = None,
        history: int = 4096,
        clock: Clock = utc_now,
        gate: Gate | None = None,
        rbac: bool = False,
        admission: Admission | None = None,
        argo_crds: bool = False,
    ) -> None:
        """`gate` is asked before each request for a resource: it may let it wait, or refuse it with an ApiError.

        With `rbac`, whoever brings the token of a service account may do what its roles allow; without credentials one
        is the administrator. `admission` judges each write that a client makes; who writes, it knows with `rbac` alone.
        `argo_crds`: as if Argo's own CRDs were installed, and not those of `deploy/`.
        """
        self._port = port
        self._gate = gate
        self._admission = admission
        self._state = StateFile(state_file) if state_file is not None else None
        self.store = Store(history=history, journal=self._state, clock=clock)
        self.cluster = Cluster(self.store, argo_crds=argo_crds)
        self.calls: Counter[Call] = Counter()
        self.calls_by: defaultdict[str, Counter[Call]] = defaultdict(Counter)
        signing_key = self._state.signing_key() if self._state is not None else secrets.token_bytes(32)
        self._audit = AuditLog.from_environment()
        self._watches = Watches(self.store)
        identity = Identity(self.store, signing_key)
        self._authorization = Authorization(self.store, identity) if rbac else None
        self._endpoints = ResourceEndpoints(self.cluster, self._watches, identity, self._review, self._judge)
        self._documents = discovery.documents()
        self._runner: web.AppRunner | None = None
        if self._state is not None:
            self.store.restore(*self._state.load())
        GarbageCollector(self.cluster)
        NamespaceLifecycle(self.cluster)
        self._create_first_namespaces()

    @property
    def url(self) -> str:
        """Where it listens, once started."""
        return f"http://{_LOOPBACK}:{self._port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_route("*", "/{path:.*}", self.answer)
        # A client that leaves cancels its handler, so that an idle watch does not outlive it.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, _LOOPBACK, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        _log.info("kubernetes_api_listening", url=self.url)

    async def stop(self) -> None:
        """End watches and requests, close the socket and the state file."""
        self._watches.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._state is not None:
            self._state.close()

    def _create_first_namespaces(self) -> None:
        for name in _FIRST_NAMESPACES:
            if self.store.get(NAMESPACES, "", name) is None:
                self.cluster.create(NAMESPACES, {"metadata": {"name": name}}, Writer("kube-apiserver", "v1"))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request's answer; a failure is one, too."""
        try:
            path = parse_path(request.path)
            if path is not None:
                return await self._answer_resource(request, path)
            return self._answer_document(request)
        except status.ApiError as error:
            return web.json_response(error.status(), status=error.code)
        except Exception as error:  # whatever went wrong inside, the client gets a Status
            _log.exception("request_failed", method=request.method, path=request.path)
            failure = status.internal_error(error)
            return web.json_response(failure.status(), status=failure.code)

    async def _answer_resource(self, request: web.Request, path: ResourcePath) -> web.StreamResponse:
        verb = path.verb(request.method, watch=request.query.get("watch", "") in ("1", "true"))
        if verb is None:
            raise status.method_not_allowed(request.method)
        call = Call(verb, path.kind.group, path.kind.plural, path.subresource)
        self.calls[call] += 1
        self.calls_by[request.headers.get("User-Agent", "")[:_USER_AGENT_LENGTH]][call] += 1
        self._audit.write(request.headers.get("User-Agent", ""), call, path.namespace)
        if self._authorization is not None:
            user = self._authorization.user(request.headers.get("Authorization"))
            self._authorization.check(user, verb, path)
        if self._gate is not None:
            await self._gate(call)
        return await self._endpoints.serve(verb, request, path)

    def _review(self, header: str | None, review: Object) -> Object:
        if self._authorization is None:
            return {**review, "metadata": review.get("metadata") or {}, "status": {"allowed": True}}
        return self._authorization.review(self._authorization.user(header), review)

    def _judge(self, request: web.Request, path: ResourcePath) -> Admit:
        if self._admission is None:
            return admit_all
        user = None
        if self._authorization is not None:
            user = self._authorization.user(request.headers.get("Authorization"))
        return admit_by(self._admission, user.name if user is not None else ADMINISTRATOR, path)

    def _answer_document(self, request: web.Request) -> web.Response:
        path = request.path.rstrip("/")
        if path in _HEALTH_PATHS:
            return web.Response(text="ok")
        document = self._documents.get(path)
        if document is None:
            raise status.unknown_path()
        return web.json_response(document)
