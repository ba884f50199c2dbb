"""What a log's stamps mean for the answer, which of its requests are probes, and how some are chosen."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner.arrivals import Recorded
from planner.errors import InputError
from planner.measures import measure
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.service import FromTrace
from planner.sim.engine import simulate_replicate
from planner.traces.choosing import Wanted, methods, statuses
from planner.traces.playing import play
from planner.traces.records import Stamps
from planner.traces.trace_file import read_trace

CASES = Path(__file__).parent / "cases"
A2 = CASES / "A2-stamps-at-the-end.yaml"
A3 = CASES / "A3-probes-in-log.log"
TRUE = str(CASES / "A2-true-arrivals.csv")
CLF = '10.0.0.1 - - [22/Nov/2026:10:00:{:02d} +0000] "{} {} HTTP/1.1" {} 59 "-" "{}"'


def written(folder: Path, *lines: str) -> Path:
    path = folder / "some.log"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def playing(folder: Path, log: Path, service_time: Any = "1s", **trace: Any) -> Scenario:
    document = {
        "schema_version": 1,
        "traffic": {"arrivals": {"trace": {"file": str(log), **trace}}},
        "service_time": service_time,
        "deployment": {"api": "v1", "autoscaler": "fixed", "num_replicas": 2},
    }
    (folder / "s.yaml").write_text(json.dumps(document), encoding="utf-8")
    return load(str(folder / "s.yaml"))


def fraction_503(scenario: Scenario) -> float:
    return measure(scenario, [simulate_replicate(scenario, i) for i in range(40)]).fraction_503.value


# Stamps


def test_a_log_with_stamps_at_the_end_gives_what_the_true_arrivals_give() -> None:
    true = fraction_503(load(str(A2), {"trace.file": TRUE}))
    assert true == pytest.approx(0.248, abs=0.005)
    assert fraction_503(load(str(A2))) == pytest.approx(true, abs=0.012)  # whole seconds leave that much
    assert fraction_503(load(str(A2), {"trace.stamps": "start"})) < 0.01  # what stamps taken as arrivals would say


def test_the_arrivals_of_a_log_are_the_true_ones_within_its_seconds() -> None:
    true_s = read_trace(Path(TRUE)).times_s
    for even in (False, True):
        trace = play(read_trace(CASES / "A2-stamps-at-the-end.log"), seed=1, even=even)
        off_s = trace.times_s - np.median(trace.times_s - true_s) - true_s
        assert np.abs(off_s).max() <= 1.0


def test_slices_of_a_log_with_stamps_at_the_end_agree() -> None:
    log = read_trace(CASES / "A2-stamps-at-the-end.log")
    whole, part = play(log, seed=5), play(log, from_s=100, for_s=60, seed=5)
    inside = whole.times_s[(whole.times_s >= 100) & (whole.times_s < 160)]
    assert np.allclose(part.times_s + 100, inside)
    assert np.all(np.diff(whole.times_s) >= 0)


def test_the_end_less_the_duration_is_the_arrival_and_the_duration_a_service_time(tmp_path: Path) -> None:
    lines = [
        "2026-11-22 10:00:05,500 I [7] azmlinfsrv - POST /score 200 5000ms 30",
        "2026-11-22 10:00:02,000 I [7] azmlinfsrv - POST /score 200 250.5ms 30",
    ]
    trace = read_trace(written(tmp_path, *lines))
    assert trace.times_s.tolist() == [0.0, 1.2495]
    assert trace.service_time_s is not None
    assert trace.service_time_s.tolist() == [5.0, 0.2505]
    at_start = read_trace(written(tmp_path, *lines), stamps=Stamps.START)
    assert at_start.times_s.tolist() == [0.0, 3.5]
    scenario = playing(tmp_path, tmp_path / "some.log", "trace")
    assert isinstance(scenario.service_time, FromTrace)
    assert scenario.service_time.times_s.tolist() == [5.0, 0.2505]
    assert not any("wait" in warning for warning in scenario.warnings)  # the worker itself measured


def test_a_duration_from_outside_is_said_to_hold_waiting() -> None:
    scenario = load(str(A2), {"service_time": "trace"})
    (said,) = [warning for warning in scenario.warnings if "wait" in warning]
    assert "the service times are upstream_response_time. Where requests waited behind that point" in said


def test_without_a_duration_the_size_of_the_error_is_said_where_service_is_long(tmp_path: Path) -> None:
    log = written(tmp_path, *(CLF.format(i, "POST", "/score", 200, "curl") for i in range(20)))
    long = {"distribution": "lognormal", "mean": "8s", "cv": 0.5}
    (said,) = [warning for warning in playing(tmp_path, log, long).warnings if "may name the end" in warning]
    assert "too late by 8 s on average, with a standard deviation of 4 s, against 1 s between requests" in said
    for settings in ({"service_time": "100ms"}, {"service_time": long, "stamps": "start"}):
        assert not any("may name the end" in warning for warning in playing(tmp_path, log, **settings).warnings)
    apache = playing(tmp_path, log, long, format="apache")
    assert not any("may name the end" in warning for warning in apache.warnings)


def test_requests_without_a_service_time_take_the_one_before(tmp_path: Path) -> None:
    rest = " 89 {0} [a] [] 10.0.0.1:80 59 {1} 200 ab"
    line = CLF.format(3, "POST", "/score", 503, "curl")
    logged = [("1.000", "0.900"), ("0.000", "-"), ("2.000", "1.900")]
    log = written(tmp_path, *(line + rest.format(*times) for times in logged))
    scenario = playing(tmp_path, log, "trace", one_second_stamps="start_of_second")
    assert isinstance(scenario.service_time, FromTrace)
    assert scenario.service_time.times_s.tolist() == [1.9, 0.9, 0.9]  # in order of arrival
    assert any("1 of 3 requests state no service time; each has that of the last" in said for said in scenario.warnings)
    log = written(tmp_path, *(line + rest.format(*times) for times in [*logged, *logged[1:2] * 3]))
    with pytest.raises(InputError, match=r"only 2 of the 6 requests played from some.log state one"):
        playing(tmp_path, log, "trace")


def test_the_other_extreme_of_a_second_is_only_shown_where_a_stamp_is_an_arrival() -> None:
    ends, starts = (load(str(A2), {"trace.stamps": stamps}).arrivals for stamps in ("end", "start"))
    assert isinstance(ends, Recorded)
    assert isinstance(starts, Recorded)
    assert ends.start_of_second_s is None
    assert starts.start_of_second_s is not None
    assert "each at its stamp less its duration" in ends.made
    assert "less its duration" not in starts.made


# Probes and the choice of requests


def test_probes_are_named_with_their_shares_and_what_leaves_them_out() -> None:
    shares, probes = read_trace(A3).notes
    assert shares.startswith("40 requests are POST /score 22 (55 %), GET /healthz 12 (30 %), GET /metrics 6 (15 %)")
    assert probes == (
        "likely probes are played as scoring requests: GET /healthz 12 (30 %), GET /metrics 6 (15 %): "
        "`path: /score` (--path) leaves them out"
    )


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(paths=("/score",)),
        Wanted(methods=("POST",)),
        Wanted(paths=("/score",), methods=("POST",), statuses=("2xx",)),
    ],
)
def test_what_is_played_and_what_is_left_is_said(wanted: Wanted) -> None:
    trace = read_trace(A3, wanted=wanted)
    assert len(trace) == 22
    (note,) = trace.notes
    left = "22 of 40 requests are played ({}); left out: GET /healthz 12 (30 %), GET /metrics 6 (15 %)"
    assert note.startswith(left.format(wanted))


@pytest.mark.parametrize(
    ("method", "path", "agent", "is_probe"),
    [
        ("GET", "/healthz", "-", True),
        ("GET", "/", "ELB-HealthChecker/2.0", True),
        ("HEAD", "/", "curl/8.0", True),
        ("GET", "/model", "GoogleHC/1.0", True),
        ("GET", "/model", "Edge Health Probe", True),
        ("GET", "/model", "Prometheus/2.45.0", True),
        ("OPTIONS", "/", "HAProxy-Check", True),
        ("GET", "/livez/", "x", True),
        ("POST", "/score", "kube-probe/1.29", False),
        ("GET", "/score", "curl/8.0", False),
        ("POST", "/health", "x", False),
    ],
)
def test_probes_are_known_by_path_or_agent_and_never_post(
    tmp_path: Path, method: str, path: str, agent: str, is_probe: bool
) -> None:
    lines = (CLF.format(1, "POST", "/predict", 200, "curl"), CLF.format(2, method, path, 200, agent))
    notes = " ".join(read_trace(written(tmp_path, *lines)).notes)
    assert (f"likely probes are played as scoring requests: {method} {path} 1 (50 %)" in notes) == is_probe


def test_a_log_of_one_kind_says_nothing(tmp_path: Path) -> None:
    assert read_trace(written(tmp_path, *[CLF.format(1, "POST", "/score", 200, "c")] * 3)).notes == ()


def test_statuses_and_many_paths_are_cut_to_a_screen(tmp_path: Path) -> None:
    lines = [CLF.format(i % 60, "POST", f"/{'long' * 30}/{i}", 200 + i % 7, "c") for i in range(200)]
    path = written(tmp_path, *lines)
    (note,) = read_trace(path).notes
    assert "195 other kinds 195 (97.5 %); status 200 29, " in note
    assert len(note) < 500
    assert len(read_trace(path, wanted=Wanted(statuses=("201", "203")))) == 58
    with pytest.raises(InputError) as raised:
        read_trace(path, wanted=Wanted(methods=("PUT",)))
    assert "no request PUT in 200 lines (there are POST /long" in str(raised.value)
    assert len(str(raised.value)) < 600


def test_what_a_file_does_not_say_cannot_be_chosen_by() -> None:
    for wanted in (Wanted(paths=("/score",)), Wanted(methods=("POST",)), Wanted(statuses=("200",))):
        with pytest.raises(InputError, match=r"does not say the `(path|method|status)` of its requests"):
            read_trace(Path(TRUE), wanted=wanted)


@pytest.mark.parametrize("bad", ["", "PO ST", "P1", None, 7.5, True, ["POST", None, ""]])
def test_a_bad_method_is_told(bad: object) -> None:
    with pytest.raises(ValueError, match="must be a method"):
        methods(bad)


@pytest.mark.parametrize("bad", ["", "2000", 7, "6xx", "20x", None, True, []])
def test_a_bad_status_is_told(bad: object) -> None:
    with pytest.raises(ValueError, match="must be a status"):
        statuses(bad)


def test_methods_and_statuses_as_a_person_writes_them() -> None:
    assert methods("post") == ("POST",)
    assert methods("POST, PUT") == methods(["POST", "PUT"]) == ("POST", "PUT")
    assert statuses(200) == ("200",)
    assert statuses("2XX,503") == statuses(["2xx", 503]) == ("2xx", "503")


def test_counts_have_no_requests_to_choose(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("time_s,requests\n0,3\n60,4\n")
    with pytest.raises(InputError, match="holds counts, so `path`"):
        read_trace(path, wanted=Wanted(paths=("/score",)))
    with pytest.raises(InputError, match="whose stamps are the start of their bin"):
        read_trace(path, stamps=Stamps.END)
    assert replace(Wanted(), paths=None) == Wanted()


# The command line


def test_the_options_of_a_replay_choose_requests_and_say_what_a_stamp_names() -> None:
    command = [sys.executable, "-m", "planner.cli.root", "replay", str(A2), "--trace", str(A3), "--dry-run"]
    options = ["--path", "/score", "--method", "POST", "--status", "2xx", "--format", "common_log", "--stamps", "start"]
    shown = subprocess.run([*command, *options, "--output", "json"], capture_output=True, text=True, check=True)
    document = json.loads(shown.stdout)
    assert document["requests"] == 22
    assert "22 requests for POST /score with status 2xx of A3-probes-in-log.log" in document["source"]
    assert not any("may name the end" in warning for warning in document["warnings"])
    for option, value, bound in (
        ("--stamps", "middle", "must be start or end"),
        ("--format", "clf", "must be one of aml_traffic_log, "),
        ("--status", "7", "must be a status"),
        ("--method", "P 1", "must be a method"),
    ):
        with pytest.raises(InputError) as refused:
            load(str(A2), {f"trace.{option[2:]}": value})
        assert str(refused.value).startswith(f"{option} = {value}, {bound}")
