"""Tables: the columns that `kubectl get` shows, computed by the server as in a real cluster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sandbox.kubernetes_api.columns import Column, columns_of
from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Object, meta

_NAME = "Name must be unique within a namespace."


def table(kind: Kind, objects: Sequence[Object], version: str, include_object: str) -> Object:
    """A `meta.k8s.io/v1` Table of objects; `include_object` is what each row carries: Metadata, Object or None."""
    columns = columns_of(kind)
    now = datetime.now(UTC)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version} if version else {},
        "columnDefinitions": [_definition(column) for column in columns],
        "rows": [_row(obj, columns, now, include_object) for obj in objects],
    }


def _definition(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": "name" if column.name == "Name" else "",
        "description": _NAME if column.name == "Name" else column.name,
        "priority": column.priority,
    }


def _row(obj: Object, columns: Sequence[Column], now: datetime, include_object: str) -> Object:
    row: Object = {"cells": [column.cell(obj, now) for column in columns]}
    if include_object == "Object":
        row["object"] = obj
    elif include_object != "None":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": meta(obj),
        }
    return row
