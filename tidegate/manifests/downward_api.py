"""Paths to the metadata of an object (`k8s.io/kubernetes/pkg/fieldpath`), as arguments of an analysis name them."""

from __future__ import annotations

from typing import Final, NamedTuple

from tidegate.manifests.labels import key_problems

_WHOLE: Final = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_KEYED: Final = ("metadata.annotations", "metadata.labels")


class FieldPath(NamedTuple):
    """A path taken apart: `metadata.labels['app']` is of the field `metadata.labels` and has the key `app`."""

    field: str
    key: str | None = None

    @classmethod
    def of(cls, path: str) -> FieldPath:
        """The parts of a path; one that has no key is its field."""
        field, opened, rest = path.partition("['")
        return cls(field, rest[:-2]) if opened and field and path.endswith("']") else cls(path)


def path_problem(path: str) -> str:
    """The problem of a path, in Kubernetes' words; empty for a valid one."""
    field, key = FieldPath.of(path)
    if key is None:
        return "" if path in _WHOLE else f"unsupported fieldPath: {path}"
    if field not in _KEYED:
        return f'fieldPath "{path}" does not support subscript'
    # Keys of annotations are taken in any case.
    problems = key_problems(key.lower() if field == "metadata.annotations" else key)
    return f"invalid key subscript in {path}: {';'.join(problems)}" if problems else ""
