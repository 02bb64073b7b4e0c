"""YAML and JSON text read into plain data in which every field still knows its file and line."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any, BinaryIO, NamedTuple

import yaml
from pydantic import JsonValue

from tidegate.manifests.findings import Finding, ManifestError, Path, Severity, path_text, value_text
from tidegate.manifests.yaml_loader import BOOLEANS, MAX_DEPTH, TAG, Loader

MAX_BYTES = 1024 * 1024
MAX_NODES = 50_000
MAX_FAULTS = 20  # that are said of one text
_START = re.compile(r"---(?=\s|$)")
STDIN = "<stdin>"
"""What findings call the standard input."""


class SourceLocation(NamedTuple):
    """File and line, counted from 1."""

    file: str
    line: int


@dataclass(frozen=True)
class Document:
    """One object of a file: its data, and the place of every field."""

    data: JsonValue
    locations: Mapping[Path, SourceLocation] = field(default_factory=dict)

    def location(self, path: Path = ()) -> SourceLocation:
        """Location of a field, or of the nearest field around it that is written in the file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.locations:
                return self.locations[path[:length]]
        return SourceLocation("", 0)

    def value(self, path: Path) -> JsonValue:
        """Value at a path; None without one."""
        data = self.data
        for part in path:
            if isinstance(data, dict) and isinstance(part, str):
                data = data.get(part)
            elif isinstance(data, list) and isinstance(part, int) and 0 <= part < len(data):
                data = data[part]
            else:
                return None
        return data

    def finding(
        self, severity: Severity, code: str, path: Path, message: str, *, value: object = None, **more: str
    ) -> Finding:
        """A finding about the field at a path; `more` are `remedy` and `object`."""
        location = self.location(path)
        return Finding(
            severity=severity,
            code=code,
            message=message,
            file=location.file,
            line=location.line,
            path=path_text(path),
            value=value_text(value),
            **more,
        )

    def refused(self, code: str, path: Path, message: str, *, value: object = None, remedy: str = "") -> ManifestError:
        """The error that refuses the document for one field."""
        return ManifestError([self.finding(Severity.ERROR, code, path, message, value=value, remedy=remedy)])

    def without(self, path: Path) -> Document:
        """The document without the field at a path; without the whole list where that is an entry of one."""
        while path and isinstance(path[-1], int):
            path = path[:-1]
        held = self.value(path[:-1])
        if not path or not isinstance(held, dict):
            return self
        kept = {key: value for key, value in held.items() if key != path[-1]}
        return replace(self, data=_replaced(self.data, path[:-1], kept))

    def items(self, path: Path, defaults: Mapping[str, JsonValue]) -> list[Document]:
        """Items of a list at a path, each as a document of its own; fields that one omits are `defaults`."""
        found = self.value(path)
        items = found if isinstance(found, list) else []
        locations: list[dict[Path, SourceLocation]] = [{} for _ in items]
        depth = len(path)
        for at, location in self.locations.items():
            index = at[depth] if len(at) > depth and at[:depth] == path else None
            if isinstance(index, int):
                locations[index][at[depth + 1 :]] = location
        return [
            Document({**defaults, **item} if isinstance(item, dict) else item, where)
            for item, where in zip(items, locations, strict=True)
        ]

    def replaced(self, path: Path, value: JsonValue, location: SourceLocation) -> Document:
        """The document with another value at a path that exists. Raises KeyError where it does not."""
        locations = {at: found for at, found in self.locations.items() if at[: len(path)] != path}
        return replace(self, data=_replaced(self.data, path, value), locations={**locations, path: location})


def read_documents(text: str, file: str) -> list[Document]:
    """Documents of a YAML or JSON text; empty ones are left out.

    Scalars mean what they mean to Kubernetes: no dates, no sixty-based numbers, and `y` is true. Raises ManifestError
    for text that is no YAML, for a key given twice, for tags, and for what exceeds MAX_NODES or MAX_DEPTH once anchors
    are followed. It holds every fault, at most MAX_FAULTS of them; its rest are the documents that can be read, without
    the fields at fault.
    """
    documents: list[Document] = []
    findings: list[Finding] = []
    for node, line in _composed(text, file, findings):
        if node is not None and not _is_null(node):
            try:
                documents.append(_Reader(file, line).document(node))
            except ManifestError as error:
                findings += error.findings
                documents += error.rest if isinstance(error.rest, list) else []
    if findings:
        raise ManifestError(findings[:MAX_FAULTS], rest=documents)
    return documents


