"""No scenario that `simulate` accepts makes `simulate` or `plan` end with an internal error."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from planner.cli import root
from tests.anything.estimates import check_estimates
from tests.anything.scenarios import Document, fast, scenarios, write

ENDINGS = {0, 1, 3, 4}
"""Kept, broken, no verdict, the user's limit; 2 is bad input, 70 an internal error."""

PLANS = st.sampled_from(
    [
        ("--max-requests", "3000"),
        ("--as-is", "--replications", "3"),
        ("--exhaustive", "--replications", "2", "--autoscale-max-replicas", "1,3"),
        ("--autoscale-max-replicas", "1..3", "--max-requests", "5000"),
        ("--price", "0.5", "--replica-max-concurrent-requests", "1,2", "--max-requests", "2000"),
        ("--autoscale-min-replicas", "1..2", "--autoscale-target-utilization", "40,90", "--max-requests", "2000"),
    ]
)
FAST = settings(fast(12), derandomize=True)
MANY = fast(3000)


def check(document: Document, trace: str, plan: tuple[str, ...], questions: bool) -> None:
    with tempfile.TemporaryDirectory() as made:
        path = write(Path(made), document, trace)
        code = _ended("simulate", str(path), "--replications", "3", "--assumptions")
        event(f"simulate ends with {code}")
        if code == root.EXIT_USAGE:
            return
        assert code in ENDINGS
        asked = [*plan, "--out", str(Path(made) / "plan"), *(() if questions else ("--no-questions",))]
        code = (
            _ended("plan", str(path), *asked, "--worlds", "1")
            if _is_over_worlds(document, plan)
            else (_ended("plan", str(path), *asked))
        )
        event(f"plan ends with {code}")
        if _asks_a_fixed_number_to_scale(document, plan):
            assert code == root.EXIT_USAGE
            return
        assert code in ENDINGS, asked
        found = Path(made) / "plan" / "plan.json"
        if found.exists():
            document = json.loads(found.read_text(encoding="utf-8"))
            check_estimates(document)
            _check_recommended(document)


def _is_over_worlds(document: Document, plan: tuple[str, ...]) -> bool:
    return "mid" in str(document) and not {"--as-is", "--exhaustive"} & set(plan)


def _asks_a_fixed_number_to_scale(document: Document, plan: tuple[str, ...]) -> bool:
    """`--autoscale-min-replicas` and `fixed` contradict each other, and are refused."""
    return document.get("deployment", {}).get("autoscaler") == "fixed" and "--autoscale-min-replicas" in plan


def _ended(*arguments: str) -> int:
    return root.run([*arguments, "--cores", "1"])


def _check_recommended(plan: dict[str, Any]) -> None:
    """A recommended setting of a plan that says feasible is kept by its own verdict."""
    if plan.get("verdict") == "feasible" and plan.get("recommended"):
        assert plan["recommended"]["verdict"] == "pass", plan["recommended"]


@FAST
@given(scenarios(), PLANS, st.booleans())
def test_no_scenario_ends_a_plan_with_an_internal_error(
    scenario: tuple[Document, str], plan: tuple[str, ...], questions: bool
) -> None:
    check(*scenario, plan, questions)


@pytest.mark.verify
@pytest.mark.timeout(0)
@MANY
@given(scenarios(), PLANS, st.booleans())
def test_no_scenario_of_thousands_does(scenario: tuple[Document, str], plan: tuple[str, ...], questions: bool) -> None:
    check(*scenario, plan, questions)
