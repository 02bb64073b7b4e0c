"""An address of Temporal that cannot be one is named, with what to set."""

from __future__ import annotations

import pytest

from tidegate.client import ConfigurationError
from tidegate.client.connection import connect_temporal


@pytest.mark.parametrize("address", ["127.0.0.1:7233\n127.0.0.1:7233", "temporal:port", "temporal:99999"])
async def test_what_is_no_address_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(ConfigurationError) as refused:
        await connect_temporal()
    assert "no address can be read there" in refused.value.message
    assert "TEMPORAL_ADDRESS" in refused.value.remedy
    assert "\n" not in refused.value.message
