"""What is watched, and where it lies in the API: one table from which paths, rights and names derive."""

from __future__ import annotations

from enum import Enum


class Resource(Enum):
    """Value: group and version, plural name, whether it lies in a namespace."""

    DEPLOYMENTS = ("apps/v1", "deployments", True)
    REPLICASETS = ("apps/v1", "replicasets", True)
    PODS = ("v1", "pods", True)
    EVENTS = ("v1", "events", True)
    HPAS = ("autoscaling/v2", "horizontalpodautoscalers", True)
    NODES = ("v1", "nodes", False)

    @property
    def label(self) -> str:
        return self.value[1]

    @property
    def api_group(self) -> str:
        group, _, version = self.value[0].partition("/")
        return group if version else ""

    @property
    def namespaced(self) -> bool:
        return self.value[2]

    def path(self, namespace: str) -> str:
        version, plural, namespaced = self.value
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        return f"{root}/namespaces/{namespace}/{plural}" if namespaced else f"{root}/{plural}"
