"""The lab in front of real azmlinfsrv processes. The first run on a machine makes their environment (about 30 s)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from loadtest.lab.process import LabProcess
from planner.errors import InputError, SurgeproofError

from .client import Client, eventually, scoring_processes, write_scenario

pytestmark = pytest.mark.lab

TWO = "autoscaler: fixed, num_replicas: 2, max_request_wait_time: 500ms"

GOOD = "def init(): pass\ndef run(data): return 'version 1'\n"
DIES = "import os\ndef init():\n    print('loading 12 GB')\n    os._exit(5)\ndef run(data): return 1\n"
RAISES = "def init():\n    raise RuntimeError('no model file at /models/x.pkl')\ndef run(data): return 1\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """Two replicas that sleep as they are told."""
    with LabProcess(write_scenario(tmp_path_factory.mktemp("lab"), TWO)) as process:
        yield process


def score_folder(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    (folder / "score.py").write_text(text)
    return folder


def test_the_scoring_server_really_scores(lab: LabProcess) -> None:
    replies = Client(lab).score_together([0.2, 0.2, 0.2])
    assert [(reply.status, reply.document) for reply in replies] == [
        (200, {"request": i, "slept_s": 0.2}) for i in range(3)
    ]
    assert [reply.headers["x-surgeproof-replica"] for reply in replies[:2]] == ["0", "1"]
    for reply in replies:
        assert reply.headers["x-ms-server-version"] == "azmlinfsrv/1.5.1"
        assert 200 <= float(reply.headers["x-ms-run-fn-exec-ms"]) < 260
    assert float(replies[2].headers["x-surgeproof-queued-s"]) == pytest.approx(0.16, abs=0.08)


def test_headers_and_bodies_pass_both_ways(lab: LabProcess) -> None:
    reply = Client(lab).ask("POST", "/score", {"service_time_s": 0}, x_ms_client_request_id="abc-1")
    assert reply.headers["x-ms-client-request-id"] == "abc-1"
    assert reply.document == {"request": None, "slept_s": 0.0}
    failed = Client(lab).ask("POST", "/score", "no object")
    assert (failed.status, failed.headers["x-ms-run-function-failed"]) == (500, "True")


def test_nothing_listens_beyond_loopback(lab: LabProcess) -> None:
    """azmlinfsrv by itself would bind 0.0.0.0."""
    processes = [psutil.Process(pid) for pid in [lab.pid, *scoring_processes(lab.pid)]]
    assert len(processes) == 6, "the lab, the launcher, and a master and a worker for each replica"
    listening = [c.laddr.ip for p in processes for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
    assert set(listening) == {"127.0.0.1"}


def test_the_key_reaches_no_replica_and_no_command_line(lab: LabProcess) -> None:
    for pid in [lab.pid, *scoring_processes(lab.pid)]:
        process = psutil.Process(pid)
        assert lab.key not in " ".join(process.cmdline())
        assert (lab.key in process.environ().values()) == (pid == lab.pid)


def test_a_replicas_log_can_be_read(lab: LabProcess) -> None:
    client = Client(lab)
    client.score(0.0)
    text = client.ask("GET", "/lab/replicas/0/log").body.decode()
    assert "Azure ML Inferencing HTTP server v1.5.1" in text
    assert client.ask("GET", "/lab/replicas/99/log").status == 404


def test_a_worker_that_dies_is_502_and_the_replica_comes_back(tmp_path: Path) -> None:
    folder = score_folder(
        tmp_path,
        """
import json, os, time
def init(): pass
def run(data):
    if json.loads(data).get("die"):
        os.kill(os.getppid(), 9)
        time.sleep(5)
    return "alive"
