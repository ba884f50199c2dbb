"""The report of a plan folder: reads plan.json and the scenario beside it, writes report.html."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from planner import plan_folder
from planner.errors import InputError
from planner.report.plan.page import render_plan
from planner.report.plan.shape import check_shape
from planner.scenario import Scenario
from planner.scenario_file import load

PLAN, SCENARIO, REPORT = plan_folder.PLAN, "scenario.yaml", "report.html"


def is_plan_folder(folder: Path) -> bool:
    return (folder / PLAN).exists()


def write_plan_report(folder: Path) -> tuple[Path, str]:
    """Write the report of the plan in a folder; its path and the plan's verdict."""
    document = read_plan(folder)
    return write_page(folder, document, load(str(folder / SCENARIO))), document["verdict"]


def write_page(folder: Path, document: Mapping[str, Any], scenario: Scenario) -> Path:
    """Write the report of a plan that is at hand."""
    path = folder / REPORT
    page = render_plan(document, scenario)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    return path


def read_plan(folder: Path) -> dict[str, Any]:
    """The document of a plan; anything else is an InputError that names the file."""
    document, source = plan_folder.read_plan(folder)
    check_shape(document, source)
    return document
