"""The printed rights are exactly what is read."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from loadtest.observe.rbac import manifest
from loadtest.observe.resources import Resource


def rights(scaling: bool) -> set[tuple[str, str, str]]:
    """(kind of role, resource, verb)."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(manifest("ml", scaling=scaling)))
    return {
        (document["kind"], resource, verb)
        for document in documents
        for rule in document.get("rules", [])
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


READ = {
    ("Role" if resource.namespaced else "ClusterRole", resource.label, verb)
    for resource in Resource
    for verb in ("get", "list", "watch")
} | {("Role", "pods/log", "get")}


def test_only_what_is_watched_may_be_read() -> None:
    assert rights(scaling=False) == READ


def test_scaling_adds_the_count_of_a_deployment_and_the_label_of_the_namespace() -> None:
    more = {("Role", "namespaces", "get"), ("Role", "deployments/scale", "get"), ("Role", "deployments/scale", "patch")}
    assert rights(scaling=True) - READ == more


@pytest.mark.parametrize("scaling", [True, False])
def test_a_secret_is_never_read_and_everything_lies_in_the_namespace_or_carries_its_name(scaling: bool) -> None:
    assert "secret" not in manifest("ml", scaling=scaling)
    for document in yaml.safe_load_all(manifest("ml", scaling=scaling)):
        metadata = document["metadata"]
        assert metadata.get("namespace") == "ml" or metadata["name"].endswith("-ml")


@pytest.mark.parametrize("scaling", [True, False])
def test_every_document_is_written_out_without_anchors(scaling: bool) -> None:
    """A person reads and edits it, and not every tool takes an alias."""
    tokens = yaml.scan(manifest("ml", scaling=scaling))
    assert not any(isinstance(token, yaml.AnchorToken | yaml.AliasToken) for token in tokens)