""",
    )
    scenario = write_scenario(tmp_path, "autoscaler: fixed, num_replicas: 1")
    with LabProcess(scenario, score_folder=folder) as lab:
        client = Client(lab)
        reply = client.ask("POST", "/score", {"die": True})
        assert (reply.status, reply.body) == (502, b"Replica closed connection before replying")
        client.wait_for(lambda state: state["ready"] == 1)
        assert client.score(0.0).document == "alive"
        assert [event["phase"] for event in client.log("replica")][-2:] == ["crashed", "ready"]


def test_replicas_come_back_when_their_launcher_is_killed(tmp_path: Path) -> None:
    with LabProcess(write_scenario(tmp_path, TWO)) as lab:
        client = Client(lab)
        (launcher,) = (pid for pid in scoring_processes(lab.pid) if psutil.Process(pid).ppid() == lab.pid)
        os.kill(launcher, signal.SIGKILL)
        client.wait_for(lambda state: state["starting"] == 2)
        client.wait_for(lambda state: state["ready"] == 2)
        assert client.score(0.0).status == 200
        eventually(lambda: len(scoring_processes(lab.pid)) == 5)


def test_cold_starts_are_the_longer_of_drawn_and_real(tmp_path: Path) -> None:
    deployment = "autoscale_min_replicas: 1, autoscale_max_replicas: 2, max_request_wait_time: 20s"
    with LabProcess(write_scenario(tmp_path, deployment, cold_start="10ms")) as lab:
        client = Client(lab)
        assert [reply.status for reply in client.score_together([1.5, 1.5])] == [200, 200]
        assert client.wait_for(lambda state: state["ready"] == 2)["slow_starts"] == 1
        (ready,) = (e for e in client.log("replica") if e["replica"] == 1 and e["phase"] == "ready")
        (created,) = (e for e in client.log("replica") if e["replica"] == 1 and e["phase"] == "created")
        assert ready["drawn_cold_start_s"] == 0.01
        assert ready["real_start_s"] > 0.01
        assert ready["monotonic_s"] - created["monotonic_s"] == pytest.approx(ready["real_start_s"], abs=0.1)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (RAISES, ", line 2: init() raised RuntimeError: no model file at /models/x.pkl"),
        (
            DIES,
            ": its worker process died 3 times before init() had returned (exit code 5); its log ends with "
            '"loading 12 GB"',
        ),
    ],
    ids=["raises", "dies"],
)
def test_a_model_that_does_not_start_is_a_sentence_not_a_hang(tmp_path: Path, text: str, what: str) -> None:
    folder = score_folder(tmp_path, text)
    with pytest.raises(InputError) as caught, LabProcess(write_scenario(tmp_path, TWO), score_folder=folder):
        pass
    (sentence,) = (line for line in str(caught.value).splitlines() if "score.py" in line)
    assert sentence == f"crash loop: {folder / 'score.py'}{what}"
    assert "Traceback" not in str(caught.value)


def test_ctrl_c_while_replicas_start_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = score_folder(tmp_path, "import time\ndef init(): time.sleep(60)\ndef run(data): return 1\n")
    starting = threading.Event()
    lab = LabProcess(
        write_scenario(tmp_path, TWO),
        score_folder=folder,
        on_progress=lambda line: starting.set() if "starting 2" in line else None,
    )
    with ThreadPoolExecutor(1) as pool:
        entered = pool.submit(lab.__enter__)
        assert starting.wait(120)
        eventually(lambda: len(scoring_processes(lab.pid)) == 5)
        os.kill(lab.pid, signal.SIGINT)
        assert isinstance(entered.exception(), SurgeproofError)
    assert lab.stop() == 130
    assert scoring_processes(lab.pid) == []


def test_a_folder_without_score_py_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no score\.py there"), LabProcess("quickstart", score_folder=tmp_path):
        pass


def test_reload_takes_the_edited_model_into_service_and_survives_a_broken_one(tmp_path: Path) -> None:
    folder = score_folder(tmp_path, GOOD)
    with LabProcess(write_scenario(tmp_path, TWO), score_folder=folder) as lab:
        client = Client(lab)
        assert client.score(0).document == "version 1"
        score_folder(tmp_path, RAISES)
        assert client.ask("POST", "/lab/reload").status == 202
        (loop,) = client.wait_for(lambda state: state["crash_loops"])["crash_loops"]
        assert "init() raised RuntimeError: no model file at /models/x.pkl" in loop["error"]
        assert "RuntimeError" in client.ask("GET", f"/lab/replicas/{loop['replica']}/log").body.decode()
        assert client.score(0).document == "version 1", "the old version serves on"
        score_folder(tmp_path, DIES)
        client.ask("POST", "/lab/reload")
        client.wait_for(lambda state: "(exit code 5)" in str([loop["error"] for loop in state["crash_loops"]]))
        score_folder(tmp_path, GOOD.replace("1", "2"))
        client.ask("POST", "/lab/reload")
        eventually(lambda: {r.document for r in client.score_together([0, 0, 0])} == {"version 2"})
        client.wait_for(lambda state: not state["crash_loops"])
        eventually(lambda: len(scoring_processes(lab.pid)) == 5)


def test_every_worker_is_up_before_a_replica_is_ready(tmp_path: Path) -> None:
    deployment = "autoscaler: fixed, num_replicas: 1, worker_count: 3, replica_max_concurrent_requests: 3"
    with LabProcess(write_scenario(tmp_path, deployment)) as lab:
        replies = Client(lab).score_together([0.5, 0.5, 0.5], apart_s=0.0)
        assert [reply.status for reply in replies] == [200] * 3
        assert max(reply.took_s for reply in replies) < 0.9, "in parallel"
        assert {reply.headers["x-surgeproof-replica"] for reply in replies} == {"0"}


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_scoring_server_outlives_the_lab(tmp_path: Path, end: signal.Signals) -> None:
    with LabProcess(write_scenario(tmp_path, TWO)) as lab:
        assert len(scoring_processes(lab.pid)) == 5
        os.kill(lab.pid, end)
        assert lab.wait(10) == (-signal.SIGKILL if end is signal.SIGKILL else 0)
        limit = time.monotonic() + 5
        while scoring_processes(lab.pid):
            assert time.monotonic() < limit, "scoring servers are alive 5 s after the lab's end"
            time.sleep(0.05)


def test_what_a_model_has_started_ends_with_it_or_does_not_hold_the_lab_up(tmp_path: Path) -> None:
    folder = score_folder(
        tmp_path,
        """
