"""HTTPRoutes in the words of a VirtualService, so that one translation serves both.

A request takes the most specific match of all rules, and of equal ones the first (gateway-api, apis/v1, HTTPRouteRule).
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from sandbox.documents import Document, Key, items, mapping, metadata

PATHS = {"Exact": "exact", "PathPrefix": "prefix", "RegularExpression": "regex"}
DEFAULT_WEIGHT = 1


def as_virtual_service(key: Key, route: Document) -> Document:
    """The VirtualService that does what an HTTPRoute says; only matches, backends and timeouts are translated."""
    spec = mapping(route.get("spec"))
    matches = [
        (_precedence(match), number, match, rule)
        for number, rule in enumerate(items(spec.get("rules")))
        for match in items(rule.get("matches")) or [{}]
    ]
    http: list[JsonValue] = [
        {"match": [_match(match)], "route": list(_destinations(key[0], rule)), **_timeout(rule)}
        for _, _, match, rule in sorted(matches, key=lambda each: (each[0], each[1]))
    ]
    return {"metadata": metadata(route), "spec": {"hosts": spec.get("hostnames") or ["*"], "http": http}}


def _precedence(match: Document) -> tuple[int, int, int, int, int]:
    """Sort key of a match, the most specific first: exact path, long path, method, many headers, many parameters."""
    path = mapping(match.get("path"))
    return (
        -(path.get("type") == "Exact"),
        -len(str(path.get("value") or "/")),
        -("method" in match),
        -len(items(match.get("headers"))),
        -len(items(match.get("queryParams"))),
    )


def _match(match: Document) -> Document:
    path = mapping(match.get("path"))
    uri: Document = {PATHS[str(path.get("type") or "PathPrefix")]: str(path.get("value") or "/")}
    found: Document = {"uri": uri}
    if "method" in match:
        found["method"] = {"exact": match["method"]}
    for name, target in (("headers", "headers"), ("queryParams", "queryParams")):
        if given := items(match.get(name)):
            found[target] = {str(each.get("name")): {PATHS[_kind(each)]: each.get("value")} for each in given}
    return found


def _kind(match: Document) -> str:
    return str(match.get("type") or "Exact")


def _destinations(namespace: str, rule: Document) -> Iterator[Document]:
    for each in items(rule.get("backendRefs")):
        weight = each.get("weight")
        where = each.get("namespace") or namespace
        destination: Document = {"host": f"{each.get('name')}.{where}"}
        if isinstance(port := each.get("port"), int):
            destination["port"] = {"number": port}
        yield {"destination": destination, "weight": DEFAULT_WEIGHT if weight is None else weight}


def _timeout(rule: Document) -> Document:
    timeout = mapping(rule.get("timeouts")).get("request")
    return {"timeout": timeout} if timeout else {}
