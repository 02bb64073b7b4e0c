"""Rules of the gateway for its callers, by the claims of their tokens. No rule implies another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidegate.client import RolloutRef
from workers.tokens import Claims

MAX_FILE_BYTES: Final = 256 * 1024
MAX_NAME: Final = 200


class RulesError(Exception):
    """The file cannot be used, so no caller is allowed anything. The text names file, field and remedy."""


class CallerRule(BaseModel):
    """A rule for callers with all `claims`, compared as exact strings: they may start and follow these Rollouts.

    `rollouts` empty means all of the namespaces. With `any_manifest` the caller may change steps and gates too. Without
    it they have to be those of the object in the cluster.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    claims: dict[str, str] = Field(min_length=1)
    clusters: tuple[str, ...] = Field(min_length=1)
    namespaces: tuple[str, ...] = Field(min_length=1)
    rollouts: tuple[str, ...] = ()
    any_manifest: bool = False

    def fits(self, claims: Claims) -> bool:
        """True when a token has every claim of this rule."""
        return all(claims.get(name) == value for name, value in self.claims.items())

    def names(self, rollout: RolloutRef) -> bool:
        """True when this rule is for a Rollout."""
        return (
            rollout.cluster in self.clusters
            and rollout.namespace in self.namespaces
            and (not self.rollouts or rollout.name in self.rollouts)
        )


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    callers: tuple[CallerRule, ...]


class Callers:
    """The rules of a file, which is read at each question: a mounted one changes without a restart."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def rules(self) -> Sequence[CallerRule]:
        """The rules in the file now. Raises RulesError."""
        return await asyncio.to_thread(self._read)

    async def rule_for(self, claims: Claims, rollout: RolloutRef) -> CallerRule | None:
        """The rule by which a caller may ask for a Rollout, the one that allows more first; None: it may not."""
        fitting = [rule for rule in await self.rules() if rule.fits(claims) and rule.names(rollout)]
        return max(fitting, key=lambda rule: rule.any_manifest, default=None)

    def _read(self) -> tuple[CallerRule, ...]:
        try:
            with self._file.open("rb") as opened:
                content = opened.read(MAX_FILE_BYTES + 1)
            if len(content) > MAX_FILE_BYTES:
                raise RulesError(f"{self._file}: more than {MAX_FILE_BYTES} bytes")
            return _File.model_validate(yaml.safe_load(content)).callers
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise RulesError(f"{self._file}: {where}: {first['msg']}; see deploy/temporal/access.md") from error
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise RulesError(f"{self._file}: {error}") from error


def name_of(claims: Claims) -> str:
    """Name of a caller for the record: the subject of its token, and the user of a CI job where the token has one."""
    subject, actor = _text(claims.get("sub")), _text(claims.get("actor"))
    return f"{actor} by {subject}"[:MAX_NAME] if actor else subject[:MAX_NAME]


def _text(value: Any) -> str:
    return "".join(letter for letter in value if letter.isprintable()) if isinstance(value, str) else ""