import os, pathlib, subprocess, time
HERE = pathlib.Path(__file__).parent
def init():
    if os.fork() == 0:
        os.setsid()
        (HERE / "daemon").write_text(str(os.getpid()))
        time.sleep(30)
        os._exit(0)
    (HERE / "child").write_text(str(subprocess.Popen(["sleep", "30"]).pid))
def run(data): return 1
""",
    )
    scenario = write_scenario(tmp_path, "autoscaler: fixed, num_replicas: 1")
    with LabProcess(scenario, score_folder=folder) as lab:
        child, daemon = (psutil.Process(int((folder / name).read_text())) for name in ("child", "daemon"))
        assert lab.stop() == 0
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    daemon.kill()


def test_work_in_the_backlog_of_a_replica_is_dropped_with_its_504(tmp_path: Path) -> None:
    """K > W hides a queue in the pod; a request given up while it waits there must never reach run()."""
    folder = score_folder(
        tmp_path,
        """
import json, pathlib, time
def init(): pass
def run(data):
    request = json.loads(data)
    with (pathlib.Path(__file__).parent / "ran").open("a") as ran:
        ran.write(f"{request['request']}\\n")
    time.sleep(request["service_time_s"])
""",
    )
    deployment = "autoscaler: fixed, num_replicas: 1, replica_max_concurrent_requests: 3, scoring_timeout_ms: 600"
    scenario = write_scenario(tmp_path, deployment + ", worker_busy_after_504: false")
    with LabProcess(scenario, score_folder=folder) as lab:
        client = Client(lab)
        replies = client.score_together([5.0, 0.4, 0.1])
        assert [reply.status for reply in replies] == [504] * 3
        assert client.score(0.0, 9).status == 200
    # 0 was stopped by the server's own timeout, 1 began then, 2 was given up while 1 ran.
    assert (folder / "ran").read_text().split() == ["0", "1", "9"]
