"""The smallest rights that observing needs, as a manifest: derived from what is watched."""

from __future__ import annotations

from typing import Any

import yaml

from loadtest.observe.resources import Resource

NAME = "surgeproof-observer"
READ = ("get", "list", "watch")


def manifest(namespace: str, *, scaling: bool = False) -> str:
    """A service account with these rights and nothing more. scaling: also what `lab --scale-deployment` needs."""
    documents = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": namespace}},
        *_role("Role", namespace, _rules_in_namespace(scaling)),
        *_role("ClusterRole", namespace, _rules([r for r in Resource if not r.namespaced])),
    ]
    return "---\n".join(yaml.safe_dump(document, sort_keys=False) for document in documents)


def _rules_in_namespace(scaling: bool) -> list[dict[str, Any]]:
    rules = _rules([resource for resource in Resource if resource.namespaced])
    rules.append({"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]})
    if scaling:
        rules.append({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]})
        rules.append({"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]})
    return rules


def _rules(resources: list[Resource]) -> list[dict[str, Any]]:
    groups = sorted({resource.api_group for resource in resources})
    return [
        {"apiGroups": [group], "resources": [r.label for r in resources if r.api_group == group], "verbs": [*READ]}
        for group in groups
    ]


def _role(kind: str, namespace: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A role and its binding; what holds for the whole cluster carries the namespace in its name.

    No two places hold the same object: YAML would write the second as an alias of the first.
    """
    group = "rbac.authorization.k8s.io"
    metadata = {"name": NAME, "namespace": namespace} if kind == "Role" else {"name": f"{NAME}-{namespace}"}
    return [
        {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": f"{kind}Binding",
            "metadata": {**metadata},
            "roleRef": {"apiGroup": group, "kind": kind, "name": metadata["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
        },
    ]
