"""Response to the provider `web`: the value at a path in its JSON."""

from __future__ import annotations

import math

import httpx
from pydantic import JsonValue
from pydantic_core import from_json

from activities.metrics.provider import MetricValue, ResponseError
from activities.transport.http import HttpResponse, redirect_refused
from tidegate.analysis.expressions.rendering import json_float, json_string
from tidegate.manifests.jsonpath import JsonPath, PathError

MAX_VALUE_CHARACTERS = 32 * 1024
MAX_QUOTED = 200


def read_value(answer: HttpResponse, url: httpx.URL, path: JsonPath) -> MetricValue:
    """The first value that `path` leads to, as Go decodes JSON: every number is a float. JSON null is no data.

    Raises ResponseError. Two rules are Tidegate's own: an answer that is no JSON is an error (newer versions of Argo
    call it a success), and there is a limit to the size of a value, which is kept in histories.
    """
    _check_status(answer, url)
    try:
        document = from_json(answer.body, allow_inf_nan=False)
    except ValueError as error:
        raise ResponseError(f"Could not parse JSON body: {error}") from None
    try:
        values = path.find(document)
    except PathError as error:
        raise ResponseError(f"Could not find JSONPath in body: {error}") from None
    if not values:
        raise ResponseError("result of web metric produced no value")
    result = _as_go(values[0])
    text = _written(result)
    if len(text) > MAX_VALUE_CHARACTERS:
        raise ResponseError(f"the value has {len(text)} characters of JSON: let jsonPath lead to what is looked at")
    return MetricValue(result, text)


def _check_status(answer: HttpResponse, url: httpx.URL) -> None:
    if 200 <= answer.status < 300:
        return
    message = f"received non 2xx response code: {answer.status}"
    if 300 <= answer.status < 400:
        raise ResponseError(f"{message}: {redirect_refused(answer, url, 'url')}")
    quoted = " ".join(answer.quoted.split())[:MAX_QUOTED]
    raise ResponseError(f"{message} {quoted}".rstrip())


def _as_go(value: JsonValue) -> JsonValue:
    match value:
        case list():
            return [_as_go(item) for item in value]
        case dict():
            return {key: _as_go(item) for key, item in value.items()}
        case bool():
            return value
        case int() | float():
            return _float(value)
    return value


def _float(number: float) -> float:
    try:
        converted = float(number)
    except OverflowError:
        converted = math.inf
    if math.isinf(converted):
        raise ResponseError("Could not parse JSON body: a number does not fit into a float64")
    return converted


def _written(value: JsonValue) -> str:
    """JSON as Go writes it: no spaces, keys in order, numbers in their shortest form."""
    match value:
        case list():
            return f"[{','.join(map(_written, value))}]"
        case dict():
            return f"{{{','.join(f'{json_string(key)}:{_written(value[key])}' for key in sorted(value))}}}"
        case str():
            return json_string(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
    return json_float(value)
