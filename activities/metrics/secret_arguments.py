"""Arguments of an analysis that come from Secrets: put into a metric at the moment of use, masked in what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.exceptions import ApplicationError

from activities.secrets.store import NamedSecrets
from activities.transport.masking import SHORTEST, mask
from tidegate.analysis.arguments import SpecError, substitute
from tidegate.analysis.assess import judged_with_secrets
from tidegate.analysis.reading import Reading
from tidegate.contract import JOB_NAME, JOB_NAMESPACE, ErrorType

_OUR_METADATA = (JOB_NAME, JOB_NAMESPACE)
# Answers of the store that stay as they are until a person changes something.
_FINAL = (ErrorType.NOT_FOUND, ErrorType.REJECTED)


class SecretArgumentError(Exception):
    """An argument has no value; the text is fit for a measurement and holds no secret.

    `final` says that reading it again cannot help.
    """

    def __init__(self, problem: str, *, final: bool = True) -> None:
        super().__init__(f"Unable to resolve metric arguments: {problem}")
        self.final = final


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
                raise SecretArgumentError(error.message, final=error.type in _FINAL) from error
            if key not in secret:
                raise SecretArgumentError(f"key '{key}' does not exist in secret '{name}'")
            values[argument] = secret[key]
        return cls(values)

    def put_into(self, metric: Mapping[str, Any]) -> dict[str, Any]:
        """The metric with the values in place of its placeholders. Raises SecretArgumentError.

        Without values there is nothing to replace: a placeholder in it is then the text of another argument.
        """
        if not self.values:
            return dict(metric)
        try:
            return substitute(metric, [{"name": name, "value": value} for name, value in self.values.items()])
        except SpecError as error:
            raise SecretArgumentError(str(error)) from error

    def judged(self, metric: Mapping[str, Any], reading: Reading) -> Reading:
        """The reading with its verdict, where a condition needs one of the values, which the run may not have."""
        if not self.values or reading.error:
            return reading
        return judged_with_secrets(metric, self.put_into(metric), reading)

    def masked(self, reading: Reading) -> Reading:
        """The reading without the values: a server may send back what it was sent.

        What the reading itself is made of stays: its fields, the metric that it is of, and the names of Jobs.
        """
        if not self.values:
            return reading
        kept = {name: reading.metadata[name] for name in _OUR_METADATA if name in reading.metadata}
        fields = {name: self._masked(getattr(reading, name)) for name in ("value", "error", "query", "notes", "result")}
        verdict = reading.verdict
        if verdict is not None:
            texts = {"message": self.mask(verdict.message), "reason": self.mask(verdict.reason)}
            verdict = verdict.model_copy(update=texts)
        metadata = {**self._masked(reading.metadata), **kept}
        return reading.model_copy(update={**fields, "verdict": verdict, "metadata": metadata})

    def mask(self, text: str) -> str:
        """A text without the values."""
        return mask(text, self.values.values())

    def _masked(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._key(key): self._masked(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._masked(item) for item in value)
        return self.mask(value) if isinstance(value, str) else value

    def _key(self, key: str) -> str:
        # A secret of a letter is a part of every second word: keys that conditions ask for would be torn.
        return mask(key, (value for value in self.values.values() if len(value) >= SHORTEST))
