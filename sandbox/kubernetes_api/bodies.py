"""Request bodies: decoding within limits."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import yaml
from aiohttp import web

from sandbox.kubernetes_api.objects import Object
from sandbox.kubernetes_api.status import bad_request, too_large, unsupported_media_type

MAX_BYTES = 3 * 1024 * 1024
"""Size of a request body, the limit of the real server."""

_JSON = "application/json"
_YAML = ("application/yaml", "application/x-yaml", "text/yaml")


class _Loader(yaml.SafeLoader):
    """Reads what has a form in JSON: a time stays text."""


def _as_text(loader: _Loader, node: yaml.ScalarNode) -> Any:
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


async def read_object(request: web.Request) -> Any:
    """The decoded JSON or YAML body of a create or update; a missing Content-Type counts as JSON.

    Raises:
        ApiError: 400 when it cannot be decoded, 413, 415 for another media type.
    """
    given = request.content_type if "Content-Type" in request.headers else _JSON
    if given == _JSON:
        return decode_json(await read_bytes(request))
    if given in _YAML:
        return decode_yaml(await read_bytes(request))
    raise unsupported_media_type(given, (_JSON, _YAML[0]))


async def read_options(request: web.Request) -> Object:
    """The DeleteOptions in a body; empty without one.

    Raises:
        ApiError: as `read_object`; 400 when it is no mapping.
    """
    if not await read_bytes(request):
        return {}
    options = await read_object(request)
    if not isinstance(options, dict):
        raise bad_request(f"DeleteOptions must be an object, got {type(options).__name__}")
    return options


async def read_bytes(request: web.Request) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413.
    """
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large(MAX_BYTES) from error


def decode_json(body: bytes) -> Any:
    """A JSON document.

    Raises:
        ApiError: 400.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"error decoding JSON: {error}") from error


def decode_yaml(body: bytes) -> Any:
    """A YAML document, which JSON is too. Aliases are refused: they can make a small body a huge object.

    Raises:
        ApiError: 400.
    """
    with suppress(ValueError, RecursionError):
        return json.loads(body)  # what most clients send, and a hundred times faster
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(body)):
            raise bad_request("error decoding YAML: aliases are not supported")
        document = _Loader(body).get_single_data()
        return json.loads(json.dumps(document))  # keys become text, and what JSON cannot say is found here
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise bad_request(f"error decoding YAML: {error}") from error
