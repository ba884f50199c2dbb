"""A call of Azure's SDK v1 that was pasted into a scenario as its `deployment`."""

from __future__ import annotations

from typing import Any

from planner.deployment_files import looks_like_python, settings_of_v1


def with_settings(document: dict[str, Any], source: str) -> dict[str, Any]:
    """The document, its `deployment` as settings where it was Python code."""
    deployment = document.get("deployment")
    if not isinstance(deployment, str) or not looks_like_python(deployment):
        return document
    return {**document, "deployment": settings_of_v1(deployment, f"{source}: deployment")}
