"""`surgeproof lab` as a process with simulated replicas: over HTTP, signals and exit codes."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from loadtest.lab.process import LabProcess
from loadtest.lab.server import loopback_socket
from planner.errors import InputError
from planner.model import REPLICA_COLUMNS

from .client import Client, write_scenario

pytestmark = pytest.mark.lab

TINY = "autoscaler: fixed, num_replicas: 1, max_request_wait_time: 300ms, scoring_timeout_ms: 800"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """One replica, 300 ms of waiting, 0.8 s of scoring."""
    folder = tmp_path_factory.mktemp("lab")
    with LabProcess(write_scenario(folder, TINY), replicas="simulated", log=folder / "events.jsonl") as process:
        yield process


@pytest.fixture
def client(lab: LabProcess) -> Client:
    """Of the shared lab once it is idle and ticks again: another test may have set a later start."""
    client = Client(lab)
    client.wait_for(
        lambda state: (
            state["busy"] == state["queued"] == 0
            and state["next_tick_monotonic_s"] - state["monotonic_s"] <= state["refresh_period_s"]
        )
    )
    return client


def test_a_scored_request_says_where_and_when(client: Client) -> None:
    reply = client.score(0.05, 7)
    assert (reply.status, reply.document) == (200, {"request": 7, "slept_s": 0.05})
    assert 0.05 <= reply.took_s < 0.5
    assert reply.headers["x-surgeproof-replica"] == "0"
    assert float(reply.headers["x-ms-run-fn-exec-ms"]) == 50
    assert 0 <= time.monotonic() - float(reply.headers["x-surgeproof-dispatch-s"]) < 5
    assert float(reply.headers["x-surgeproof-queued-s"]) < 0.1


def test_the_v1_path_scores_too_for_this_service_only(client: Client) -> None:
    assert client.ask("POST", "/api/v1/service/tested/score", {}).status == 200
    assert client.ask("POST", "/api/v1/service/other/score", {}).status == 404


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic abc", "Bearer \u00e9"])
def test_without_the_key_nothing_is_scored_or_stopped(client: Client, authorization: str) -> None:
    for method, path in (("POST", "/score"), ("POST", "/lab/reload"), ("POST", "/lab/stop"), ("DELETE", "/lab")):
        assert client.ask(method, path, {}, Authorization=authorization).status == 401
    assert client.state()["ready"] == 1


def test_the_queue_is_fifo_and_its_limit_gives_503(client: Client, lab: LabProcess) -> None:
    replies = client.score_together([0.2, 0.2, 0.05, 0.05])
    assert [reply.status for reply in replies] == [200, 200, 503, 503]
    assert float(replies[1].headers["x-surgeproof-queued-s"]) == pytest.approx(0.18, abs=0.05)
    for reply in replies[2:]:
        assert reply.body == b"Too many requests for service tested (overloaded)"
        assert reply.headers["x-surgeproof-cause"] == "at_max_replicas"
        assert float(reply.headers["x-surgeproof-queued-s"]) == pytest.approx(0.3, abs=0.03)


def test_a_slow_answer_is_504_at_the_timeout_and_the_slot_stays_busy(client: Client) -> None:
    slow, waiting = client.score_together([1.2, 0.01])
    assert (slow.status, waiting.status) == (504, 503)
    assert slow.took_s == pytest.approx(0.8, abs=0.1)
    assert client.state()["busy"] == 1


def test_state_has_the_names_of_the_replica_log(client: Client) -> None:
    state = client.state()
    assert set(REPLICA_COLUMNS) <= set(state)
    assert (state["desired"], state["ready"], state["starting"], state["draining"]) == (1, 1, 0, 0)
    assert (state["service"], state["api"]) == ("tested", "v2")
    assert state["settings"]["max_request_wait_time"] == 300
    assert state["settings"]["scoring_timeout_ms"] == 800
    assert state["replicas"][0]["phase"] == "ready"
    assert 0 < state["next_tick_monotonic_s"] - state["monotonic_s"] <= state["refresh_period_s"]
    assert abs(state["monotonic_s"] - time.monotonic()) < 1


def test_ticks_are_a_whole_number_of_periods_apart(client: Client) -> None:
    first = client.state()["next_tick_monotonic_s"]
    later = client.wait_for(lambda state: state["next_tick_monotonic_s"] > first)
    periods = later["next_tick_monotonic_s"] - first
    assert periods == pytest.approx(round(periods), abs=1e-9)


def test_begin_moves_the_ticks_to_the_given_instant(client: Client) -> None:
    zero_s = time.monotonic() + 0.37
    state = client.ask("POST", "/lab/begin", {"monotonic_s": zero_s}).document
    assert state["next_tick_monotonic_s"] == zero_s + 1
    assert client.ask("POST", "/lab/begin", {"monotonic_s": zero_s - 100}).status == 400
    for document in ({"when": "now"}, {"monotonic_s": 10**400}, {"monotonic_s": float("nan")}):
        assert client.ask("POST", "/lab/begin", document).status == 400


def test_the_log_tells_each_request_and_can_be_read_on(client: Client, lab: LabProcess) -> None:
    client.ask("POST", "/score", {"service_time_s": 0.05}, x_ms_client_request_id="mine-1")
    event = client.log("request")[-1]
    assert (event["client_request_id"], event["status"], event["replica"]) == ("mine-1", 200, 0)
    assert event["arrival_s"] <= event["dispatch_s"] < event["finish_s"] - 0.05
    everything = client.ask("GET", "/lab/log").document
    assert all(b["seq"] == a["seq"] + 1 for a, b in pairwise(everything))
    later = client.ask("GET", f"/lab/log?after={event['seq']}").document
    assert all(e["seq"] > event["seq"] for e in later)
    assert client.ask("GET", "/lab/log?after=x").status == 400


def test_a_client_that_hangs_up_keeps_its_place_until_its_deadline(client: Client, lab: LabProcess) -> None:
    before = len(client.log("request"))
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(client.score, 0.5)
        client.wait_for(lambda state: state["busy"] == 1)
        with socket.create_connection(("127.0.0.1", urlsplit(lab.url).port or 0)) as connection:
            head = (
                f"POST /score HTTP/1.1\r\nHost: lab\r\nAuthorization: Bearer {lab.key}\r\nContent-Length: 2\r\n\r\n{{}}"
            )
            connection.sendall(head.encode())
            client.wait_for(lambda state: state["queued"] == 1)
        assert busy.result().status == 200
    client.wait_for(lambda state: state["queued"] == 0)
    gone, answered = sorted(client.log("request")[before:], key=lambda event: event["status"], reverse=True)
    assert (gone["status"], answered["status"]) == (503, 200)
    assert gone["finish_s"] - gone["arrival_s"] == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("body", ["a string", *({"service_time_s": x} for x in (math.nan, math.inf, -1, 10**400))])
def test_a_body_that_run_can_make_nothing_of_fails_in_the_model_as_it_does_for_real(
    client: Client, body: object
) -> None:
    reply = client.ask("POST", "/score", body)
    assert (reply.status, reply.headers["x-ms-run-function-failed"]) == (500, "True")


def test_replicas_follow_the_load_and_every_change_is_logged(tmp_path: Path) -> None:
    deployment = "autoscale_min_replicas: 1, autoscale_max_replicas: 4, max_request_wait_time: 2s, scale_down_delay: 2s"
    scenario = write_scenario(tmp_path, deployment, cold_start="500ms")
    with LabProcess(scenario, replicas="simulated", log=tmp_path / "events.jsonl") as lab:
        client = Client(lab)
        statuses = [reply.status for reply in client.score_together([1.0] * 4)]
        assert statuses == [200] * 4
        client.wait_for(lambda state: state["ready"] == state["desired"] == 1)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    states = [event for event in events if event["kind"] == "state"]
    assert max(state["desired"] for state in states) == 4
    created = {e["replica"]: e for e in events if e["kind"] == "replica" and e["phase"] == "created"}
    ready = {e["replica"]: e for e in events if e["kind"] == "replica" and e["phase"] == "ready"}
    for replica in (1, 2, 3):
        assert created[replica]["drawn_cold_start_s"] == 0.5
        started_s = ready[replica]["monotonic_s"] - created[replica]["monotonic_s"]
        assert started_s == pytest.approx(0.5, abs=0.05)
    ticks = [event for event in events if event["kind"] == "tick"]
    assert all(abs(tick["monotonic_s"] - tick["at_s"]) < 0.25 for tick in ticks)
    assert lab.key not in (tmp_path / "events.jsonl").read_text()


def run_lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, run to its end; it must not need the time."""
    command = [sys.executable, "-m", "loadtest.lab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, TINY)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_lab(str(scenario), "--replicas", "simulated", "--port", str(port))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"--port {port}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_no_address_but_loopback_is_listened_on(tmp_path: Path, host: str) -> None:
    ended = run_lab(str(write_scenario(tmp_path, TINY)), "--replicas", "simulated", "--port", "0", "--host", host)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"--host {host}: not a loopback address" in ended.stderr


@pytest.mark.parametrize("host", ["..", "a" * 300, "nowhere.invalid"])
def test_a_host_that_is_none_is_one_sentence(host: str) -> None:
    with pytest.raises(InputError, match=f"--host {re.escape(host)}: no such host"):
        loopback_socket(host, 0)


def test_too_many_real_replicas_are_refused(tmp_path: Path) -> None:
    ended = run_lab(str(write_scenario(tmp_path, "autoscale_max_replicas: 25")), "--port", "0")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "autoscale_max_replicas = 25" in ended.stderr
    assert "--replicas simulated" in ended.stderr


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    arguments = ["--replicas", "simulated", "--port", "0", "--log", str(tmp_path)]
    ended = run_lab(str(write_scenario(tmp_path, TINY)), *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"--log {tmp_path}: cannot be written" in ended.stderr


def test_a_lab_that_refuses_to_start_tells_its_starter_why(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="autoscale_max_replicas = 25"),
        LabProcess(write_scenario(tmp_path, "autoscale_max_replicas: 25")),
    ):
        pass


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_the_normal_end(tmp_path: Path, end: signal.Signals) -> None:
    with LabProcess(write_scenario(tmp_path, TINY), replicas="simulated") as lab:
        os.kill(lab.pid, end)
        assert lab.stop() == 0


def test_requests_in_flight_do_not_keep_a_lab_from_its_end(tmp_path: Path) -> None:
    said: list[str] = []
    log = tmp_path / "events.jsonl"
    scenario = write_scenario(tmp_path, "autoscaler: fixed, num_replicas: 1, max_request_wait_time: 20s")
    with (
        LabProcess(scenario, replicas="simulated", log=log, on_progress=said.append) as lab,
        ThreadPoolExecutor(2) as pool,
    ):
        client = Client(lab)
        futures = [pool.submit(client.score, 5.0) for _ in range(2)]
        client.wait_for(lambda state: state["busy"] == state["queued"] == 1)
        started = time.monotonic()
        os.kill(lab.pid, signal.SIGINT)
        assert lab.wait(10) == 0
        assert time.monotonic() - started < 5
        assert all(isinstance(future.exception(), OSError | http.client.HTTPException) for future in futures)
    assert all("starting" in line for line in said), said


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/lab"), ("POST", "/lab/stop")])
def test_a_lab_can_be_deleted(tmp_path: Path, method: str, path: str) -> None:
    with LabProcess(write_scenario(tmp_path, TINY), replicas="simulated") as lab:
        assert Client(lab).ask(method, path).status == 202
        assert lab.wait(10) == 0


def test_a_lab_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, TINY)
    code = f"""
import os, signal
from loadtest.lab.process import LabProcess
from loadtest.lab.server import loopback_socket
with LabProcess({str(scenario)!r}, replicas="simulated") as lab:
    print(lab.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert started.returncode == -signal.SIGKILL
    lab = int(started.stdout)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{lab}/cmdline").exists() and Path(f"/proc/{lab}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "the lab has outlived its starter by 10 s"
        time.sleep(0.05)
