"""Base of every payload that crosses a process boundary."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

Document = dict[str, Any]  # a manifest or another JSON object, as it was sent: unknown fields are kept


class Payload(BaseModel):
    """Base of every payload: immutable; fields that a newer sender adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")
