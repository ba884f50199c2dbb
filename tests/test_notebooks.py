"""Every notebook runs from its first cell to its last, is kept without outputs, and finds what the planner prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from planner.replicas import document, read_sizing

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def executed(path: Path, last_cell: str) -> Any:
    """The notebook after a run of all its cells (whose own assertions hold) and of one more, in this interpreter."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells.append(nbformat.v4.new_code_cell(last_cell))  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}})
    return client.execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:  # type: ignore[no-untyped-call]
        assert not cell.get("outputs"), f"{path.name}: a cell has outputs"
        assert cell.get("execution_count") is None


def test_sizing_notebook_derives_the_numbers_of_replicas() -> None:
    notebook = executed(
        FOLDER / "sizing-before-go-live.ipynb",
        "import json, sys; print(json.dumps({'python': sys.executable, 'results': results}))",
    )
    found = json.loads(notebook.cells[-1].outputs[0].text)
    results, printed = found["results"], document(read_sizing("5", "1", "1", "0.7"))
    assert Path(found["python"]) == Path(sys.executable)
    assert results["replicas"] == printed["replicas"]
    assert results["fraction_503"] == pytest.approx(printed["fraction_503"], rel=1e-12)
    assert results["fraction_503_numerically"] == pytest.approx(printed["fraction_503"], rel=1e-5)
    assert results["replicas_for"] == printed["replicas_for"]
    simulated = results["fraction_503_simulated"]
    assert simulated["low"] < simulated["value"] < simulated["high"]
    assert simulated["value"] == pytest.approx(printed["fraction_503"], rel=0.15)
    assert results["fraction_503_in_bursts"]["low"] > 3 * printed["fraction_503"]
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 4
