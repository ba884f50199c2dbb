"""What tests of files of tables and documents share: writing one, and what it must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from planner.errors import InputError
from planner.traces.formats import recognise
from planner.traces.records import Counts, Rates, Requests
from planner.traces.trace_file import read_recorded

CASES = Path(__file__).parent.parent / "cases"
SIXTY_UP = [60, 61, 62, 63, 64, 65, 66]


def written(folder: Path, text: str, name: str = "export") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def counts(path: Path, **options: Any) -> Counts:
    held = read_recorded(path, **options)
    assert isinstance(held, Counts)
    return held


def rates(path: Path, **options: Any) -> Rates:
    held = read_recorded(path, **options)
    assert isinstance(held, Rates)
    return held


def requests(path: Path, **options: Any) -> Requests:
    held = read_recorded(path, **options)
    assert isinstance(held, Requests)
    return held


def form_of(path: Path) -> str:
    known = recognise(path)
    return "none" if known is None else known.name


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as raised:
        read_recorded(path, **options)
    (sentence,) = raised.value.problems
    return sentence
