"""Base of every payload that crosses a process boundary."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from tidegate.manifests.plain_text import harmless

# Text of operators: it goes to terminals, incidents, commits and messages. Made harmless before validation, as half an
# emoji is no text.
PlainText = Annotated[str, BeforeValidator(lambda value: harmless(value) if isinstance(value, str) else value)]
Document = dict[str, Any]  # a manifest or another JSON object, as it was sent: unknown fields are kept


class Payload(BaseModel):
    """Base of every payload: immutable; fields that a newer sender adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants", defer_build=True)