def _composed(text: str, file: str, findings: list[Finding]) -> Iterator[tuple[yaml.Node | None, int]]:
    """The nodes of a text, each with the line that its own are counted from; what is no YAML is added to `findings`.

    A document ends where the text is none, and another one begins with the next line of `---`.
    """
    broken = yield from _nodes(text, file, 0, findings)
    if broken is None:
        return
    for part, line in _parts(text, broken):
        yield from _nodes(part, file, line, findings)
        if len(findings) >= MAX_FAULTS:
            return


def _nodes(
    text: str, file: str, line: int, findings: list[Finding]
) -> Generator[tuple[yaml.Node | None, int], None, int | None]:
    """Nodes of a text until it is no YAML any more; returns where another document may begin, None where none does."""
    try:
        for node in yaml.compose_all(text, Loader):
            yield node, line
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(filter(None, [error.problem, error.context])) or "no YAML"
        findings += _refused(SourceLocation(file, line + (mark.line if mark else 0) + 1), "yaml", message).findings
        return mark.line + (mark.column > 0) if mark else None
    except yaml.reader.ReaderError as error:
        at = text.count("\n", 0, error.position) + 1
        findings += _refused(
            SourceLocation(file, at), "yaml", f"the character #x{error.character:04x} is not allowed"
        ).findings
    except yaml.YAMLError as error:
        findings += _refused(SourceLocation(file, line + 1), "yaml", str(error).replace("\n", " ")).findings
    return None


def _parts(text: str, line: int) -> Iterator[tuple[str, int]]:
    """The documents of a text that begin with `---` in this line (counted from 0) or below, each with its line."""
    lines = text.splitlines(keepends=True)
    starts = [number for number in range(line, len(lines)) if _START.match(lines[number])]
    for first, end in pairwise([*starts, len(lines)]):
        yield "".join(lines[first:end]), first


