"""YAML and JSON text read into plain data in which every field still knows its file and line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import yaml
from pydantic import JsonValue

from tidegate.manifests.findings import Finding, ManifestError, Path, Severity, path_text, value_text

MAX_BYTES = 1024 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 64


class Place(NamedTuple):
    """File and line, counted from 1."""

    file: str
    line: int


@dataclass(frozen=True)
class Document:
    """One object of a file: its data, and the place of every field."""

    data: JsonValue
    places: Mapping[Path, Place] = field(default_factory=dict)

    def place(self, path: Path = ()) -> Place:
        """Where a field stands, or the nearest thing around it that is written down."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place("", 0)

    def value(self, path: Path) -> JsonValue:
        """What stands at a path; None where nothing does."""
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
        place = self.place(path)
        return Finding(
            severity=severity,
            code=code,
            message=message,
            file=place.file,
            line=place.line,
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

    def replaced(self, path: Path, value: JsonValue, place: Place) -> Document:
        """The document with another value at a path that exists. Raises KeyError where it does not."""
        places = {at: found for at, found in self.places.items() if at[: len(path)] != path}
        return replace(self, data=_replaced(self.data, path, value), places={**places, path: place})


def read_documents(text: str, file: str) -> list[Document]:
    """Documents of a YAML or JSON text; empty ones are left out.

    Scalars mean what they mean to Kubernetes: no dates, no sixty-based numbers. Raises ManifestError for text that is
    no YAML, for a key given twice, for tags, and for what exceeds MAX_NODES or MAX_DEPTH once anchors are followed.
    """
    # A tab cannot stand inside a JSON string, and YAML takes none between tokens.
    text = text.replace("\t", " ") if file.endswith(".json") else text
    documents: list[Document] = []
    findings: list[Finding] = []
    try:
        for node in yaml.compose_all(text, _Loader):
            if node is not None and not _is_null(node):
                try:
                    documents.append(_Reader(file).document(node))
                except ManifestError as error:
                    findings += error.findings
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(filter(None, [error.problem, error.context])) or "no YAML"
        findings += _refused(Place(file, mark.line + 1 if mark else 1), "yaml", message).findings
    except yaml.YAMLError as error:
        findings += _refused(Place(file, 1), "yaml", str(error).replace("\n", " ")).findings
    if findings:
        raise ManifestError(findings, rest=documents)
    return documents


def read_file(path: FilePath) -> list[Document]:
    """Documents of a file. Raises ManifestError as `read_documents` does, and for a file that cannot be read."""
    whole = Document(None, {(): Place(str(path), 1)})
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise whole.refused("too-large", (), f"the file is larger than {MAX_BYTES // 1024} KiB")
        return read_documents(content.decode("utf-8-sig"), str(path))
    except OSError as error:
        raise whole.refused("unreadable", (), error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise whole.refused("unreadable", (), f"no UTF-8 text at byte {error.start}") from error


class _Loader(yaml.SafeLoader):
    """PyYAML's reader with the scalars of Kubernetes instead of YAML 1.1's."""

    _depth = 0
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML reads it here

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Next node; the depth is limited before the text can exhaust the stack."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = parent.start_mark if parent else None
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]*|[1-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF")
_TAG = "tag:yaml.org,2002:"
for _name, _pattern in (
    ("null", _NULL),
    ("bool", _BOOL),
    ("int", _INT),
    ("float", _FLOAT),
    ("merge", re.compile("<<")),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern.pattern})$"), None)


class _Reader:
    """Builds data from nodes, counting them: an anchor is followed anew each time it is used."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[Path, Place] = {}
        self.nodes = 0
        self.mappings = 0  # entered and not left yet

    def document(self, node: yaml.Node) -> Document:
        self.places[()] = self._place(node)
        return Document(self._value(node, ()), self.places)

    def _value(self, node: yaml.Node, path: Path) -> JsonValue:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _refused(self._place(node), "too-large", f"more than {MAX_NODES} values in one document")
        if len(path) > MAX_DEPTH:
            raise self._too_deep(node)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        raise _refused(self._place(node), "yaml-tag", f"tag {node.tag} is not allowed")

    def _item(self, node: yaml.Node, path: Path) -> JsonValue:
        self.places[path] = self._place(node)
        return self._value(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, JsonValue]:
        # A merge leads into another mapping without a step in the path.
        self.mappings += 1
        if self.mappings > MAX_DEPTH:
            raise self._too_deep(node)
        merged: dict[str, JsonValue] = {}
        own: dict[str, JsonValue] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                for source in self._merge_sources(value_node):
                    merged = {**self._mapping(source, path), **merged}
                continue
            key = self._key(key_node)
            if key in own:
                raise _refused(self._place(key_node), "duplicate-key", f'key "{key}" is given twice', (*path, key))
            self.places[(*path, key)] = self._place(key_node)
            own[key] = self._value(value_node, (*path, key))
        self.mappings -= 1
        return {**merged, **own}

    def _merge_sources(self, node: yaml.Node) -> Iterator[yaml.MappingNode]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                raise _refused(self._place(source), "yaml", "a merge key << takes a mapping or a list of mappings")
            self.nodes += 1
            yield source

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise _refused(self._place(node), "yaml", "a key must be text")
        value = self._scalar(node)
        # Kubernetes turns a key such as 8080 or yes into text as well.
        return value if isinstance(value, str) else str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> JsonValue:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str" | "merge":
                return self._text(node, text)
            case "null":
                return None
            case "bool":
                return text.lower() in ("yes", "true", "on")
            case "int":
                return self._integer(node, text.replace("_", ""))
            case "float":
                return self._float(node, text.replace("_", ""))
        raise _refused(self._place(node), "yaml-tag", f"tag {node.tag} is not allowed")

    def _text(self, node: yaml.Node, text: str) -> str:
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            raise _refused(self._place(node), "yaml", "half of a surrogate pair is no text") from error

    def _integer(self, node: yaml.Node, text: str) -> int:
        digits = text.lstrip("+-")
        octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
        try:
            value = int(digits, 8 if octal else 0)
        except ValueError as error:
            raise _refused(self._place(node), "yaml", f"{text[:40]} is no number") from error
        return -value if text.startswith("-") else value

    def _float(self, node: yaml.Node, text: str) -> int | float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise _refused(self._place(node), "yaml", f"{text[:40]} is no finite number")
        # In JSON, which Kubernetes goes through, 10.0 and 10 are one number.
        return int(value) if value.is_integer() and abs(value) < 2**53 else value

    def _too_deep(self, node: yaml.Node) -> ManifestError:
        return _refused(self._place(node), "too-deep", f"nested deeper than {MAX_DEPTH} levels")

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "null"


def _replaced(data: Any, path: Path, value: JsonValue) -> JsonValue:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(data, dict) and isinstance(head, str) and head in data:
        return {**data, head: _replaced(data[head], rest, value)}
    if isinstance(data, list) and isinstance(head, int) and 0 <= head < len(data):
        return [*data[:head], _replaced(data[head], rest, value), *data[head + 1 :]]
    raise KeyError(head)


def _refused(place: Place, code: str, message: str, path: Path = ()) -> ManifestError:
    return ManifestError(
        [
            Finding(
                severity=Severity.ERROR,
                code=code,
                message=message,
                file=place.file,
                line=place.line,
                path=path_text(path),
            )
        ]
    )
