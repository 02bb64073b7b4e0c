"""Arguments of an analysis that come from Secrets: put into a metric at the moment of use, masked in what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.exceptions import ApplicationError

from activities.secrets import NamedSecrets
from tidegate.analysis.arguments import SpecError, substitute

MASK = "*****"


class SecretArgumentError(Exception):
    """An argument has no value; the text is fit for a measurement and holds no secret."""


@dataclass(frozen=True)
class SecretArguments:
    """Values by argument name."""

    values: Mapping[str, str]

    @classmethod
    async def read(
        cls, secrets: NamedSecrets, namespace: str, references: Mapping[str, Mapping[str, str]]
    ) -> SecretArguments:
        """Read what `references` (argument name -> name and key of a Secret) lead to. Raises SecretArgumentError."""
        values: dict[str, str] = {}
        for argument, reference in references.items():
            name, key = reference.get("name", ""), reference.get("key", "")
            try:
                secret = await secrets.read(namespace, name)
            except ApplicationError as error:
                raise SecretArgumentError(f"Unable to resolve metric arguments: {error.message}") from error
            if key not in secret:
                raise SecretArgumentError(
                    f"Unable to resolve metric arguments: key '{key}' does not exist in secret '{name}'"
                )
            values[argument] = secret[key]
        return cls(values)

    def put_into(self, metric: Mapping[str, Any]) -> dict[str, Any]:
        """The metric with the values in place of its placeholders. Raises SecretArgumentError."""
        try:
            return substitute(metric, [{"name": name, "value": value} for name, value in self.values.items()])
        except SpecError as error:
            raise SecretArgumentError(f"Unable to resolve metric arguments: {error}") from error

    def mask(self, text: str) -> str:
        """`text` without the values."""
        for value in sorted(self.values.values(), key=len, reverse=True):
            text = text.replace(value, MASK) if value else text
        return text
