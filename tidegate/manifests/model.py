"""Base of the manifest models: frozen, strict as Go's decoder with unknown fields refused, null read as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue, PlainValidator, Strict, model_validator
from pydantic.alias_generators import to_camel

T = TypeVar("T")
# JSON knows lists only; the models keep tuples, which cannot be changed.
Items = Annotated[tuple[T, ...], Strict(strict=False)]


INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)


def out_of_range(value: int, numbers: range) -> str:
    """The error for a number that Kubernetes' Go types cannot hold; empty when they can."""
    return "" if value in numbers else f"must be between {numbers.start} and {numbers.stop - 1}"


def _within(numbers: range) -> AfterValidator:
    def check(value: int) -> int:
        if problem := out_of_range(value, numbers):
            raise ValueError(problem)
        return value

    return AfterValidator(check)


Int32 = Annotated[int, _within(INT32)]
Int64 = Annotated[int, _within(INT64)]


def _int_or_string(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a whole number or text")
    if isinstance(value, int) and (problem := out_of_range(value, INT32)):
        raise ValueError(problem)
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
        defer_build=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data

    def to_wire(self) -> dict[str, JsonValue]:
        """The fields that were given, under the names of the manifest."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def build_models(package: str, base: type[BaseModel] = BaseModel) -> None:
    """Build the validators of all models of a package that are imported.

    Each is otherwise built when it is first used: a command uses few of them, and a workflow may not take the time.
    """
    for model in base.__subclasses__():
        if model.__module__.startswith(f"{package}."):
            model.model_rebuild()
        build_models(package, model)


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
