"""Which lists of typed resources are keyed, as Kubernetes' `listType` and `patchMergeKey` markers state it.

A list not named here is atomic: a patch or an apply replaces it as a whole. So is every list of a custom resource,
apart from those in metadata.
"""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str, ...]
"""Field names from the root of an object; list items add none."""


@dataclass(frozen=True)
class ListKeys:
    """How the items of one list are told apart.

    `apply` names the fields that identify an item for server-side apply, `merge` the one for strategic merge patch.
    Both are empty for a set of plain values.
    """

    apply: tuple[str, ...] = ()
    merge: str = ""


_SET = ListKeys()
_NAME = ListKeys(("name",), "name")
_CONTAINER = {
    "env": _NAME,
    "ports": ListKeys(("containerPort", "protocol"), "containerPort"),
    "volumeMounts": ListKeys(("mountPath",), "mountPath"),
    "volumeDevices": ListKeys(("devicePath",), "devicePath"),
}
_CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")

_METADATA: dict[Path, ListKeys] = {
    ("metadata", "finalizers"): _SET,
    ("metadata", "ownerReferences"): ListKeys(("uid",), "uid"),
}
_TYPED: dict[Path, ListKeys] = {
    **{("spec", name): _NAME for name in _CONTAINER_LISTS},
    **{(name, field): keys for name in _CONTAINER_LISTS for field, keys in _CONTAINER.items()},
    ("spec", "volumes"): _NAME,
    ("spec", "imagePullSecrets"): _NAME,
    ("spec", "hostAliases"): ListKeys(("ip",), "ip"),
    ("spec", "schedulingGates"): _NAME,
    ("spec", "topologySpreadConstraints"): ListKeys(("topologyKey", "whenUnsatisfiable"), "topologyKey"),
    ("spec", "ports"): ListKeys(("port", "protocol"), "port"),
    ("status", "conditions"): ListKeys(("type",), "type"),
    ("status", "podIPs"): ListKeys(("ip",), "ip"),
}
_DEFAULTS = {"protocol": "TCP"}  # a key field that may be left out

_ATOMIC_MAPS = {
    ("spec", "selector"),
    ("spec", "nodeSelector"),
    ("valueFrom", "configMapKeyRef"),
    ("valueFrom", "secretKeyRef"),
    ("valueFrom", "fieldRef"),
}


def keys_of(path: Path, *, custom: bool) -> ListKeys | None:
    """The keys of the list at `path`, None when it is atomic."""
    tail = path[-2:]
    found = _METADATA.get(tail)
    return found if found is not None or custom else _TYPED.get(tail)


def atomic_map(path: Path, *, custom: bool) -> bool:
    """Whether the mapping at `path` is owned and replaced as a whole by server-side apply."""
    return not custom and path[-2:] in _ATOMIC_MAPS


def item_key(item: object, keys: ListKeys) -> tuple[tuple[str, object], ...] | None:
    """The values of the key fields of a list item, sorted by field name; None when one is missing."""
    if not isinstance(item, dict):
        return None
    found = [(name, item.get(name, _DEFAULTS.get(name))) for name in sorted(keys.apply)]
    return None if any(value is None or isinstance(value, dict | list) for _, value in found) else tuple(found)
