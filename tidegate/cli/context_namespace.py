"""Namespace of a kubeconfig's current context, which kubectl takes where none is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def context_namespace(environment: Mapping[str, str] = os.environ) -> str:
    """The namespace; empty where there is no file, no context, or none in it.

    Several files are merged as kubectl does: the first that sets a value wins. A file that cannot be read says nothing.
    """
    named = environment.get("KUBECONFIG", "")
    home = Path(environment.get("HOME", "~")).expanduser()
    files = [Path(each) for each in named.split(os.pathsep) if each] or [home / ".kube" / "config"]
    found = [document for document in map(_read, files) if document]
    current = next((each["current-context"] for each in found if each.get("current-context")), "")
    for document in found:
        for context in document.get("contexts") or ():
            if isinstance(context, dict) and context.get("name") == current:
                return str((context.get("context") or {}).get("namespace") or "")
    return ""


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    # Here, as most commands that are run have no such file.
    import yaml

    try:
        document = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}
