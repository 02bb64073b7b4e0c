"""The words of notifications: a template for each trigger, in the shape of Argo's notification ConfigMap.

`{{.path}}` is replaced by a fact: Argo's (`.rollout.metadata.name`) or the notification's (`.notification.weight`).
There is nothing else to a template: no conditions, loops or functions, so that none can fail or run anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import structlog
import yaml

from tidegate.contract import Notification
from tidegate.manifests.plain_text import harmless
from tidegate.report.notifications import TRIGGERS

log = structlog.get_logger(__name__)

_PLACEHOLDER: Final = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_PATH: Final = re.compile(r"\.\w+(\.\w+)*")
_MAX_FILE_BYTES: Final = 1024 * 1024

_WHERE = "{{.notification.namespace}}/{{.notification.name}}"
_MESSAGE = "{{.notification.message}}"
_WEIGHT = "{{.notification.weight}}%"
_REVISION = "{{.notification.revision}}"
_IMAGES = "{{.notification.images}}"
_RUN = "\n{{.notification.run}}"
_DEFAULTS: Final[Mapping[str, str]] = {
    "on-rollout-updated": f"{_WHERE}: revision {_REVISION} begins: {_IMAGES}{_RUN}",
    "on-rollout-step-completed": f"{_WHERE}: {_MESSAGE}; {_WEIGHT} on the new version{_RUN}",
    "on-rollout-paused": f"{_WHERE}: {_MESSAGE} at {_WEIGHT}{_RUN}",
    "on-rollout-aborted": f"{_WHERE}: {_MESSAGE}; {_IMAGES} had {_WEIGHT}, and traffic goes back to stable{_RUN}",
    "on-rollout-completed": f"{_WHERE}: {_MESSAGE}: {_IMAGES}{_RUN}",
    "on-incident-opened": f"{_WHERE}: {_MESSAGE} (revision {_REVISION}, {_IMAGES}){_RUN}",
}
_ANY = f"{_WHERE}: {_MESSAGE}{_RUN}"


class TemplateError(Exception):
    """A template cannot be used; the text names file, key and value, and says what is allowed."""


def facts(notification: Notification, temporal_ui: str) -> dict[str, str]:
    """Facts that a template may name, each as text. `temporal_ui` is the UI's base URL with its namespace, or empty."""
    workflow = f"{quote(notification.workflow_id, safe='')}/{notification.run_id}"
    values = {name: "" if value is None else str(value) for name, value in notification.model_dump().items()}
    values |= {
        "at": f"{notification.at:%Y-%m-%d %H:%M:%S} UTC",
        "images": ", ".join(notification.images.values()),
        "run": f"{temporal_ui.rstrip('/')}/workflows/{workflow}" if temporal_ui else "",
        "chart": "",  # a picture has no text
    }
    argo = {
        ".rollout.metadata.name": notification.name,
        ".rollout.metadata.namespace": notification.namespace,
        ".rollout.status.phase": notification.phase,
        ".rollout.status.message": notification.message,
        ".rollout.status.currentStepIndex": "" if notification.step is None else str(notification.step - 1),
    }
    return {f".notification.{name}": text for name, text in values.items()} | argo


_KNOWN: Final = frozenset(
    {f".notification.{name}" for name in (*Notification.model_fields, "run")}
    | {
        ".rollout.metadata.name",
        ".rollout.metadata.namespace",
        ".rollout.status.phase",
        ".rollout.status.message",
        ".rollout.status.currentStepIndex",
    }
)


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True)
class Templates:
    """The words for each trigger; those that `texts` does not hold are the built-in ones."""

    texts: Mapping[str, str] = field(default_factory=dict)
    temporal_ui: str = ""

    def text(self, notification: Notification, escape: Callable[[str], str] = _as_it_is) -> str:
        """The filled template; `escape` is applied to each fact, and no fact is read as a template."""
        template = self.texts.get(notification.trigger) or _DEFAULTS.get(notification.trigger, _ANY)
        values = facts(notification, self.temporal_ui)
        return _PLACEHOLDER.sub(lambda match: escape(harmless(values.get(match[1], ""))), template).strip()

    def run_url(self, notification: Notification) -> str:
        """Address of the release in the Temporal UI; empty where settings name none."""
        return facts(notification, self.temporal_ui)[".notification.run"]


def read_templates(file: Path) -> dict[str, str]:
    """Templates by trigger from a ConfigMap of Argo's shape, or from its `data` alone.

    `template.<name>` counts with its `message`, `trigger.<trigger>` with what it sends. Raises TemplateError.
    """
    data = _data(file)
    messages = {
        key.removeprefix("template."): _message(file, key, value)
        for key, value in data.items()
        if key.startswith("template.")
    }
    texts = {}
    for key, value in data.items():
        if key.startswith("trigger."):
            names = _sent(file, key, value)
            if unknown := [name for name in names if name not in messages]:
                raise TemplateError(f"{file}: {key}: there is no template.{unknown[0]}")
            texts[key.removeprefix("trigger.")] = "\n".join(messages[name] for name in names)
    if unknown := sorted(set(texts) - TRIGGERS):
        raise TemplateError(f"{file}: trigger.{unknown[0]}: no such trigger; known: {', '.join(sorted(TRIGGERS))}")
    ignored = sorted(key for key in data if not key.startswith(("template.", "trigger.")))
    if ignored:
        log.warning("keys of the notification file are not used; services are set as variables", keys=ignored)
    return texts


def _data(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            raise TemplateError(f"{file}: larger than {_MAX_FILE_BYTES} bytes")
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise TemplateError(f"{file}: {error}") from error
    data = document.get("data") if isinstance(document, dict) and "kind" in document else document
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise TemplateError(f"{file}: no ConfigMap, and no map of template.<name> and trigger.<trigger>")
    return data


def _inner(file: Path, key: str, value: Any) -> Any:
    """The value of a key, which a ConfigMap holds as YAML within a text."""
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise TemplateError(f"{file}: {key}: {error}") from error


def _message(file: Path, key: str, value: Any) -> str:
    inner = _inner(file, key, value)
    message = inner.get("message") if isinstance(inner, dict) else None
    if not isinstance(message, str):
        raise TemplateError(f"{file}: {key}: needs a message, which is a text")
    for match in _PLACEHOLDER.finditer(message):
        if match[1] not in _KNOWN:
            why = "no such fact" if _PATH.fullmatch(match[1]) else "conditions, loops and functions are not supported"
            raise TemplateError(f"{file}: {key}: {match[0]}: {why}; known: {', '.join(sorted(_KNOWN))}")
    others = sorted(str(name) for name in inner if name != "message")
    if others:
        log.warning("only the message of a template is used", template=key, unused=others)
    return message


def _sent(file: Path, key: str, value: Any) -> list[str]:
    rows = _inner(file, key, value)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TemplateError(f"{file}: {key}: must be a list of {{send: [template, ...]}}")
    if any("when" in row for row in rows):
        raise TemplateError(f"{file}: {key}: when is not supported, every event is sent once: remove it")
    found = [row.get("send") for row in rows]
    names = [name for each in found if isinstance(each, list) for name in each]
    if not names or not all(isinstance(name, str) for name in names):
        raise TemplateError(f"{file}: {key}: send must be a list of names of templates")
    return names
