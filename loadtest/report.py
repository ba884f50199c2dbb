"""The capacity report of a run folder or of a plan folder: reads its parts, writes report.html."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loadtest.runfolder import RunFolder, open_run_folder
from planner.errors import InputError


def write_report(path: Path) -> tuple[Path, str]:
    """Write the report of a run or a plan: its path, and the verdict. A run without one is judged first."""
    from planner.report.plan.folder import is_plan_folder, write_plan_report

    if is_plan_folder(path):
        return write_plan_report(path)
    folder = open_run_folder(path)
    validation = validation_of(folder)
    return write_run_report(folder, validation), validation["verdict"]


def write_run_report(
    folder: RunFolder, validation_document: dict[str, Any], simulation: dict[str, Any] | None = None
) -> Path:
    """Write the report of a run that was judged; `simulation` is the document of `simulate`, if there is one."""
    from planner.report.data import RunReport
    from planner.report.page import render
    from planner.scenario_file import load

    report = RunReport(
        scenario=load(str(folder.scenario)),
        summary=folder.read_summary(),
        validation=validation_document,
        simulation=simulation,
        requests=folder.read_requests(),
        replicas=folder.read_replicas(),
    )
    page = render(report)
    try:
        folder.report.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder.report}: cannot be written ({error.strerror})") from None
    return folder.report


def validation_of(folder: RunFolder) -> dict[str, Any]:
    """The validation document of a run; a run that was not judged yet is judged by its own scenario first."""
    from planner.scenario_file import load

    if not folder.validation.exists():
        from loadtest.validate.verdict import validate_run

        return validate_run(folder, load(str(folder.scenario))).document
    return folder.read_validation()
