"""A plan in the terminal: what it says, within 80 columns, in every kind of plan."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from planner.cli.plan_view import show

from .report import plan_samples as samples

SPIKE = samples.shipped_spike()
FIXED = samples.fixed_scenario()

PLANS = {
    "feasible": samples.plan_of(SPIKE, questions=samples.questions()),
    "robust": samples.plan_of(SPIKE, robust=samples.robust()),
    "infeasible": samples.infeasible(SPIKE),
    "undecided": samples.undecided(SPIKE),
    "without_slo": samples.without_slo(SPIKE),
    "unresolved": samples.unresolved(SPIKE),
    "fixed": samples.fixed(FIXED),
    "bare": samples.infeasible(SPIKE) | {"frontier": [], "alternatives": [], "map": None, "published_rule": None},
}


def shown(document: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    show(json.loads(json.dumps(document, allow_nan=False)))
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("feasible", ["launch-spike: The promise can be kept. Cheapest: min 17, max 28, target 80 %.", "no promise"]),
        ("infeasible", ["Nothing that was allowed keeps the promise.", "a higher maximum may help", "nearest misses"]),
        ("undecided", ["Undecided. The best that is known: min 17,", "The budget ended the search", "61 %"]),
        ("without_slo", ["The scenario promises nothing (it has no slo); assumed: at most 0.1 %"]),
        ("unresolved", ["at most 0.001 %", "none in 400 runs", "0 (at most 0.001 %)", "blank: unknown"]),
        ("fixed", ["Cheapest: 16 replicas.", "replica-hours in 31 min"]),
        ("robust", ["The promise is kept in 2 of 2 worlds.", "5.90 replica-hours", "Worlds kept"]),
        ("bare", ["Nothing that was allowed keeps the promise."]),
    ],
)
def test_every_kind_of_plan_says_what_it_is(plan: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    document = PLANS[plan]
    text = shown(document, capsys)
    for words in expected:
        assert words in text
    for reason in document["reasons"]:
        assert reason[1:] in text
    for word in ("None", "nan", "null"):
        assert word not in text.split()


def test_verdict_and_settings_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(PLANS["feasible"], capsys)
    order = ["can be kept", "autoscale_min_replicas", "requests that get 503", "Recommended (>)", "Frontier:"]
    order += ["503s over minimum", "The published rule", "What if:", "settings searched", "discarded by"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert re.search(r"requests that get 503 +0\.0796 % +0\.0717 % to 0\.0876 %", text)
    assert re.search(r"latency p99 of 200 answers +0\.720 s +0\.706 s to 0\.734 s", text)
    assert "With a probability of 97 % it keeps the promise" in text
    assert "400 replications that had no part in choosing it" in text


def test_frontier_has_a_row_for_each_setting_with_the_promise_in_one_column(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(PLANS["feasible"], capsys).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Frontier:"))
    rows = lines[start + 2 : start + 2 + len(PLANS["feasible"]["frontier"])]
    assert [int(re.findall(r"\d+", row)[0]) for row in rows] == list(range(4, 24))
    assert [row for row in rows if row.startswith(">")] == [row for row in rows if " 17 " in row[:8]]
    bars = {row.rindex("|") for row in rows if "|" in row}
    assert len(bars) == 1
    at = bars.pop()
    by_min = {int(re.findall(r"\d+", row)[0]): row.rindex("o") for row in rows}
    assert by_min[4] > at > by_min[23]
    assert sorted(by_min.values(), reverse=True) == list(by_min.values())


def test_map_marks_the_recommended_cell_and_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(PLANS["feasible"], capsys).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("503s over minimum"))
    targets = lines[start + 1].split()[1:]
    assert targets == [str(target) for target in samples.TARGETS]
    rows = {int(line.split()[0]): line for line in lines[start + 2 : start + 2 + len(samples.MINIMA)]}
    (marked,) = [low for low, line in rows.items() if "[" in line]
    assert marked == 17
    column = lines[start + 1].index(" 80 ") + 1
    assert "[" in rows[17][column - 2 : column + 1]
    for low, line in rows.items():
        signs = re.findall(r"[.:x#]", line[7:])
        expected = [
            "." if fraction <= 0.0001 else ":" if fraction <= 0.001 else "x" if fraction <= 0.01 else "#"
            for fraction in PLANS["feasible"]["map"]["fraction_503"][low - 1]
        ]
        assert signs == expected
        assert line[7:].count("'") == sum(PLANS["feasible"]["map"]["simulated"][low - 1])


def test_large_maps_and_long_frontiers_are_thinned_around_the_recommended(capsys: pytest.CaptureFixture[str]) -> None:
    plan = samples.plan_of(SPIKE)
    minima, targets = list(range(1, 121)), list(range(10, 101))
    plan["map"] |= {
        "autoscale_min_replicas": minima,
        "autoscale_target_utilization": targets,
        "fraction_503": [[0.01] * len(targets)] * len(minima),
        "simulated": [[False] * len(targets)] * len(minima),
    }
    plan["frontier"] = plan["frontier"] * 5
    text = shown(plan, capsys)
    assert text.count("[x ]") == 1
    assert f"of {len(minima) * len(targets):,}.)" in text
    assert f"of {len(plan['frontier'])}.)" in text
    assert len(text.splitlines()) < 160
    charts = text[text.index("Frontier:") : text.index("The published rule")]
    assert max(len(line) for line in charts.splitlines() if not line.startswith((" kept", "  ["))) <= 120


def test_reasons_stand_below_their_settings(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(PLANS["feasible"], capsys).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("~   18"))
    assert "0.0639 % (0.0575 to 0.0703 %)" in lines[at]
    assert "7.32 (7.29 to 7.35)" in lines[at]
    assert lines[at + 1].strip() == "Kept, but 1.8 % dearer."


def test_rejected_settings_are_counted_by_what_rejected_them(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(samples.plan_of(SPIKE, rejected=samples.rejected(1200)), capsys)
    assert "300 discarded by a proved bound" in text
    assert (
        "900 discarded by screening (predicted from the settings that were simulated), for example min 2, max" in text
    )


def test_warnings_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    show(samples.plan_of(SPIKE, warnings=["the trace was cut"]))
    out, err = capsys.readouterr()
    assert err == "warning: the trace was cut\n"
    assert "the trace was cut" not in out


@pytest.mark.parametrize("plan", list(PLANS))
def test_a_terminal_of_80_columns_breaks_no_line(plan: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(PLANS[plan]))
    code = "import json, sys; from planner.cli.plan_view import show; show(json.load(open(sys.argv[1])))"
    text = in_terminal([sys.executable, "-c", code, str(tmp_path / "plan.json")], columns=80)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip("\r") for line in text.split("\n")]
    assert len(lines) > 8
    assert [line for line in lines if len(line) > 80] == []


def in_terminal(command: list[str], *, columns: int) -> str:
    """What a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "40"}
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment, cwd=root) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    assert process.returncode == 0, b"".join(parts).decode()
    return b"".join(parts).decode()
