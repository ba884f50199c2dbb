"""Plain Locust with the locustfile: headless, in several processes, on several machines' commands, from its web UI.

Each way leaves a run folder as `surgeproof replay` does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest import replay
from loadtest.runfolder import open_run_folder
from loadtest.schedule import build_schedule
from planner.scenario_file import load
from tests.loadtest.conftest import StubServer
from tests.loadtest.replay_runs import (
    MakeFile,
    MakeStub,
    descendants,
    free_port,
    processes,
    real_runs,
    together,
    totals,
    wait_for,
)

pytestmark = [*real_runs, pytest.mark.long]

LOCUST = [sys.executable, "-m", "locust", "-f", str(Path(replay.__file__).with_name("locustfile.py"))]


@contextmanager
def locust(*arguments: object, cwd: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A Locust of its own process group, which has ended when this returns."""
    environment = os.environ | {"PYTHONPATH": str(Path(replay.__file__).parents[2])} | more
    process = subprocess.Popen(
        [*LOCUST, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for pid in descendants(process.pid):
            if pid in processes():
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def ended(process: subprocess.Popen[str], within_s: float = 60.0) -> tuple[int, str]:
    """Exit code and log."""
    text, _ = process.communicate(timeout=within_s)
    assert "Traceback" not in text, text
    assert not re.search(r"^(\w+(?:\.\w+)*(?:Error|Exception|Interrupt))\b", text, re.MULTILINE), text
    return process.returncode, text


def check_run(folder: Path, path: Path, server: StubServer, workers: int) -> dict[str, Any]:
    """A whole run of the scenario: every request once, 200 and 503 in turn."""
    schedule = build_schedule(load(str(path)))
    n = len(schedule)
    document = open_run_folder(folder).read_summary()
    assert (document["ended"], document["exit_code"] in (0, 3)) == ("complete", True)
    assert document["schedule_sha256"] == schedule.sha256
    assert totals(document) == {"planned": n, "sent": n, "ok": n - n // 2, "status_503": n // 2}
    assert len(document["generator"]["workers"]) == workers
    assert sorted(i for i, _ in server.record()["arrivals"]) == list(range(n))
    return document


def aggregated(text: str) -> int:
    """Requests in Locust's own statistics at the end."""
    last = [line for line in text.splitlines() if line.strip().startswith("Aggregated") and "|" in line]
    return max(int(line.split()[1]) for line in last if line.split()[1].isdigit())


def test_headless_in_one_process_in_two_and_on_two_commands(
    stub: MakeStub, scenario_file: MakeFile, tmp_path: Path
) -> None:
    path = scenario_file(rps=30, duration="1s")
    n = len(build_schedule(load(str(path))))

    def arguments(server: StubServer, name: str) -> list[object]:
        return ["--headless", "--scenario", path, "--url", server.url, "--out", tmp_path / name]

    def alone() -> None:
        server = stub(cycle=["ok", "503"])
        with locust(*arguments(server, "alone"), "-u", "5", "-r", "5", cwd=tmp_path) as process:
            code, text = ended(process)
        document = check_run(tmp_path / "alone", path, server, 1)
        assert code == document["exit_code"], text
        assert aggregated(text) == n, "Locust's own statistics have every request, whatever the users are"
        assert f"Run folder: {tmp_path / 'alone'}" in text

    def in_two_processes() -> None:
        server, port = stub(cycle=["ok", "503"]), free_port()
        ports = ("--master-bind-port", port, "--master-port", port)
        with locust(*arguments(server, "two"), "--processes", "2", *ports, cwd=tmp_path) as process:
            code, text = ended(process)
        document = check_run(tmp_path / "two", path, server, 2)
        assert code == document["exit_code"], text
        assert aggregated(text) == n

    def on_two_commands() -> None:
        server, port = stub(cycle=["ok", "503"], key="k"), free_port()
        master = [*arguments(server, "parted"), "--master", "--master-bind-port", port, "--expect-workers", "1"]
        variables = {"SURGEPROOF_ENDPOINT_KEY": "k"}
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        with (
            locust(*master, cwd=tmp_path, **variables) as lead,
            locust("--worker", "--master-port", port, cwd=elsewhere, **variables) as worker,
        ):
            code, text = ended(lead)
            assert ended(worker)[0] in (0, 3)
        document = check_run(tmp_path / "parted", path, server, 1)
        assert code == document["exit_code"], text
        assert list(elsewhere.iterdir()) == []

    together(alone, in_two_processes, on_two_commands)


def post(page: str, **form: object) -> dict[str, Any]:
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(page, data=data, timeout=30) as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def state(base: str) -> str:
    with urllib.request.urlopen(f"{base}/stats/requests", timeout=30) as answer:
        return str(json.load(answer)["state"])


def test_the_web_ui_starts_runs_stops_one_and_starts_another(
    stub: MakeStub, scenario_file: MakeFile, tmp_path: Path
) -> None:
    path = scenario_file(rps=30, duration="1s")
    long = tmp_path / "long.yaml"
    long.write_text(path.read_text().replace("duration: 1s", "duration: 60s"))
    base = f"http://127.0.0.1:{(port := free_port())}"
    # As its form has it: every field, and text in all of them.
    form: dict[str, object] = {"user_count": 1, "spawn_rate": 1, "host": "", "allow_host": "", "max_rps": ""}

    def swarm(scenario: Path, server: StubServer, out: str, **fields: object) -> None:
        answer = post(
            f"{base}/swarm", **form | {"scenario": scenario, "url": server.url, "out": tmp_path / out} | fields
        )
        assert answer["success"] is True

    def is_over(out: str) -> bool:
        return (tmp_path / out / "summary.json").exists() and state(base) in ("stopped", "ready")

    with locust("--web-host", "127.0.0.1", "--web-port", port, cwd=tmp_path) as process:
        wait_for(lambda: answers(base))
        with urllib.request.urlopen(base, timeout=30) as page:
            text = page.read().decode()
        for name in ("scenario", "url", "allow_host", "max_requests", "max_rps", "out"):
            assert f'"{name}": {{' in text, "the form asks for it"

        first = stub(cycle=["ok", "503"])
        swarm(path, first, "first", max_requests="")
        wait_for(lambda: is_over("first"))
        check_run(tmp_path / "first", path, first, 1)

        second = stub(delay_s=0.2)
        swarm(long, second, "second", max_requests="100000")
        wait_for(lambda: len(second.record()["arrivals"]) > 20)
        assert state(base) == "running"
        post(f"{base}/stop")
        wait_for(lambda: is_over("second"))
        books = totals(open_run_folder(tmp_path / "second").read_summary())
        assert books["sent"] == len(second.record()["arrivals"])
        assert books["not_reached"] == books["planned"] - books["sent"]

        third = stub(cycle=["ok", "503"])
        swarm(path, third, "third", max_requests="12")
        wait_for(lambda: is_over("third"))
        document = open_run_folder(tmp_path / "third").read_summary()
        assert (document["ended"], document["exit_code"]) == ("max_requests", 4)
        assert len(third.record()["arrivals"]) == 12

        swarm(path, third, "fourth", max_requests="many")
        wait_for(lambda: state(base) in ("stopped", "ready"))
        time.sleep(0.3)  # Locust's web server may still be writing its last answer
        os.kill(process.pid, signal.SIGINT)
        _, text = ended(process)
    assert "--max-requests many: must be a number" in text
    assert not (tmp_path / "fourth").exists()


def test_ctrl_c_keeps_what_was_measured_and_a_wrong_scenario_is_a_sentence(
    stub: MakeStub, scenario_file: MakeFile, tmp_path: Path
) -> None:
    path = scenario_file(rps=60, duration="60s")

    def interrupted(name: str, *more: object) -> None:
        server, folder = stub(delay_s=0.2), tmp_path / name
        arguments = ["--headless", "--scenario", path, "--url", server.url, "--out", folder, *more]
        with locust(*arguments, cwd=tmp_path) as process:
            wait_for(lambda: len(server.record()["arrivals"]) > 40)
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.05)
            os.killpg(process.pid, signal.SIGINT)
            _, text = ended(process)
        assert f"Run folder: {folder}" in text
        document = open_run_folder(folder).read_summary()
        books = totals(document)
        assert document["ended"] != "complete"
        assert books["sent"] == len(server.record()["arrivals"])
        assert books["ok"] > 20
        assert books["not_reached"] == books["planned"] - books["sent"]
        assert len(open_run_folder(folder).read_requests()) == books["planned"]

    def wrong() -> None:
        server = stub()
        arguments = ["--headless", "--scenario", tmp_path / "nowhere.yaml", "--url", server.url]
        with locust(*arguments, cwd=tmp_path) as process:
            code, text = ended(process)
        assert code == 2
        (error,) = [line for line in text.splitlines() if "ERROR" in line]
        assert error.endswith("nowhere.yaml: no such file")
        assert server.record()["connections"] == 0

    port = free_port()
    together(
        lambda: interrupted("one"),
        lambda: interrupted("two", "--processes", 2, "--master-bind-port", port, "--master-port", port),
        wrong,
    )
