"""Passes over one Experiment object: its ReplicaSets and Services move by move, then its status.

The object owns what is made for it, so that its deletion takes all of it along. Whose an object is stands in its owner.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.kubernetes import replica_sets
from activities.kubernetes.client import (
    EXPERIMENTS,
    FENCE_ANNOTATION,
    REPLICA_SETS,
    SERVICES,
    Cluster,
    Object,
    Reader,
)
from activities.kubernetes.fresh import FreshReader
from activities.kubernetes.informers import Cache
from activities.kubernetes.json_patch import Operation, annotate, put
from activities.kubernetes.ownership import owned_by, uid_of
from activities.kubernetes.rejections import is_definite, message_of
from activities.kubernetes.replica_sets import SCALE_DOWN_DEADLINE
from activities.kubernetes.seen import Seen, noting
from activities.reconcile.experiment_objects import EXPERIMENT, SERVICE, TEMPLATE, container_ports
from activities.reconcile.experiment_objects import service_of as wanted_service
from activities.reconcile.kubernetes_events import Publisher
from activities.reconcile.templates import read_templates
from tidegate.contract import (
    Activity,
    ErrorType,
    Event,
    ExperimentPass,
    ExperimentSeen,
    PublishEvents,
    RefusedTemplate,
)
from tidegate.contract.experiments import OfExperiment
from tidegate.contract.instances import DEFAULT_INSTANCE, INSTANCE_LABEL, ControllerInstance
from tidegate.experiments.moves import next_action, wanted_sets
from tidegate.manifests.experiment import ExperimentSpec
from tidegate.manifests.network import HASH_LABEL
from tidegate.rollouts.experiment_sets import (
    ExperimentMove,
    ExperimentSet,
    Expose,
    KeepUntil,
    Raise,
    Resize,
    WantedSet,
    Withdraw,
)
from tidegate.rollouts.template_hash import pod_template_hash

DELETED: Final = "its object was deleted"
MAX_MOVES: Final = 100  # of one pass; what is left is done by the next one
KIND: Final = "Experiment"


class ExperimentPasses:
    """Activities for the Experiment objects of one cluster. Each write is fenced, or finds what it would create."""

    def __init__(self, cluster: Cluster, cache: Cache, *, instance: ControllerInstance = DEFAULT_INSTANCE) -> None:
        """Nothing is written for an object of another `instance`."""
        self._cluster = cluster
        self._cache = cache
        self._instance = instance
        self._publisher = Publisher(cluster)

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.reconcile]

    @activity.defn(name=Activity.RECONCILE_EXPERIMENT)
    async def reconcile(self, request: ExperimentPass) -> ExperimentSeen:
        """Make the moves that the request asks for, one after the other, then write the status, runs and Events.

        What the cluster refuses for good is returned by template. Nothing is done for an object that was deleted,
        or given to another controller. Raises what a retry may help, and `StaleWrite` where a later run has written.
        """
        seen = Seen()
        with noting(seen), self._cache.lister() as lister:
            found = await self._pass(request, FreshReader(self._cluster, lister, seen))
        return found.model_copy(update={"seen": seen.versions()})

    async def _pass(self, request: ExperimentPass, reader: Reader) -> ExperimentSeen:
        live = await living(reader, request)
        if live is None:
            return ExperimentSeen(gone=DELETED)
        if why := self._instance.rejection(live):
            return ExperimentSeen(gone=why)
        done: list[Event] = []
        refused: tuple[RefusedTemplate, ...] = ()
        if request.spec:
            refused = await self._move(request, reader, done)
        sets = await standing(reader, request)
        has_status = bool(live.get("status"))
        if request.status:
            live = await self._publish(request, live, done)
        digest = spec_digest(live)
        return ExperimentSeen(
            spec=None if digest == request.spec_digest else dict(live.get("spec") or {}),
            spec_digest=digest,
            labels=dict(live["metadata"].get("labels") or {}),
            status=None if request.status else dict(live.get("status") or {}),
            has_status=has_status,
            sets=sets,
            analysis_templates=await self._templates(request),
            refused=refused,
            state_digest=state_digest(live, sets),
        )

    async def _templates(self, request: ExperimentPass) -> tuple[Object, ...] | None:
        if not request.with_analysis_templates:
            return None
        analyses = ExperimentSpec.model_validate(request.spec).analyses
        named = [each.reference() for each in analyses]
        return tuple(await read_templates(self._cluster, request.target.namespace, named))

    # ----------------------------------------------------------------------------------------------------------- moves

    async def _move(self, request: ExperimentPass, reader: Reader, done: list[Event]) -> tuple[RefusedTemplate, ...]:
        """Make moves until none is left, or one is refused; adds their Events to `done`."""
        spec = ExperimentSpec.model_validate(request.spec)
        wanted = wanted_sets(request.target.name, spec) if request.up else ()
        for _ in range(MAX_MOVES):
            sets = await standing(reader, request)
            move = next_action(wanted, sets, request.at, spec.scale_down_delay())
            if move is None:
                break
            try:
                event = await self._make(move, request, sets)
            except ApplicationError as error:
                final = error.type == ErrorType.INVALID_SPEC
                if not final and not is_definite(error):
                    raise
                return (RefusedTemplate(template=_template_of(move, sets), message=message_of(error), final=final),)
            done.extend(event)
        return ()

    async def _make(self, move: ExperimentMove, request: ExperimentPass, sets: Sequence[ExperimentSet]) -> list[Event]:
        namespace = request.target.namespace
        if isinstance(move, Raise):
            await self._create(move.wanted, request)
        elif isinstance(move, Expose):
            await self._expose(move.wanted, request)
        elif isinstance(move, Withdraw):
            await self._withdraw(move.name, request)
        elif isinstance(move, KeepUntil):
            await self._annotate(request, move)
        elif isinstance(move, Resize):
            before = next((each.desired for each in sets if each.name == move.name), 0)
            replicas = move.replicas
            await self._cluster.change(
                REPLICA_SETS, namespace, move.name, request.fence, lambda found: _resized(found, replicas)
            )
            way = "up" if move.replicas > before else "down"
            text = f"Scaled {way} ReplicaSet {move.name} from {before} to {move.replicas}"
            return [Event(at=datetime.now(UTC), reason="ScalingReplicaSet", message=text)]
        return []

    async def _annotate(self, request: ExperimentPass, move: KeepUntil) -> None:
        deadline = move.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if move.at else None
        await self._cluster.change(
            REPLICA_SETS,
            request.target.namespace,
            move.name,
            request.fence,
            lambda found: annotate(found, {SCALE_DOWN_DEADLINE: deadline}),
        )

    async def _create(self, wanted: WantedSet, request: ExperimentPass) -> None:
        template = next(each for each in request.spec["templates"] if each.get("name") == wanted.template)
        body = build_set(wanted, template, request)
        found = await self._cluster.create(REPLICA_SETS, request.target.namespace, body)
        _require(found, REPLICA_SETS.kind, request)

    async def _expose(self, wanted: WantedSet, request: ExperimentPass) -> None:
        namespace = request.target.namespace
        found = await self._cluster.get(REPLICA_SETS, namespace, wanted.name)
        created = await self._cluster.create(SERVICES, namespace, build_service(wanted, found, request))
        _require(created, SERVICES.kind, request)
        if wanted_service(found) != wanted.service:  # Argo's controller made the ReplicaSet
            mark = {SERVICE: wanted.service}
            await self._cluster.change(
                REPLICA_SETS, namespace, wanted.name, request.fence, lambda now: annotate(now, mark)
            )

    async def _withdraw(self, name: str, request: ExperimentPass) -> None:
        found = await self._cluster.find(SERVICES, request.target.namespace, name)
        if found is not None and owned_by(found, request.uid):
            await self._cluster.delete(SERVICES, request.target.namespace, name, uid=uid_of(found))

    # ------------------------------------------------------------------------------------------------------- published

    async def _publish(self, request: ExperimentPass, live: Object, done: Sequence[Event]) -> Object:
        """Write AnalysisRun objects, the status and Events; returns the object after that.

        A run ends before the experiment that it judges: no client is to see a status that is ahead of it.
        """
        target, uid = request.target, request.uid
        for run in request.runs:
            await self._publisher.publish_experiment_run(run, target, request.fence, uid=uid)
        if (live.get("status") or {}) != request.status:
            live = await self._cluster.change(
                EXPERIMENTS, target.namespace, target.name, request.fence, lambda found: _status(found, request)
            )
        moved = f"{request.run_id}/{request.fence}"
        for run_id, first, events in ((request.run_id, request.first, request.events), (moved, 0, tuple(done))):
            if events:
                await self._publisher.publish_events(
                    PublishEvents(target=target, kind=KIND, uid=uid, run=run_id, first=first, events=events)
                )
        return live


async def living(reader: Reader, request: OfExperiment) -> Object | None:
    """The Experiment object; None where it is gone or going, or another one has its name."""
    found = await reader.find(EXPERIMENTS, request.target.namespace, request.target.name)
    if found is None or uid_of(found) != request.uid or found["metadata"].get("deletionTimestamp"):
        return None
    return found


async def standing(reader: Reader, request: OfExperiment) -> tuple[ExperimentSet, ...]:
    """The ReplicaSets of the experiment, by the names of the templates that it has or had."""
    namespace, found = request.target.namespace, []
    for template in request.templates:
        each = await reader.find(REPLICA_SETS, namespace, f"{request.target.name}-{template}")
        if each is None or not owned_by(each, request.uid):
            continue
        name = wanted_service(each)
        service = await reader.find(SERVICES, namespace, name) if name else None
        found.append(_state(each, template, exposed=service is not None and owned_by(service, request.uid)))
    return tuple(found)


def spec_digest(live: Object) -> str:
    """A short hash of an object's spec."""
    text = json.dumps(live.get("spec") or {}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def state_digest(live: Object | None, sets: Sequence[ExperimentSet]) -> str:
    """A digest of all that a decision is made from; that of a deleted object is another one than of any other."""
    if live is None:
        return "gone"
    rows = [
        (s.name, s.desired, s.current, s.ready, s.available, s.service, s.no_pods, str(s.scale_down_at)) for s in sets
    ]
    instance = (live["metadata"].get("labels") or {}).get(INSTANCE_LABEL)
    text = json.dumps([spec_digest(live), bool(live.get("status")), instance, rows])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_set(wanted: WantedSet, template: Object, request: ExperimentPass) -> Object:
    """The ReplicaSet of a template, with no pods yet.

    Its pods have a hash of their own, as those of an experiment step: its name is hashed with them.
    """
    pods = json.loads(json.dumps(template.get("template") or {}))
    metadata = pods.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: wanted.name}
    hash_ = pod_template_hash(pods)
    metadata["labels"][HASH_LABEL] = hash_
    selector = dict(template.get("selector") or {})
    return {
        "apiVersion": REPLICA_SETS.api_version,
        "kind": REPLICA_SETS.kind,
        "metadata": {
            "name": wanted.name,
            "namespace": request.target.namespace,
            "labels": {HASH_LABEL: hash_},
            "annotations": {
                **_marks(wanted, request),
                **({SERVICE: wanted.service} if wanted.service else {}),
                FENCE_ANNOTATION: str(request.fence),
            },
            "ownerReferences": [replica_sets.owner(request.target.name, request.uid, KIND)],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": template.get("minReadySeconds") or 0,
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: hash_}},
            "template": pods,
        },
    }


