from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sandbox.kubernetes_api import KubernetesApi
from tests.sandbox.kubernetes.kube import Kube, serving


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with serving(KubernetesApi()) as client:
        yield client