def read_file(path: FilePath) -> list[Document]:
    """Documents of a file. Raises ManifestError as `read_documents` does, and for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            return _read_bytes(file, str(path))
    except OSError as error:
        raise _whole(str(path)).refused("unreadable", (), error.strerror or str(error)) from error


def read_stdin() -> list[Document]:
    """Documents of the standard input. Raises ManifestError as `read_file` does, and where there is none.

    What writes into the pipe may have failed and given nothing, which is no manifest without a fault.
    """
    if documents := _read_bytes(sys.stdin.buffer, STDIN):
        return documents
    remedy = "look at what writes into the pipe; set -o pipefail lets its failure count"
    raise _whole(STDIN).refused("empty", (), "there is no document in the standard input", remedy=remedy)


def _read_bytes(file: BinaryIO, name: str) -> list[Document]:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _whole(name).refused("too-large", (), f"it is larger than {MAX_BYTES // 1024} KiB")
    try:
        return read_documents(content.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        raise _whole(name).refused("unreadable", (), f"no UTF-8 text at byte {error.start}") from error


def _whole(name: str) -> Document:
    return Document(None, {(): SourceLocation(name, 1)})


class _Reader:
    """Builds data from nodes, counting them: an anchor is followed anew each time it is used."""

    def __init__(self, file: str, line: int) -> None:
        """`line` is that of the file with which the nodes' own begin."""
        self.file = file
        self.line = line
        self.faults: dict[tuple[SourceLocation, str], Finding] = {}
        self.locations: dict[Path, SourceLocation] = {}
        self.nodes = 0
        self.mappings = 0  # entered and not left yet

    def document(self, node: yaml.Node) -> Document:
        """The document of a node. Raises ManifestError with every fault, and the document without them as its rest."""
        self.locations[()] = self._location(node)
        read = Document(self._value(node, ()), self.locations)
        if not self.faults:
            return read
        kind, name = read.value(("kind",)), read.value(("metadata", "name"))
        if not isinstance(kind, str) or not isinstance(name, str):
            raise ManifestError(self.faults.values())
        label = {"object": f"{kind}/{name}"}
        raise ManifestError((each.model_copy(update=label) for each in self.faults.values()), rest=[read])

    def _value(self, node: yaml.Node, path: Path) -> JsonValue:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _refused(self._location(node), "too-large", f"more than {MAX_NODES} values in one document")
        if len(path) > MAX_DEPTH:
            raise self._too_deep(node)
        if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
            return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        return self._tag(node, path)

    def _item(self, node: yaml.Node, path: Path) -> JsonValue:
        self.locations[path] = self._location(node)
        return self._value(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, JsonValue]:
        # A merge leads into another mapping without a step in the path.
        self.mappings += 1
        if self.mappings > MAX_DEPTH:
            raise self._too_deep(node)
        merged: dict[str, JsonValue] = {}
        own: dict[str, JsonValue] = {}
        for key_node, value_node in node.value:
            if key_node.tag == TAG + "merge":
                for source in self._merge_sources(value_node, path):
                    merged = {**self._mapping(source, path), **merged}
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in own:
                self._given_twice(key_node, self.locations[*path, key], (*path, key))
                continue
            self.locations[(*path, key)] = self._location(key_node)
            own[key] = self._value(value_node, (*path, key))
        self.mappings -= 1
        return {**merged, **own}

    def _merge_sources(self, node: yaml.Node, path: Path) -> Iterator[yaml.MappingNode]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                self._fault(source, "yaml", "a merge key << takes a mapping or a list of mappings", path)
                continue
            self.nodes += 1
            yield source

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        """The key as text; None where it is none, which is noted."""
        value = self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None
        if value is None:
            self._fault(node, "yaml", "a key must be text", path)
            return None
        # As Kubernetes makes text of a key such as 8080 or yes.
        return value if isinstance(value, str) else json.dumps(value)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> JsonValue:
        text = str(node.value)
        match node.tag.removeprefix(TAG):
            case "str" | "merge":
                return self._text(node, text, path)
            case "null":
                return None
            case "bool":
                return BOOLEANS[text.lower()]
            case "int":
                return self._integer(node, text.replace("_", ""), path)
            case "float":
                return self._float(node, text.replace("_", ""), path)
        return self._tag(node, path)

    def _tag(self, node: yaml.Node, path: Path) -> JsonValue:
        return self._fault(node, "yaml-tag", f"tag {node.tag} is not allowed", path)

    def _text(self, node: yaml.Node, text: str, path: Path) -> JsonValue:
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            return self._fault(node, "yaml", "half of a surrogate pair is no text", path)

    def _integer(self, node: yaml.Node, text: str, path: Path) -> JsonValue:
        digits = text.lstrip("+-")
        octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
        try:
            value = int(digits, 8 if octal else 0)
        except ValueError:
            return self._fault(node, "yaml", f"{text[:40]} is no number", path)
        return -value if text.startswith("-") else value

    def _float(self, node: yaml.Node, text: str, path: Path) -> JsonValue:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            return self._fault(node, "yaml", f"{text[:40]} is no finite number", path)
        # In JSON, which Kubernetes goes through, 10.0 and 10 are one number.
        return int(value) if value.is_integer() and abs(value) < 2**53 else value

    def _given_twice(self, node: yaml.Node, first: SourceLocation, path: Path) -> None:
        """The finding for a key that is given twice: one reader takes the last one, a strict one takes neither."""
        location = self._location(node)
        message = f'key "{path[-1]}" is given twice, in lines {first.line} and {location.line}'
        remedy = f"keep one of them; kubectl takes that of line {location.line}, a strict reader neither"
        self._fault(node, "duplicate-key", message, path, remedy)

    def _fault(self, node: yaml.Node, code: str, message: str, path: Path, remedy: str = "") -> JsonValue:
        """Note an error; the value is null then. An anchor's error counts wherever it is used."""
        location = self._location(node)
        if len(self.faults) < MAX_FAULTS:
            self.faults.setdefault((location, message), *_refused(location, code, message, path, remedy).findings)
        return None

    def _too_deep(self, node: yaml.Node) -> ManifestError:
        return _refused(self._location(node), "too-deep", f"nested deeper than {MAX_DEPTH} levels")

    def _location(self, node: yaml.Node) -> SourceLocation:
        return SourceLocation(self.file, self.line + node.start_mark.line + 1)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == TAG + "null"


def _replaced(data: Any, path: Path, value: JsonValue) -> JsonValue:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(data, dict) and isinstance(head, str) and head in data:
        return {**data, head: _replaced(data[head], rest, value)}
    if isinstance(data, list) and isinstance(head, int) and 0 <= head < len(data):
        return [*data[:head], _replaced(data[head], rest, value), *data[head + 1 :]]
    raise KeyError(head)


def _refused(location: SourceLocation, code: str, message: str, path: Path = (), remedy: str = "") -> ManifestError:
    return ManifestError(
        [
            Finding(
                severity=Severity.ERROR,
                code=code,
                message=message,
                file=location.file,
                line=location.line,
                path=path_text(path),
                remedy=remedy,
            )
        ]
    )
