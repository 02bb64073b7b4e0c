"""JSONPath in the dialect of kubectl and client-go, as far as it selects a value: `{.data.items[0].ratio}`."""

from tidegate.manifests.jsonpath.errors import PathError
from tidegate.manifests.jsonpath.evaluate import JsonPath

__all__ = ["JsonPath", "PathError"]
