"""Ingresses with the canaries of ingress-nginx in the words of VirtualServices, so that one translation serves both.

Of a canary Ingress a header counts first, then the weight (ingress-nginx, annotations, canary).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from sandbox.documents import Document, Key, items, mapping, metadata, texts

PREFIX = "nginx.ingress.kubernetes.io"
DEFAULT_TOTAL = 100
Path = tuple[str, str, str]  # host, path, its type


def as_virtual_services(ingresses: Mapping[Key, Document]) -> Iterator[tuple[Key, Document]]:
    """One VirtualService for each host of each Ingress that is no canary, with the canaries of its paths."""
    canaries = {
        (key[0], place): (_annotations(document), backend)
        for key, document in sorted(ingresses.items())
        if _is_canary(document)
        for place, backend in _paths(document)
    }
    for key, document in sorted(ingresses.items()):
        if _is_canary(document):
            continue
        by_host: dict[str, list[tuple[Path, Document]]] = {}
        for place, backend in _paths(document):
            by_host.setdefault(place[0], []).append((place, backend))
        for host, paths in by_host.items():
            http: list[JsonValue] = [
                route
                for place, backend in sorted(paths, key=lambda each: (each[0][2] != "Exact", -len(each[0][1])))
                for route in _routes(key[0], place, backend, canaries.get((key[0], place)))
            ]
            yield key, {"metadata": metadata(document), "spec": {"hosts": [host or "*"], "http": http}}


def _routes(
    namespace: str, place: Path, stable: Document, canary: tuple[Mapping[str, str], Document] | None
) -> Iterator[Document]:
    uri: Document = {"exact" if place[2] == "Exact" else "prefix": place[1] or "/"}
    if canary is None:
        yield {"match": [{"uri": uri}], "route": [_to(namespace, stable, DEFAULT_TOTAL)]}
        return
    annotations, backend = canary
    if header := annotations.get(f"{PREFIX}/canary-by-header"):
        value = annotations.get(f"{PREFIX}/canary-by-header-value", "always")
        headers: Document = {header: {"exact": value}}
        yield {"match": [{"uri": uri, "headers": headers}], "route": [_to(namespace, backend, DEFAULT_TOTAL)]}
    total = int(annotations.get(f"{PREFIX}/canary-weight-total", DEFAULT_TOTAL))
    weight = int(annotations.get(f"{PREFIX}/canary-weight", 0))
    shares = [_to(namespace, stable, total - weight), _to(namespace, backend, weight)]
    yield {"match": [{"uri": uri}], "route": list[JsonValue](shares)}


def _to(namespace: str, backend: Document, weight: int) -> Document:
    service = mapping(backend.get("service"))
    destination: Document = {"host": f"{service.get('name')}.{namespace}"}
    if isinstance(number := mapping(service.get("port")).get("number"), int):
        destination["port"] = {"number": number}
    return {"destination": destination, "weight": weight}


def _paths(document: Document) -> Iterator[tuple[Path, Document]]:
    for rule in items(mapping(document.get("spec")).get("rules")):
        for path in items(mapping(rule.get("http")).get("paths")):
            place = (str(rule.get("host") or ""), str(path.get("path") or "/"), str(path.get("pathType") or "Prefix"))
            yield place, mapping(path.get("backend"))


def _annotations(document: Document) -> dict[str, str]:
    return texts(metadata(document).get("annotations"))


def _is_canary(document: Document) -> bool:
    return _annotations(document).get(f"{PREFIX}/canary") == "true"
