"""`simulate --precision`: replications until the interval is narrow enough, and every way to end before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from planner.cli import root, simulation
from tests.planner.test_simulate import document, scenario


@pytest.fixture(autouse=True)
def few_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "default_most", lambda expected_requests: 120)


def test_it_ends_at_the_first_look_that_is_precise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scenario(tmp_path, rps=14)
    fewer, enough = (document(capsys, path, "--replications", count)[1] for count in ("50", "75"))
    wanted = (half_width(fewer) + half_width(enough)) / 2
    code, said = document(capsys, path, "--precision", f"{wanted}")
    assert (code, said["replications"], said["fraction_503"]) == (0, 75, enough["fraction_503"])
    assert said["precision"] == {
        "target": wanted,
        "half_width": pytest.approx(half_width(enough)),
        "stopped_by": "precision",
    }


def half_width(said: dict[str, Any]) -> float:
    fraction = said["fraction_503"]
    return float((fraction["high"] - fraction["low"]) / 2 / fraction["value"])


@pytest.mark.parametrize(
    ("rps", "options", "code", "stopped_by", "sentence"),
    [
        (9.0, ["--replications", "60"], 4, "replications", "the most that --replications allows: ±"),
        (9.0, [], 0, "default_limit", "where it ends without --replications: ±"),
        (0.05, [], 0, "default_limit", "no 503 at all, so the fraction is below"),
    ],
)
def test_a_precision_that_is_not_reached_is_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rps: float,
    options: list[str],
    code: int,
    stopped_by: str,
    sentence: str,
) -> None:
    arguments = [scenario(tmp_path, rps=rps), "--precision", "0.1%", *options]
    ended, said = document(capsys, *arguments)
    assert (ended, said["precision"]["stopped_by"]) == (code, stopped_by)
    assert said["replications"] == (60 if options else 120)
    assert (said["precision"]["half_width"] is None) is (rps < 1)
    root.run(["simulate", *arguments])
    assert sentence in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "10"], "--precision = 10, above 1 needs a percent sign; did you mean 10%?"),
        (["--precision", "0"], "--precision = 0, must be above 0% and below 100%"),
        (["--precision", "narrow"], "--precision = narrow, must be a number"),
        (["--precision", "10%", "--replications", "20"], "--replications = 20, must be at least 50 with --precision"),
    ],
)
def test_a_bad_precision_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert root.run(["simulate", scenario(tmp_path), *options, "--output", "json"]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"{message}\n")
