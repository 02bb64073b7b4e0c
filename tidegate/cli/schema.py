"""The JSON schemas of what an incident holds and of what `-o json` prints of a release."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from tidegate.cli.exits import ExitCode
from tidegate.cli.output import print_json
from tidegate.contract import AnalysisRef, ReleaseStatus


class SchemaKind(StrEnum):
    """A document, as its file on an incident is called."""

    RELEASE = "release"
    ANALYSIS_RUN = "analysisrun"


_MODELS: dict[SchemaKind, type[BaseModel]] = {SchemaKind.RELEASE: ReleaseStatus, SchemaKind.ANALYSIS_RUN: AnalysisRef}


def schema_of(kind: SchemaKind) -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    return _MODELS[kind].model_json_schema(mode="serialization")


def schema(kind: Annotated[SchemaKind, typer.Argument(help="The document.")]) -> int:
    """Print the JSON schema of a document."""
    print_json(schema_of(kind))
    return ExitCode.OK
