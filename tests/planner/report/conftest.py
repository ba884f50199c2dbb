"""A run to report on."""

from __future__ import annotations

import pytest

from planner.report.data import RunReport

from .samples import burst, sample_report


@pytest.fixture(scope="session")
def passing() -> RunReport:
    return sample_report(burst())
