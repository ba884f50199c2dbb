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
        slo, promise = result.document["simulate"]["slo"], result.document["validate"]["promise"]
        if slo is not None:
            show_slo(slo, is_refuted=promise is not None and promise["broken_by_failures_that_are_not_predicted"])
        print(f"Report: {result.document['report']['path']}")
    print(f"Run folder: {result.folder.path}")
