"""What a Pod asks of its kubelet, and the status that the kubelet writes about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import JsonValue

from sandbox.checkout import Behaviour, UnknownImageError, behaviour
from sandbox.documents import Document, items, key_of, mapping, metadata, texts
from sandbox.mesh.names import HASH_LABEL
from sandbox.processes import LOOPBACK
from sandbox.task import Task, task_of

PORT_ANNOTATION = "sandbox.tidegate.io/host-port"


@dataclass(frozen=True)
class Probe:
    """A readiness probe: path of an HTTP GET, and times in seconds."""

    path: str = "/healthz"
    initial_delay: float = 0.0
    period: float = 5.0
    timeout: float = 2.0
    failure_threshold: int = 3


@dataclass(frozen=True)
class PodSpec:
    """The part of a Pod that a kubelet acts on."""

    namespace: str
    name: str
    uid: str
    pod_hash: str
    images: Mapping[str, str]  # container -> image, in order
    commands: Mapping[str, tuple[str, ...]]  # container -> command and arguments
    restart_policy: str
    finished: bool  # its containers have ended for good
    env: Mapping[str, str]  # of the first container
    probe: Probe
    restarts: int  # of the first container, as its last status says, counted on when it ran before
    grace: float | None  # seconds that a deletion leaves it; None while it is to run

    @classmethod
    def read(cls, pod: Document) -> PodSpec:
        """Read a Pod object; what is missing or of a wrong type has the default."""
        namespace, name = key_of(pod)
        meta = metadata(pod)
        containers = items(mapping(pod.get("spec")).get("containers"))
        first = containers[0] if containers else {}
        env = {str(each.get("name")): str(each.get("value") or "") for each in items(first.get("env"))}
        statuses = items(mapping(pod.get("status")).get("containerStatuses"))
        ran_before = [each for each in statuses if "running" in mapping(each.get("state"))]
        return cls(
            namespace=namespace,
            name=name,
            uid=str(meta.get("uid") or ""),
            pod_hash=texts(meta.get("labels")).get(HASH_LABEL, ""),
            images={str(each.get("name")): str(each.get("image")) for each in containers},
            commands={str(each.get("name")): _command(each) for each in containers},
            restart_policy=str(mapping(pod.get("spec")).get("restartPolicy") or "Always"),
            finished=mapping(pod.get("status")).get("phase") in ("Succeeded", "Failed"),
            env=env,
            probe=_probe(mapping(first.get("readinessProbe"))),
            restarts=int(_number(ran_before[0].get("restartCount"), 0)) + 1 if ran_before else 0,
            grace=_number(meta.get("deletionGracePeriodSeconds"), 30.0) if meta.get("deletionTimestamp") else None,
        )

    def behaviour(self) -> Behaviour:
        """What its first container does; raises UnknownImageError for an image, ValueError for a variable."""
        found = [behaviour(image, self.env) for image in self.images.values()]
        if not found:
            raise UnknownImageError("no container")
        return found[0]

    def task(self) -> Task:
        """What its containers do when they may end; raises UnknownImageError for an image."""
        return task_of((image, self.commands[name]) for name, image in self.images.items())


@dataclass
class PodStatus:
    """Builds successive `.status` documents; a condition keeps the time at which it last changed."""

    spec: PodSpec
    started_at: str = field(default_factory=lambda: now())
    restarts: int = 0  # beside those that the spec knows of
    _conditions: dict[str, tuple[bool, str]] = field(default_factory=dict)  # type -> status, since

    def waiting(self, reason: str, message: str = "") -> Document:
        """No container runs, for a reason such as ContainerCreating or ImagePullBackOff."""
        state: Document = {"waiting": {"reason": reason, "message": message}}
        return self._document("Pending", state, ready=False)

    def running(self, *, ready: bool) -> Document:
        """All containers run."""
        return self._document("Running", {"running": {"startedAt": self.started_at}}, ready=ready)

    def ended(self, exit_code: int) -> Document:
        """All containers have ended."""
        state: Document = {"terminated": {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed"}}
        return self._document("Failed" if exit_code else "Succeeded", state, ready=False)

    def _document(self, phase: str, state: Document, *, ready: bool) -> Document:
        up = phase == "Running"
        containers: list[JsonValue] = [
            {
                "name": name,
                "image": image,
                "imageID": image if up else "",
                "ready": ready,
                "started": up,
                "restartCount": self.spec.restarts + self.restarts,
                "state": state,
            }
            for name, image in self.spec.images.items()
        ]
        conditions: list[JsonValue] = [
            self._condition("PodScheduled", True),
            self._condition("Initialized", True),
            self._condition("ContainersReady", ready),
            self._condition("Ready", ready),
        ]
        # A merge patch: null takes away what an earlier life of the pod has written.
        return {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": containers,
            "startTime": self.started_at,
            "hostIP": LOOPBACK,
            "podIP": LOOPBACK if up else None,
            "podIPs": [{"ip": LOOPBACK}] if up else None,
        }

    def _condition(self, kind: str, status: bool) -> Document:
        before = self._conditions.get(kind)
        since = before[1] if before is not None and before[0] == status else now()
        self._conditions[kind] = status, since
        condition: Document = {
            "type": kind,
            "status": "True" if status else "False",
            "lastTransitionTime": since,
        }
        return condition if status else condition | {"reason": "ContainersNotReady"}


def now() -> str:
    """This moment as Kubernetes writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _command(container: Document) -> tuple[str, ...]:
    parts = (container.get("command"), container.get("args"))
    return tuple(str(word) for part in parts if isinstance(part, list) for word in part)


def _probe(document: Document) -> Probe:
    default = Probe()
    return Probe(
        path=str(mapping(document.get("httpGet")).get("path") or default.path),
        initial_delay=_number(document.get("initialDelaySeconds"), default.initial_delay),
        period=_number(document.get("periodSeconds"), default.period),
        timeout=_number(document.get("timeoutSeconds"), default.timeout),
        failure_threshold=int(_number(document.get("failureThreshold"), default.failure_threshold)),
    )


def _number(value: JsonValue, default: float) -> float:
    return float(value) if isinstance(value, int | float) and value >= 0 else default
