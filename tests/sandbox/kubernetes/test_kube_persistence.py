from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.kubernetes_api import KubernetesApi
from tests.sandbox.kubernetes.kube import APPS, CORE, Kube, pod, serving, workload

AUTHENTICATION = "/apis/authentication.k8s.io/v1/tokenreviews"


async def token(kube: Kube) -> str:
    answer = await kube.create(f"{CORE}/serviceaccounts/default/token", {"spec": {"audiences": ["vault"]}})
    return str(answer["status"]["token"])


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    async with serving(KubernetesApi(state_file=state)) as kube:
        await kube.create(f"{APPS}/deployments", workload("Deployment", "web"))
        await kube.patch(f"{APPS}/deployments/web", {"spec": {"replicas": 3}})
        await kube.create(f"{CORE}/pods", pod("gone"))
        await kube.delete(f"{CORE}/pods/gone")
        before, version = await kube.get(f"{APPS}/deployments/web"), kube.api.store.version
        old_token = await token(kube)
    async with serving(KubernetesApi(state_file=state)) as kube:
        assert await kube.get(f"{APPS}/deployments/web") == before
        assert await kube.names(f"{CORE}/pods") == []
        assert kube.api.store.version == version
        review = await kube.create(AUTHENTICATION, {"spec": {"token": old_token, "audiences": ["vault"]}})
        assert review["status"]["authenticated"] is True
        async with kube.watch(f"{CORE}/pods", f"resourceVersion={version - 1}") as events:
            assert [event["object"]["code"] async for event in events] == [410]
        later = await kube.create(f"{CORE}/pods", pod("p"))
        assert int(later["metadata"]["resourceVersion"]) == version + 1


async def test_what_is_answered_is_on_file_without_a_good_end(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    async with serving(KubernetesApi(state_file=state)) as first:
        await first.create(f"{CORE}/pods", pod("p"))
        async with serving(KubernetesApi(state_file=state)) as second:  # as after a kill: the first has closed nothing
            assert await second.names(f"{CORE}/pods") == ["p"]


def test_a_file_that_is_no_state_is_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("not a database, and long enough to be looked at as one" * 40)
    with pytest.raises(ValueError, match=r"notes\.txt: not a state file"):
        KubernetesApi(state_file=other)
