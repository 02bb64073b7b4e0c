"""Traffic activities against the embedded Kubernetes API: what is written, refused, read back and told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import FENCE_ANNOTATION, SERVICES, VIRTUAL_SERVICES, Object
from activities.routers.required_pods import RequiredPods
from activities.routers.router import ExperimentWeight, ManagedStep
from activities.routers.traffic import ROUNDS, RouteWrite, Traffic
from tests.activities.mesh import TARGET, Meddler, Mesh, serving
from tidegate.contract import (
    ErrorType,
    Fence,
    RestoreStable,
    Routing,
    TrafficState,
)
from tidegate.manifests.rollout import IstioVirtualService
from tidegate.manifests.steps import SetHeaderRoute, SetMirrorRoute

HEADER = SetHeaderRoute.model_validate(
    {"name": "hdr", "match": [{"headerName": "agent", "headerValue": {"exact": "firefox"}}]}
)
MIRROR = SetMirrorRoute.model_validate({"name": "mir", "percentage": 50, "match": [{"method": {"exact": "GET"}}]})


def istio(*given: str | dict[str, Any], **more: Any) -> Routing:
    """Routing by VirtualServices, each given by its name or by its whole setting."""
    settings = [{"name": each} if isinstance(each, str) else each for each in given or ("vs",)]
    return Routing(
        stable_service="stable",
        canary_service="canary",
        virtual_services=tuple(map(IstioVirtualService.model_validate, settings)),
        managed_routes=("hdr", "mir"),
        **more,
    )


def route(stable: int = 100, canary: int = 0, **more: Any) -> Object:
    destinations = [
        {"destination": {"host": "stable"}, "weight": stable},
        {"destination": {"host": "canary"}, "weight": canary},
    ]
    return {"route": destinations, **more}


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with serving() as running:
        await running.virtual_service("vs", http=[route(timeout="5s")])
        await running.replica_set("new", wanted=2, available=2, hash_="new")
        await running.replica_set("old", wanted=4, available=4, hash_="old")
        yield running


def shift(mesh: Mesh, weight: int, *, traffic: Traffic | None = None, **more: Any) -> Awaitable[TrafficState]:
    write = RouteWrite(
        TARGET, more.pop("routing", istio()), more.pop("fence", None) or mesh.fence(), more.pop("last", None)
    )
    return (traffic or mesh.traffic).set_weight(write, weight, **{"canary": RequiredPods("new", 1)} | more)


def restore(mesh: Mesh, **more: Any) -> Awaitable[TrafficState]:
    given = {"target": TARGET, "routing": istio(), "stable_hash": ""} | more
    return mesh.traffic.restore_stable(RestoreStable(fence=mesh.fence(), **given))


def managed(mesh: Mesh, step: ManagedStep, where: Routing | None = None) -> Awaitable[TrafficState]:
    write = RouteWrite(TARGET, where or istio(), mesh.fence())
    return mesh.traffic.set_managed_route(write, step, RequiredPods("new", 1))


async def refused(work: Awaitable[Any], kind: ErrorType) -> str:
    with pytest.raises(ApplicationError) as caught:
        await work
    assert caught.value.type == kind
    return caught.value.message


class TestReadyBeforeWeight:
    async def test_canary_pods_come_before_their_weight(self, mesh: Mesh) -> None:
        message = await refused(shift(mesh, 25, canary=RequiredPods("new", 3)), ErrorType.NOT_READY)
        assert message == "weight 25 refused: ReplicaSet new has 2 available pods, 3 are needed"
        assert await mesh.weights("vs") == [100, 0]

    async def test_stable_pods_must_be_there_for_their_share(self, mesh: Mesh) -> None:
        await mesh.edit("vs", {"op": "add", "path": "/spec/http/0/route", "value": route(20, 80)["route"]})
        await mesh.pods("old", 1)
        message = await refused(shift(mesh, 50, stable=RequiredPods("old", 2)), ErrorType.NOT_READY)
        assert message == "weight 50 refused: ReplicaSet old has 1 available pods, 2 are needed"
        assert await mesh.weights("vs") == [20, 80]
        await restore(mesh)
        assert await mesh.weights("vs") == [100, 0], "an abort waits for no pods"

    async def test_canary_pods_come_before_a_header_route(self, mesh: Mesh) -> None:
        await mesh.pods("new", 0)
        message = await refused(managed(mesh, HEADER), ErrorType.NOT_READY)
        assert "route hdr refused" in message
        await managed(mesh, SetHeaderRoute(name="hdr"))
        assert len((await mesh.spec("vs"))["http"]) == 1, "a removal waits for none"


class TestWriting:
    async def test_a_weight_is_written_and_read_back(self, mesh: Mesh) -> None:
        state = await shift(mesh, 10)
        [row] = state.routes
        assert (state.canary, row.stable, row.canary, row.route) == (10, 90, 10, "http[0]")
        assert state.updated == ("vs.default",)
        assert await mesh.weights("vs") == [90, 10]

    async def test_a_repeated_write_changes_nothing_at_all(self, mesh: Mesh) -> None:
        fence = mesh.fence()
        await shift(mesh, 10, fence=fence)
        before = await mesh.now(VIRTUAL_SERVICES, "vs")
        state = await shift(mesh, 10, fence=fence)
        assert (state.updated, state.external_changes) == ((), ())
        assert await mesh.now(VIRTUAL_SERVICES, "vs") == before

    async def test_a_write_that_finds_its_weight_leaves_only_its_fence(self, mesh: Mesh) -> None:
        before = await mesh.now(VIRTUAL_SERVICES, "vs")
        fence = mesh.fence()
        state = await shift(mesh, 0, fence=fence)
        after = await mesh.now(VIRTUAL_SERVICES, "vs")
        assert state.updated == ()
        assert after["metadata"]["generation"] == before["metadata"]["generation"]
        assert after["metadata"]["annotations"] == {FENCE_ANNOTATION: str(fence)}

    async def test_late_and_earlier_writes_are_refused_after_the_way_back(self, mesh: Mesh) -> None:
        await mesh.service("canary")
        late = mesh.fence()
        await restore(mesh, stable_hash="old")
        await refused(shift(mesh, 50, fence=late), ErrorType.STALE_WRITE)
        await refused(shift(mesh, 50, fence=Fence(epoch=0, sequence=99)), ErrorType.STALE_WRITE)
        assert await mesh.weights("vs") == [100, 0], "the way back wrote its fence although the weights stood already"
        service = await mesh.now(SERVICES, "canary")
        assert service["spec"]["selector"] == {"app": "shop", "rollouts-pod-template-hash": "old"}

    async def test_layer_4_routes_follow(self, mesh: Mesh) -> None:
        tls = {"match": [{"port": 443, "sniHosts": ["b", "a"]}], **route()}
        other = {"match": [{"port": 443, "sniHosts": ["c"]}], **route()}
        await mesh.virtual_service("l4", tls=[other, tls], tcp=[{"match": [{"port": 9000}], **route()}])
        setting = {"name": "l4", "tlsRoutes": [{"port": 443, "sniHosts": ["a", "b"]}], "tcpRoutes": [{"port": 9000}]}
        state = await shift(mesh, 30, routing=istio(setting))
        assert [(row.route, row.canary) for row in state.routes] == [("tls[1]", 30), ("tcp[0]", 30)]
        spec = await mesh.spec("l4")
        assert spec["tls"][0] == other
        assert [each["weight"] for each in spec["tls"][1]["route"]] == [70, 30]

    async def test_experiments_come_out_of_stables_share_and_go_again(self, mesh: Mesh) -> None:
        experiment = ExperimentWeight(service="exp", weight=15)
        state = await shift(mesh, 20, experiments=[experiment])
        assert (state.routes[0].stable, state.routes[0].others) == (65, {"exp": 15})
        state = await shift(mesh, 20)
        [removed] = state.removed
        assert (removed.destination, removed.weight, removed.route) == ("exp", 15, "http[0]")
        assert await mesh.weights("vs") == [80, 20]

    async def test_an_experiments_pods_come_before_its_share(self, mesh: Mesh) -> None:
        experiment = ExperimentWeight(service="exp", weight=15, pods=RequiredPods("old", 5))
        message = await refused(shift(mesh, 20, experiments=[experiment]), ErrorType.NOT_READY)
        assert message == "share 15 of exp refused: ReplicaSet old has 4 available pods, 5 are needed"
        assert await mesh.weights("vs") == [100, 0]

    async def test_an_experiments_host_is_written_as_stables_is(self, mesh: Mesh) -> None:
        hosts = [{"destination": {"host": f"{side}.shop.svc"}, "weight": 50} for side in ("stable", "canary")]
        await mesh.virtual_service("far", http=[{"route": hosts}])
        state = await shift(mesh, 20, routing=istio("far"), experiments=[ExperimentWeight(service="exp", weight=15)])
        assert state.routes[0].others == {"exp.shop.svc": 15}


class TestSeveral:
    async def test_nothing_is_written_while_one_of_several_is_missing(self, mesh: Mesh) -> None:
        message = await refused(shift(mesh, 10, routing=istio("vs", "gone")), ErrorType.NOT_FOUND)
        assert 'virtualservices.networking.istio.io "gone" not found' in message
        assert await mesh.weights("vs") == [100, 0]

    async def test_nothing_is_written_while_one_of_several_has_no_canary(self, mesh: Mesh) -> None:
        await mesh.virtual_service("half", http=[{"route": route()["route"][:1]}])
        message = await refused(shift(mesh, 10, routing=istio("vs", "half")), ErrorType.INVALID_SPEC)
        assert message == "VirtualService half: Canary Service 'canary' not found in route"
        assert await mesh.weights("vs") == [100, 0]

    async def test_an_abort_restores_those_that_are_left(self, mesh: Mesh) -> None:
        both = istio("gone", "vs", "half")
        await mesh.virtual_service("half", http=[{"route": route()["route"][:1]}])
        await shift(mesh, 40)
        state = await restore(mesh, routing=both)
        assert state.missing == ("gone.default",)
        assert state.updated == ("vs.default",)
        assert await mesh.weights("vs") == [100, 0]

    async def test_an_abort_moves_the_service_where_routes_cannot_be_understood(self, mesh: Mesh) -> None:
        await mesh.service("canary")
        await mesh.virtual_service("odd", http=[{"route": route()["route"][1:]}])
        await shift(mesh, 40)
        work = restore(mesh, routing=istio("odd", "vs"), stable_hash="old")
        message = await refused(work, ErrorType.INVALID_SPEC)
        assert message == "VirtualService odd: route http[0] has no stable side to go back to"
        assert await mesh.weights("vs") == [100, 0]
        service = await mesh.now(SERVICES, "canary")
        assert service["spec"]["selector"]["rollouts-pod-template-hash"] == "old"


class TestManagedRoutes:
    async def test_all_in_a_row_and_back_byte_for_byte(self, mesh: Mesh) -> None:
        unknown = {"retries": {"attempts": 3, "x-new": [{"b": 1, "a": None}]}, "corsPolicy": {"allowOrigins": []}}
        other = {"name": "other", "match": [{"uri": {"prefix": "/x"}}], **route()}
        await mesh.virtual_service("full", http=[other, route(name="primary", **unknown)], gateways=["gw"])
        before = json.dumps(await mesh.spec("full"))
        full = istio({"name": "full", "routes": ["primary"]})

        await managed(mesh, MIRROR, full)
        await shift(mesh, 30, routing=full)
        state = await managed(mesh, HEADER, full)
        assert [each.route for each in state.managed] == ["hdr", "mir"]
        header, mirror, *theirs = (await mesh.spec("full"))["http"]
        assert header["route"] == [{"destination": {"host": "canary"}, "weight": 100}]
        assert [each["weight"] for each in mirror["route"]] == [70, 30], "a mirror's weights follow"
        assert [each["name"] for each in theirs] == ["other", "primary"]
        assert {row.route: row.canary for row in state.routes} == {"mir": 30, "primary": 30}

        state = await restore(mesh, routing=full, last=state)
        assert (state.canary, state.managed, state.external_changes) == (0, (), ())
        assert json.dumps(await mesh.spec("full")) == before

    async def test_removing_them_leaves_the_weights(self, mesh: Mesh) -> None:
        await shift(mesh, 30)
        await managed(mesh, HEADER)
        state = await managed(mesh, SetHeaderRoute(name="hdr"))
        assert (state.canary, state.managed) == (30, ())
        assert await mesh.weights("vs") == [70, 30]

    async def test_a_step_leads_to_the_canary_of_another_namespace_as_its_route_does(self, mesh: Mesh) -> None:
        await mesh.create(SERVICES, {"metadata": {"name": "unused"}, "spec": {"ports": [{"port": 1}]}})
        far = [{"destination": {"host": f"{name}.default"}, "weight": weight} for name, weight in SHARES.items()]
        await mesh.virtual_service("far", "kube-system", http=[{"route": far}])
        await managed(mesh, HEADER, istio("far.kube-system"))
        header, _ = (await mesh.spec("far", "kube-system"))["http"]
        assert header["route"][0]["destination"] == {"host": "canary.default"}

    async def test_a_host_of_the_rule_and_its_subset_are_used(self, mesh: Mesh) -> None:
        await mesh.destination_rule("dr", {"name": "new"}, {"name": "old"})
        port = {"port": {"number": 8443}}
        subsets = [
            {"destination": {"host": "web", "subset": name, **port}, "weight": weight}
            for name, weight in {"old": 100, "new": 0}.items()
        ]
        await mesh.virtual_service("sub", http=[{"route": subsets}])
        rule = {"name": "dr", "canarySubsetName": "new", "stableSubsetName": "old"}
        await managed(mesh, HEADER, istio("sub", destination_rule=rule))
        header, _ = (await mesh.spec("sub"))["http"]
        assert header["route"] == [{"destination": {"host": "svc", "subset": "new", **port}, "weight": 100}]

    async def test_a_route_that_is_not_declared_is_refused(self, mesh: Mesh) -> None:
        stranger = HEADER.model_copy(update={"name": "stranger"})
        message = await refused(managed(mesh, stranger), ErrorType.INVALID_SPEC)
        assert "route 'stranger' is not one of trafficRouting.managedRoutes" in message


SHARES = {"stable": 100, "canary": 0}


class TestOthersEdits:
    async def test_edits_in_between_are_kept(self, mesh: Mesh) -> None:
        external_editor = Meddler(mesh)
        external_editor.before = [
            lambda: mesh.edit("vs", {"op": "add", "path": "/metadata/labels", "value": {"n": "1"}}),
            lambda: mesh.edit("vs", {"op": "add", "path": "/spec/http/0", "value": route(name="urgent")}),
        ]
        named = istio({"name": "vs", "routes": ["primary"]})
        await mesh.edit("vs", {"op": "add", "path": "/spec/http/0/name", "value": "primary"})
        async with external_editor.between() as traffic:
            await shift(mesh, 10, traffic=traffic, routing=named)
        stands = await mesh.now(VIRTUAL_SERVICES, "vs")
        assert stands["metadata"]["labels"] == {"n": "1"}
        assert stands["spec"]["http"] == [route(name="urgent"), route(90, 10, timeout="5s", name="primary")]

    async def test_an_editor_between_read_and_write_is_overwritten_and_named(self, mesh: Mesh) -> None:
        last = await shift(mesh, 10)
        external_editor = Meddler(mesh)
        external_editor.before.append(lambda: edit_weights(mesh, 50, 50))
        async with external_editor.between() as traffic:
            state = await shift(mesh, 20, traffic=traffic, last=last)
        [external_changes] = state.external_changes
        assert external_changes.what == "stable 50 %, canary 50 % instead of stable 90 %, canary 10 %"
        assert (external_changes.name, external_changes.route, external_changes.manager) == (
            "vs",
            "http[0]",
            "kubectl-edit",
        )
        assert await mesh.weights("vs") == [80, 20]

    async def test_an_edit_that_is_what_the_release_wants_is_no_fight(self, mesh: Mesh) -> None:
        last = await shift(mesh, 10)
        await edit_weights(mesh, 80, 20)
        assert (await shift(mesh, 20, last=last)).external_changes == ()

    async def test_a_write_that_is_undone_at_once_is_repeated_and_told(self, mesh: Mesh) -> None:
        external_editor = Meddler(mesh)
        external_editor.after.append(lambda: edit_weights(mesh, 100, 0))
        async with external_editor.between() as traffic:
            state = await shift(mesh, 20, traffic=traffic)
        [external_changes] = state.external_changes
        assert external_changes.what == "stable 100 %, canary 0 % instead of stable 80 %, canary 20 %"
        assert await mesh.weights("vs") == [80, 20]

    async def test_a_write_that_never_stands_is_a_conflict_with_somebody(self, mesh: Mesh) -> None:
        external_editor = Meddler(mesh)
        external_editor.after = [lambda: edit_weights(mesh, 100, 0)] * ROUNDS
        async with external_editor.between() as traffic:
            message = await refused(shift(mesh, 20, traffic=traffic), ErrorType.CONFLICT)
        assert message == f"VirtualService default/vs was changed after each of {ROUNDS} writes by kubectl-edit"

    async def test_a_managed_route_that_somebody_removed_is_missed(self, mesh: Mesh) -> None:
        last = await managed(mesh, HEADER)
        await mesh.edit("vs", {"op": "remove", "path": "/spec/http/0"})
        state = await shift(mesh, 20, last=last)
        assert [(each.route, each.what) for each in state.external_changes] == [("hdr", "the managed route is gone")]

    async def test_an_abort_says_what_it_found(self, mesh: Mesh) -> None:
        last = await shift(mesh, 20)
        await edit_weights(mesh, 0, 100)
        state = await restore(mesh, last=last)
        assert [each.what for each in state.external_changes] == [
            "stable 0 %, canary 100 % instead of stable 80 %, canary 20 %"
        ]
        assert await mesh.weights("vs") == [100, 0]


async def edit_weights(mesh: Mesh, stable: int, canary: int) -> None:
    path = "/spec/http/0/route"
    await mesh.edit(
        "vs",
        {"op": "add", "path": f"{path}/0/weight", "value": stable},
        {"op": "add", "path": f"{path}/1/weight", "value": canary},
    )
