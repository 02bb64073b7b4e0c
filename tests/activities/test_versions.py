"""The versions of a Rollout are found among those of a namespace without reading the others' templates."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from activities.kubernetes.client import Cluster, Object, Resource
from activities.kubernetes.versions import Versions
from sandbox.kubernetes_api import KubernetesApi
from tests.activities.test_informers import NAMESPACE, SETS, WRITER, replica_set
from tests.sandbox.kubernetes.kube import serving
from tidegate.contract import Target


class Noting:
    """Reads through a cluster, and notes which objects came."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.read: list[str] = []
        self.find, self.names = cluster.find, cluster.names

    async def select(
        self,
        resource: Resource,
        namespace: str,
        labels: Mapping[str, str | Collection[str] | None],
        *,
        rollout: str = "",
        lagging: bool = False,
    ) -> list[Object]:
        found = await self._cluster.select(resource, namespace, labels, rollout=rollout, lagging=lagging)
        self.read += [each["metadata"]["name"] for each in found]
        return found


async def test_only_versions_that_may_be_the_rollouts_are_read() -> None:
    api = KubernetesApi()
    for name, hash_ in (("shop", "a1"), ("shop", "b2"), ("till", "c3"), ("shop-front", "d4")):
        api.cluster.create(SETS, replica_set(name, hash_), WRITER, namespace=NAMESPACE)
    async with serving(api):
        cluster = await Cluster.connect(url=api.url)
        try:
            reader = Noting(cluster)
            await Versions(reader).sets(Target(namespace=NAMESPACE, name="shop"), "")
            assert sorted(reader.read) == ["shop-a1", "shop-b2"]
            assert await Versions(reader).sets(Target(namespace=NAMESPACE, name="none"), "") == []
        finally:
            await cluster.close()
