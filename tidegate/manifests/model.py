"""Base of the manifest models: frozen, strict as Go's decoder with unknown fields refused, null read as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, PlainValidator, Strict, model_validator
from pydantic.alias_generators import to_camel

T = TypeVar("T")
# JSON knows lists only; the models keep tuples, which cannot be changed.
Items = Annotated[tuple[T, ...], Strict(strict=False)]


def _int_or_string(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a whole number or text")
    return value


IntOrString = Annotated[int | str, PlainValidator(_int_or_string)]


class Model(BaseModel):
    """Part of a manifest: camelCase on the wire, snake_case in Python."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data

    def to_wire(self) -> dict[str, JsonValue]:
        """The fields that were given, under the names of the manifest."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class OpenModel(Model):
    """Part of an object that is only partly Tidegate's business: other fields are kept as they are."""

    model_config = ConfigDict(extra="allow")


class ObjectMeta(OpenModel):
    """Metadata of a Kubernetes object; `namespace` is empty when the manifest leaves it to the command line."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
