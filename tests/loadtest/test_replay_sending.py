"""One worker against a recording stub: what arrived there and when, also where the endpoint is slow or is a lab."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from loadtest.replay import start
from loadtest.replay.progress import Progress
from loadtest.replay.run import replay
from loadtest.runfolder import open_run_folder
from loadtest.schedule import build_schedule
from planner.child import child_environment, module_command
from planner.model import NO_CAUSE, Cause
from planner.scenario_file import load
from tests.loadtest.replay_runs import (
    KEY,
    MakeScenario,
    MakeStub,
    arrivals,
    folder_bytes,
    processes,
    real_runs,
    run,
    totals,
    valid_replay,
    workers_of,
)

pytestmark = real_runs


def cv(times: np.ndarray) -> float:
    gaps = np.diff(np.sort(times))
    return float(gaps.std() / gaps.mean())


def test_requests_arrive_when_they_are_planned(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURGEPROOF_ENDPOINT_KEY", KEY)
    plan = scenario(rps=120, duration="3s")
    command_lines: list[str] = []

    def note_command_lines(_: Progress) -> None:
        if not command_lines:
            command_lines.extend(line for _, line in processes().values())

    result, server = valid_replay(plan, lambda: stub(delay_s=0.05, key=KEY), tmp_path, on_progress=note_command_lines)
    schedule = build_schedule(plan)
    index, arrived_s = arrivals(server, result)
    record = server.record()

    assert sorted(index) == list(range(len(schedule))), "each planned request arrives once"
    error_s = arrived_s - schedule.scheduled_s[index]
    assert error_s.min() > -0.0005
    assert np.median(error_s) < 0.005
    counts = np.bincount(arrived_s.astype(int), minlength=3)[:3]
    assert np.abs(counts - np.bincount(schedule.scheduled_s.astype(int))).sum() <= 0.05 * len(schedule)
    assert cv(arrived_s) == pytest.approx(cv(schedule.scheduled_s), rel=0.25), "0 is even, 4 to 39 is Locust's pacing"

    assert totals(result.document) == {"planned": len(schedule), "sent": len(schedule), "ok": len(schedule)}
    log = result.requests
    sent_after_s = arrived_s - log.sent_s[index]
    assert sent_after_s.min() > -0.0005
    assert np.median(sent_after_s) < 0.003, "sent_s is taken just before the bytes leave"
    latency = result.document["observed"]["latency_from_send_s"]
    assert 0.049 < latency["p50"] < 0.06
    assert result.document["observed"]["latency_from_schedule_s"]["p50"] >= latency["p50"]
    assert np.allclose(log.service_time_s, (np.arange(len(log)) + 0.5) / 1e3), "x-ms-run-fn-exec-ms"
    assert np.array_equal(log.replica, np.arange(len(log)) % 3)
    assert record["bodies"][0] == {"request": 0, "service_time_s": 0.05}
    headers = record["headers"][0]
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert headers["x-ms-client-request-id"] == f"{schedule.sha256[:12]}-0"
    assert "cookie" not in record["headers"][4]
    assert record["paths"] == ["/api/v1/service/stub/score"]
    assert record["connections"] <= result.document["client"]["sockets_warmed"] + 5, "sockets are kept alive"

    folder = open_run_folder(result.folder.path)
    assert len(folder.read_requests()) == len(folder.read_schedule()) == len(schedule)
    assert folder.read_summary()["observed"] == result.document["observed"]
    assert load(folder.scenario).text == plan.text
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "latencies.hlog",
        "requests.parquet",
        "scenario.yaml",
        "schedule.parquet",
        "summary.json",
    ]
    why = "the endpoint is not a Surgeproof lab on this machine, so replicas were not observed"
    assert result.document["replicas"]["why"] == why
    assert KEY.encode() not in folder_bytes(result.folder.path)
    assert any("loadtest.replay.worker" in line for line in command_lines)
    assert not any(KEY in line for line in command_lines)
    assert workers_of() == []


def test_a_slow_endpoint_does_not_slow_the_sending(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    plan = scenario(rps=150, duration="3s")
    result, server = valid_replay(plan, lambda: stub(delay_s=0.05, slow=[0.7, 2.2, 1.0]), tmp_path)
    index, arrived_s = arrivals(server, result)
    planned_s = result.requests.scheduled_s
    for begin, end in ((0.0, 0.7), (0.7, 2.2), (2.2, 3.0)):
        planned = int(np.sum((planned_s >= begin) & (planned_s < end)))
        arrived = int(np.sum((arrived_s >= begin) & (arrived_s < end)))
        assert abs(arrived - planned) <= 0.03 * planned + 2, "a closed loop would lose most of the middle"
    assert len(index) == len(planned_s)
    assert result.document["generator"]["max_in_flight"] > 120, "requests pile up instead of waiting to be sent"
    slow = (planned_s > 0.8) & (planned_s < 2.1)
    assert np.median((result.requests.finish_s - result.requests.sent_s)[slow]) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("lab", ["begins", "ticks"])
def test_a_lab_is_observed_and_shares_the_start(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path, lab: str
) -> None:
    plan = scenario(rps=30, duration="1s")
    result, server = valid_replay(plan, lambda: stub(lab=lab, cycle=["ok", "503"]), tmp_path, is_lab=True)
    record = server.record()
    start_s = result.document["start_monotonic_s"]
    assert result.document["aligned_to_tick"] is True
    if lab == "begins":
        assert record["begun_s"] == start_s, "the lab is told when time 0 is"
    else:
        ticks = (start_s - record["started_s"]) / 0.5
        assert abs(ticks - round(ticks)) < 1e-5, "the start is put on a tick"
    replicas = result.folder.read_replicas()
    assert replicas is not None
    assert replicas.time_s[0] == 0
    assert list(replicas.ready) == [2, 3], "only changes"
    changed_s = record["lab_log"][1]["monotonic_s"] - start_s
    assert replicas.time_s[1] == pytest.approx(changed_s, abs=1e-6), "the instant of the log, not of a sample"
    assert result.document["replicas"]["at_start"]["ready"] == 2
    assert result.document["warnings"] == []
    assert set(result.requests.cause[::2]) == {NO_CAUSE}
    assert set(result.requests.cause[1::2]) == {Cause.AT_MAX_REPLICAS}


def test_an_interrupt_while_a_replay_tidies_up_loses_nothing(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = start.ReplicaObserver.stop

    def interrupted_stop(observer: start.ReplicaObserver) -> None:
        signal.raise_signal(signal.SIGINT)
        stop(observer)

    monkeypatch.setattr(start.ReplicaObserver, "stop", interrupted_stop)
    before = signal.getsignal(signal.SIGINT)
    result = replay(scenario(rps=30, duration="1s"), stub(lab="begins").url, out=tmp_path / "run", is_lab=True)
    assert (result.document["ended"], result.exit_code) == ("complete", 0)
    assert result.document["books"]["ok"] == result.document["books"]["planned"]
    assert signal.getsignal(signal.SIGINT) == before


def test_the_modules_in_the_users_folder_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('not yours')")
    (tmp_path / "planner").mkdir()
    (tmp_path / "planner" / "__init__.py").touch()
    command = [*module_command("loadtest.lab"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_table_and_the_refusals_of_the_command(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    scenario(rps=30, duration="1s")
    code, stdout, stderr = run("replay", path, "--url", "http://192.0.2.1/score")
    assert (code, stdout) == (2, "")
    assert "192.0.2.1 is not this machine" in stderr
    server = stub(cycle=["ok", "503"])
    code, stdout, stderr = run("replay", path, "--url", server.url, "--out", tmp_path / "run")
    assert code in (0, 3), stderr
    assert "status 503" in stdout
    assert stdout.strip().splitlines()[-1] == f"Run folder: {tmp_path / 'run'}"
