"""Replays against a recording stub server: what arrived there, what came back, and what is kept when things go wrong.

Every run is real: Locust in its process, sockets on the loopback. A run whose generator was held up by a busy machine
repeats once (`valid_replay`); a wrong result never does.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.replay import run as run_module
from loadtest.replay import session
from loadtest.replay.progress import Progress
from loadtest.replay.run import ReplayResult, replay
from loadtest.replay.segment import read_segment
from loadtest.runfolder import RunFolder, open_run_folder
from loadtest.schedule import build_schedule, read_schedule, write_schedule
from planner.child import child_environment, module_command
from planner.model import NO_CAUSE, Cause, Outcome
from planner.scenario import Scenario
from planner.scenario_file import load
from tests.loadtest.conftest import StubServer, processes, workers_of

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc for processes left behind"),
]

MakeStub = Callable[..., StubServer]
MakeScenario = Callable[..., Scenario]
KEY = "k3y-that-nobody-may-see"


@pytest.fixture(autouse=True)
def _short_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LEAD_S", 0.3)


def valid_replay(
    scenario: Scenario, start_stub: Callable[[], StubServer], out: Path, **options: Any
) -> tuple[ReplayResult, StubServer]:
    """A run whose generator kept up, against a fresh stub; one more try where the machine was busy."""
    for attempt in ("first", "second"):
        server = start_stub()
        result = replay(scenario, server.url, out=out / attempt, **options)
        if result.document["generator"]["valid"]:
            return result, server
    raise AssertionError(f"generator invalid twice: {result.document['generator']['problems']}")


def arrivals(server: StubServer, result: ReplayResult) -> tuple[np.ndarray, np.ndarray]:
    """Request indices in order of arrival, and their arrival times in seconds from the start of the run."""
    seen = server.record()["arrivals"]
    return np.array([i for i, _ in seen]), np.array([t for _, t in seen]) - result.document["start_monotonic_s"]


def cv(times: np.ndarray) -> float:
    gaps = np.diff(np.sort(times))
    return float(gaps.std() / gaps.mean())


def totals(result: ReplayResult) -> dict[str, int]:
    """The books without zeros."""
    books = result.document["books"]
    return {name: n for name, n in books.items() if type(n) is int and n}


def folder_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


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

    assert totals(result) == {"planned": len(schedule), "sent": len(schedule), "ok": len(schedule)}
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
    assert record["headers"][0]["content-type"] == "application/json"
    assert record["headers"][0]["authorization"] == f"Bearer {KEY}"
    assert "cookie" not in record["headers"][4]
    assert record["connections"] <= result.document["client"]["sockets_warmed"] + 5, "sockets are kept alive"

    folder = open_run_folder(result.folder.path)
    assert len(folder.read_requests()) == len(folder.read_schedule()) == len(schedule)
    assert folder.read_summary()["observed"] == result.document["observed"]
    assert load(folder.scenario).text == plan.text
    assert not folder.segment.exists()
    assert not folder.worker_log.exists()
    assert result.document["replicas"]["why"] == "the endpoint shows no replicas (GET /lab/state answers 404)"
    assert KEY.encode() not in folder_bytes(result.folder.path)
    assert any("loadtest.replay.worker" in line for line in command_lines)
    assert not any(KEY in line for line in command_lines)
    assert workers_of() == []


def test_every_kind_of_answer_has_its_place_in_the_books(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CLIENT_SLACK_S", 0.2)
    expected = {
        "ok": Outcome.OK,
        "chunked": Outcome.OK,
        "close": Outcome.OK,
        "close_quietly": Outcome.OK,
        "503": Outcome.STATUS_503,
        "503-bare": Outcome.STATUS_503,
        "504": Outcome.STATUS_504,
        "429": Outcome.STATUS_429,
        "418": Outcome.OTHER_4XX,
        "500": Outcome.OTHER_5XX,
        "302": Outcome.OTHER_STATUS,
        "201": Outcome.OTHER_STATUS,
        "garbage": Outcome.BAD_RESPONSE,
        "bad_json": Outcome.BAD_RESPONSE,
        "empty": Outcome.BAD_RESPONSE,
        "reset": Outcome.CONNECTION_ERROR,
        "hang": Outcome.TIMEOUT,
    }
    cycle = list(expected)
    plan = scenario(rps=100, duration="2s", arrivals="regular", scoring_timeout_ms="300")
    result, server = valid_replay(plan, lambda: stub(cycle=cycle, delay_s=0.01), tmp_path)
    kinds = [cycle[i % len(cycle)] for i in range(len(result.requests))]
    wrong = Counter(
        (kind, Outcome(o).name)
        for kind, o in zip(kinds, result.requests.outcome, strict=True)
        if Outcome(o) is not expected[kind]
    )
    assert not wrong
    assert len(server.record()["arrivals"]) == len(kinds), "nothing is sent twice and no redirect is followed"
    assert totals(result)["sent"] == len(kinds)
    observed = result.document["observed"]
    n_503 = sum(kind.startswith("503") for kind in kinds)
    assert observed["fraction_503"] == pytest.approx(n_503 / len(kinds))
    assert observed["flagged_503"] == kinds.count("503-bare")
    took_s = result.requests.finish_s - result.requests.sent_s
    timeouts = took_s[result.requests.outcome == Outcome.TIMEOUT]
    assert np.all((timeouts > 0.59) & (timeouts < 0.75)), "wait limit + scoring timeout + slack"


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
    result, server = valid_replay(plan, lambda: stub(lab=lab, cycle=["ok", "503"]), tmp_path)
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
    stop = session.ReplicaObserver.stop

    def interrupted_stop(observer: session.ReplicaObserver) -> None:
        signal.raise_signal(signal.SIGINT)
        stop(observer)

    monkeypatch.setattr(session.ReplicaObserver, "stop", interrupted_stop)
    before = signal.getsignal(signal.SIGINT)
    result = replay(scenario(rps=30, duration="1s"), stub(lab="begins").url, out=tmp_path / "run")
    assert (result.document["ended"], result.exit_code) == ("complete", 0)
    assert result.document["books"]["ok"] == result.document["books"]["planned"]
    assert signal.getsignal(signal.SIGINT) == before


def test_a_limit_of_requests_ends_the_run(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    server = stub(delay_s=0.1)
    result = replay(scenario(rps=60), server.url, out=tmp_path / "run", max_requests=25)
    assert result.exit_code == 4
    assert len(server.record()["arrivals"]) == 25
    planned = len(result.requests)
    assert totals(result) == {"planned": planned, "sent": 25, "ok": 25, "not_reached": planned - 25}
    assert not result.document["generator"]["valid"]


def test_a_refused_key_stops_the_run(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURGEPROOF_ENDPOINT_KEY", "wrong-key")
    result = replay(scenario(rps=50, duration="20s"), stub(key=KEY).url, out=tmp_path / "run")
    assert result.exit_code == 3
    assert "refuses the key (401 or 403)" in str(result.message)
    assert "wrong-key" not in str(result.message)
    assert result.document["books"]["sent"] < 50
    assert open_run_folder(result.folder.path).read_summary()["ended"] == "unauthorized"
    assert b"wrong-key" not in folder_bytes(result.folder.path)


def test_an_endpoint_that_goes_away_ends_the_run(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    server = stub(delay_s=0.02, close_after_s=0.5)
    began_s = time.monotonic()
    result = replay(scenario(rps=60, duration="60s"), server.url, out=tmp_path / "run")
    assert time.monotonic() - began_s < 20
    assert (result.document["ended"], result.exit_code) == ("endpoint_lost", 3)
    books = result.document["books"]
    assert books["ok"] > 10
    assert books["connection_error"] >= 20
    assert books["not_reached"] > 3000


def test_requests_beyond_the_limit_in_flight_are_counted(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path
) -> None:
    server = stub(delay_s=0.5)
    result = replay(scenario(rps=60), server.url, out=tmp_path / "run", max_in_flight=10)
    books = totals(result)
    assert books["dropped_max_inflight"] > 40
    assert books["sent"] + books["dropped_max_inflight"] == books["planned"]
    assert result.document["generator"]["max_in_flight"] == 10
    assert result.exit_code == 3
    assert "dropped because the limit" in str(result.message)


def test_beyond_1024_sockets_connections_are_kept(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    """select() cannot see descriptors from 1024 up; a pool that uses it takes each such socket for dead and redials."""
    server = stub(delay_s=1.5)
    result = replay(scenario(rps=1000, duration="3s", arrivals="regular"), server.url, out=tmp_path / "run")
    books = totals(result)
    in_flight = result.document["generator"]["max_in_flight"]
    assert books["ok"] > 2900
    assert in_flight > 1200
    assert server.record()["connections"] < in_flight + 200, "thousands if sockets beyond 1,024 were redialled"


def test_tls_sockets_are_kept_alive(
    stub: MakeStub,
    scenario: MakeScenario,
    tmp_path: Path,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    server = stub(delay_s=0.02, tls=[str(path) for path in certificate])
    result = replay(scenario(rps=60), server.url, out=tmp_path / "run")
    assert result.document["books"]["ok"] == len(result.requests)
    client = result.document["client"]
    assert client["connections_opened"] == client["sockets_warmed"], "session tickets are not taken for an end"


def test_a_killed_worker_leaves_balanced_books(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    server = stub(delay_s=0.4)

    def kill_after_a_second(progress: Progress) -> None:
        if progress.elapsed_s > 1.2:
            for pid in workers_of():
                os.kill(pid, signal.SIGKILL)

    result = replay(scenario(rps=80, duration="30s"), server.url, out=tmp_path / "run", on_progress=kill_after_a_second)
    assert (result.document["ended"], result.exit_code) == ("worker_lost", 3)
    books = totals(result)
    assert books["ok"] > 20
    assert books["unresolved"] > 5
    assert books["unaccounted"] > 2000
    arrived = len(server.record()["arrivals"])
    assert arrived - 80 <= books["sent"] <= arrived + 2, "a killed worker loses less than a second of records"
    assert not result.document["generator"]["valid"]
    assert "unaccounted" in " ".join(result.document["generator"]["problems"])
    assert len(open_run_folder(result.folder.path).read_requests()) == books["planned"]


def test_a_full_disk_ends_the_run(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    """A limit on the size of files, inherited by the worker alone, stands for the full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def lift_limit(_: Progress) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    server = stub()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        result = replay(scenario(rps=500, duration="8s"), server.url, out=tmp_path / "run", on_progress=lift_limit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (result.document["ended"], result.exit_code) == ("log_unwritable", 3)
    books = totals(result)
    assert books["ok"] > 500
    assert books["unaccounted"] > 0
    assert len(server.record()["arrivals"]) < books["planned"] / 2


def command(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """The command line in a process of its own, without Ctrl-C of this terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "planner.cli.root", "replay", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def wait_for(condition: Callable[[], object], within_s: float = 15.0) -> None:
    give_up_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_s, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_was_measured(
    stub: MakeStub, scenario_file: Callable[..., Path], tmp_path: Path, end: signal.Signals
) -> None:
    server = stub(delay_s=0.3)
    path = scenario_file(rps=60, duration="60s")
    with command(path, "--url", server.url, "--out", tmp_path / "run", "--output", "json") as process:
        wait_for(lambda: len(server.record()["arrivals"]) > 40)
        process.send_signal(end)
        stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    document = json.loads(stdout)
    books = document["books"]
    arrived = len(server.record()["arrivals"])
    assert books["sent"] == arrived
    assert books["in_flight_at_stop"] > 0
    assert books["not_reached"] == books["planned"] - books["sent"]
    assert books["in_flight_at_stop"] + books["ok"] == arrived
    folder = open_run_folder(tmp_path / "run")
    assert folder.read_summary()["ended"] == "interrupted"
    assert np.sum(folder.read_requests().outcome == Outcome.OK) == books["ok"]
    assert str(tmp_path / "run") in stderr.strip().splitlines()[-1]


def test_the_modules_in_the_users_folder_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('not yours')")
    (tmp_path / "planner").mkdir()
    (tmp_path / "planner" / "__init__.py").touch()
    command = [*module_command("loadtest.lab"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_killed_parent_leaves_no_worker(stub: MakeStub, scenario_file: Callable[..., Path], tmp_path: Path) -> None:
    server = stub()
    path = scenario_file(rps=40, duration="60s")
    with command(path, "--url", server.url, "--out", tmp_path / "run") as process:
        wait_for(lambda: len(server.record()["arrivals"]) > 10)
        workers = workers_of(process.pid)
        assert len(workers) == 1
        process.kill()
        process.communicate(timeout=10)
    wait_for(lambda: workers[0] not in processes(), within_s=5)
    arrived = len(server.record()["arrivals"])
    folder = RunFolder(tmp_path / "run")
    schedule = folder.read_schedule()
    records = read_segment(folder.segment, schedule.sha256)
    assert len(np.unique(records["index"][records["kind"] == 1])) == arrived, "every send is on disk"


def test_the_table_and_the_refusals_of_the_command(
    stub: MakeStub, scenario_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = scenario_file(rps=30, duration="1s")
    with command(path, "--url", "http://192.0.2.1/score") as refused:
        stdout, stderr = refused.communicate(timeout=20)
    assert (refused.returncode, stdout) == (2, "")
    assert "192.0.2.1 is not this machine" in stderr
    server = stub(cycle=["ok", "503"])
    with command(path, "--url", server.url, "--out", tmp_path / "run") as process:
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode in (0, 3), stderr
    assert "Traceback" not in stderr
    assert "status 503" in stdout
    assert stdout.strip().splitlines()[-1] == f"Run folder: {tmp_path / 'run'}"


def test_plain_locust_replays_a_schedule(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    server = stub(cycle=["ok", "503"])
    schedule = build_schedule(scenario(rps=30, duration="1s"))
    write_schedule(tmp_path / "schedule.parquet", schedule)
    environment = os.environ | {
        "SURGEPROOF_URL": server.url,
        "SURGEPROOF_SCHEDULE": str(tmp_path / "schedule.parquet"),
        "SURGEPROOF_SEGMENT": str(tmp_path / "again.segment"),
    }
    locustfile = Path(run_module.__file__).with_name("locustfile.py")
    arguments = [
        "-f",
        str(locustfile),
        "--headless",
        "--only-summary",
        "-u",
        "5",
        "-r",
        "5",
        "--exit-code-on-error",
        "0",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "locust", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert len(server.record()["arrivals"]) == len(schedule), "five users send the schedule once"
    assert len(read_segment(tmp_path / "again.segment", read_schedule(tmp_path / "schedule.parquet").sha256)) > 0
    aggregated = next(line for line in (done.stdout + done.stderr).splitlines() if "Aggregated" in line)
    assert aggregated.split()[1] == str(len(schedule)), "Locust's own statistics have every request"
