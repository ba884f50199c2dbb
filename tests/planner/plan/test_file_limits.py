"""A maximum that the scenario file sets is a limit of the search, unless an option says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from planner.cli.planning import Wanted, make_plan
from planner.errors import InputError
from planner.plan.space import Ranges
from planner.report.plan import words
from planner.scenario_file import load

TEXT = """
name: limited
duration: 30s
traffic: {arrivals: poisson, rps: 15}
service_time: {distribution: exponential, mean: 400ms}
cold_start: 5s
deployment: {DEPLOYMENT}
slo: {max_503: 2%}
"""


def planned(folder: Path, deployment: str, **ranges: tuple[int, ...]) -> dict[str, Any]:
    path = folder / "limited.yaml"
    path.write_text(TEXT.replace("DEPLOYMENT", deployment))
    wanted = Wanted(ranges=Ranges(target_percent=(50, 70), **ranges), questions=False, cores=1)
    return make_plan(load(path), wanted)


@pytest.mark.parametrize("name", ["autoscale_max_replicas", "max_instances"])
def test_a_limit_that_stands_in_the_way_is_named_with_what_would_do(tmp_path: Path, name: str) -> None:
    document = planned(tmp_path, f"{name}: 5")
    assert (document["verdict"], document["binding_limit"]) == ("infeasible", "max_replicas")
    assert all(row["autoscale_max_replicas"] <= 5 for row in [*document["rejected"], *document["frontier"]])
    assert document["reasons"][0].startswith(f"the scenario's own maximum, {name} = 5, is a limit")
    assert words.file_limits(document) == (
        f"The scenario's {name} of 5 was kept as a limit: --autoscale-max-replicas lifts it."
    )
    assert "a maximum of 8 would do (8 replicas from the start" in document["reasons"][0]
    assert document["limits"] == [{"setting": "autoscale_max_replicas", "value": 5, "is_kept": True}]


def test_the_option_lifts_it_and_the_plan_says_so(tmp_path: Path) -> None:
    document = planned(tmp_path, "autoscale_max_replicas: 5", max_replicas=(6, 8, 10))
    assert document["verdict"] == "feasible"
    assert document["limits"] == [{"setting": "autoscale_max_replicas", "value": 5, "is_kept": False}]
    assert words.file_limits(document) == (
        "The scenario's autoscale_max_replicas of 5 was no limit: --autoscale-max-replicas was given."
    )


def test_a_default_is_no_limit(tmp_path: Path) -> None:
    document = planned(tmp_path, "api: v2")
    assert document["verdict"] == "feasible"
    assert document["scenario"]["settings"]["autoscale_max_replicas"] == 1
    assert document["limits"] == []
    assert words.file_limits(document) is None


def test_minima_above_the_limit_are_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"above the scenario's maximum of 5 \(--autoscale-max-replicas lifts it\)"):
        planned(tmp_path, "autoscale_max_replicas: 5", min_replicas=(6, 7))