def build_service(wanted: WantedSet, found: Object, request: ExperimentPass) -> Object:
    """The Service in front of the ReplicaSet `found`, which the experiment owns, too: it selects its hash alone."""
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {
            "name": wanted.service,
            "namespace": request.target.namespace,
            "annotations": _marks(wanted, request),
            "ownerReferences": [replica_sets.owner(request.target.name, request.uid, KIND)],
        },
        "spec": {"selector": {HASH_LABEL: replica_sets.hash_of(found)}, "ports": container_ports(found)},
    }


def _marks(wanted: WantedSet, request: ExperimentPass) -> dict[str, str]:
    return {EXPERIMENT: request.target.name, TEMPLATE: wanted.template}


def _state(found: Object, template: str, *, exposed: bool) -> ExperimentSet:
    state = replica_sets.state(found)
    return ExperimentSet(
        name=state.name,
        template=template,
        hash=state.hash,
        desired=state.desired,
        current=state.current,
        available=state.available,
        service=wanted_service(found) if exposed else "",
        scale_down_at=state.scale_down_at,
        ready=state.ready,
        no_pods=state.no_pods,
    )


def _resized(found: Object, replicas: int) -> list[Operation]:
    return [put("/spec/replicas", replicas)] if found["spec"].get("replicas") != replicas else []


def _status(found: Object, request: ExperimentPass) -> list[Operation]:
    """Operations that put the status in place. Raises `Conflict` where another object has the name by now."""
    if uid_of(found) != request.uid:
        raise ApplicationError("another Experiment has the name by now", type=ErrorType.CONFLICT)
    return [put("/status", request.status)] if found.get("status") != request.status else []


def _template_of(move: ExperimentMove, sets: Sequence[ExperimentSet]) -> str:
    if isinstance(move, Raise | Expose):
        return move.wanted.template
    return next((each.template for each in sets if move.name in (each.name, each.service)), "")


def _require(found: Object, kind: str, request: ExperimentPass) -> None:
    """The object that was created, or that was there already, has to be this experiment's."""
    if not owned_by(found, request.uid):
        name = f"{request.target.namespace}/{found['metadata']['name']}"
        raise ApplicationError(
            f"{kind} {name} exists and does not belong to Experiment {request.target.name}: delete or rename it",
            type=ErrorType.INVALID_SPEC,
            non_retryable=True,
        )
