"""The Temporal client, configured as the `temporal` CLI is: profiles in its file, then environment variables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client, Interceptor
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime
from temporalio.service import TLSConfig

from tidegate.client.codec import data_converter_from_environment
from tidegate.client.errors import ConfigurationError, UnreachableError
from tidegate.manifests.plain_text import one_line

DEFAULT_ADDRESS = "localhost:7233"
CONNECT_TIMEOUT = timedelta(seconds=5)


async def connect_temporal(
    profile: str | None = None,
    *,
    identity: str | None = None,
    converter: DataConverter | None = None,
    interceptors: Sequence[Interceptor] = (),
    runtime: Runtime | None = None,
    api_key: str | None = None,
) -> Client:
    """Connect with the settings of `profile` (default: `TEMPORAL_PROFILE`, else `default`).

    `identity` is what Temporal records beside every call, `converter` comes from `data_converter` (by default, with the
    keys of the environment); `api_key` comes before TEMPORAL_API_KEY, and may be set anew on the client. Raises
    `ConfigurationError` for a profile or keys that cannot be used and `UnreachableError` when no server answers at its
    address.
    """
    settings = _load(profile)
    if api_key is not None:
        settings["api_key"] = api_key
    address = settings.setdefault("target_host", DEFAULT_ADDRESS)
    try:
        return await Client.connect(
            data_converter=converter or data_converter_from_environment(),
            identity=identity,
            interceptors=interceptors,
            runtime=runtime,
            connect_timeout=CONNECT_TIMEOUT,
            **settings,
        )
    except ValueError as error:
        raise ConfigurationError(
            f"Temporal at {one_line(address)!r}: no address can be read there: {error}",
            "set TEMPORAL_ADDRESS (or the profile's address) to a host and a port, such as temporal.internal:7233",
        ) from error
    except RuntimeError as error:
        raise UnreachableError(
            f"Temporal at {address} does not answer{_why(error)}",
            "start it, or set TEMPORAL_ADDRESS (or TEMPORAL_PROFILE) to the server in use",
        ) from error


def _why(error: RuntimeError) -> str:
    """The operating system's words in an error of the SDK, which is a dump of nested errors; else all of it."""
    text = str(error)
    found = re.search(r'message: "([^"]+)"', text)
    return f": {found[1]}" if found else f": {text}"


def temporal_tls(profile: str | None = None) -> bool | TLSConfig | None:
    """TLS settings of `connect_temporal`, with the certificates that are in their files now.

    Raises `ConfigurationError`.
    """
    return _load(profile).get("tls")


def _load(profile: str | None) -> ClientConnectConfig:
    try:
        return ClientConfig.load_client_connect_config(profile)
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"Temporal connection: {error}",
            "see `temporal config list`, and the variables TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE and TEMPORAL_TLS_*",
        ) from error
