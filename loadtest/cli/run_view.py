"""How `surgeproof run` ends in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtest.pipeline import PipelineResult


def show(result: PipelineResult) -> None:
    from loadtest.cli.validate_view import show as show_validation
    from planner.cli.simulate_view import show_slo

    if "validate" in result.document:
        show_validation(result.document["validate"])
        slo = result.document["simulate"]["slo"]
        if slo is not None:
            show_slo(slo)
        print(f"Report: {result.document['report']['path']}")
    print(f"Run folder: {result.folder.path}")
