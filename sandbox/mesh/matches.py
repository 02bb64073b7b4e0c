"""HTTPMatchRequest of a VirtualService as Envoy's RouteMatch."""

from __future__ import annotations

from pydantic import JsonValue

from sandbox.documents import Document, mapping

ANY: Document = {"prefix": "/"}
PSEUDO_HEADERS = {"method": ":method", "authority": ":authority", "scheme": ":scheme"}
SUPPORTED = {"name", "uri", "ignoreUriCase", "headers", "withoutHeaders", "queryParams", *PSEUDO_HEADERS}


class UnsupportedError(ValueError):
    """A field that this mesh does not implement; the message names it."""


def route_match(match: Document) -> Document:
    """Envoy's form of one entry of `match`. Raises UnsupportedError naming what cannot be matched on here."""
    unknown = sorted(match.keys() - SUPPORTED)
    if unknown:
        raise UnsupportedError(f"match on {', '.join(unknown)}")
    result = _path(mapping(match.get("uri")))
    if match.get("ignoreUriCase") is True:
        result["case_sensitive"] = False
    headers: list[JsonValue] = [
        _header(PSEUDO_HEADERS[field], value)
        for field, value in match.items()
        if field in PSEUDO_HEADERS and value is not None
    ]
    headers += [_header(name, value) for name, value in mapping(match.get("headers")).items()]
    headers += [
        {**_header(name, value), "invert_match": True} for name, value in mapping(match.get("withoutHeaders")).items()
    ]
    if headers:
        result["headers"] = headers
    parameters: list[JsonValue] = [
        {"name": name, "string_match": _string(value)} for name, value in mapping(match.get("queryParams")).items()
    ]
    if parameters:
        result["query_parameters"] = parameters
    return result


def _path(uri: Document) -> Document:
    if not uri:
        return dict(ANY)
    kind, value = _pattern(uri)
    if kind == "exact":
        return {"path": value}
    if kind == "prefix":
        return {"prefix": value}
    return {"safe_regex": {"regex": value}}


def _header(name: str, pattern: JsonValue) -> Document:
    """A header matcher; an empty pattern asks only that the header is there."""
    if not mapping(pattern):
        return {"name": name.lower(), "present_match": True}
    return {"name": name.lower(), "string_match": _string(pattern)}


def _string(pattern: JsonValue) -> Document:
    kind, value = _pattern(mapping(pattern))
    return {"safe_regex": {"regex": value}} if kind == "regex" else {kind: value}


def _pattern(pattern: Document) -> tuple[str, str]:
    """The one of exact, prefix and regex that Istio's StringMatch `pattern` is."""
    for kind in ("exact", "prefix", "regex"):
        value = pattern.get(kind)
        if isinstance(value, str):
            return kind, value
    raise UnsupportedError(f"a pattern {pattern!r} that is none of exact, prefix, regex")
