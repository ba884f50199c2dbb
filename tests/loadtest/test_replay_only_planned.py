"""Nothing but the planned requests reaches an endpoint that is no lab, however a replay is run; a lab is found by its
note, without a request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.lab.here import is_lab_here, lab_noted
from loadtest.lab.process import LabProcess
from loadtest.replay.credential_settings import CredentialSettings, Kind
from loadtest.replay.run import replay
from loadtest.schedule import build_schedule
from planner.errors import InputError
from planner.scenario_file import load
from tests.loadtest.conftest import StubServer
from tests.loadtest.replay_runs import MakeFile, MakeScenario, MakeStub, free_port, real_runs, run_json, totals
from tests.loadtest.test_replay_locust import LOCUST

pytestmark = real_runs

BODY = "request: {template_text: '{{ request }}'}\n"


def check_only_planned(server: StubServer, n: int) -> None:
    """Each of the n planned requests once, each a POST of the URL's path, and nothing else."""
    requests = server.record()["requests"]
    assert {line for line, _, _ in requests} == {"POST /api/v1/service/stub/score HTTP/1.1"}
    assert sorted(int(body) for _, _, body in requests) == list(range(n))


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.long)])
def test_surgeproof_sends_what_is_planned(
    foreign: MakeStub, scenario: MakeScenario, tmp_path: Path, processes: int
) -> None:
    server, plan = foreign(), scenario(rps=30, duration="1s", more=BODY)
    result = replay(plan, server.url, out=tmp_path / "run", processes=processes)
    n = len(build_schedule(plan))
    check_only_planned(server, n)
    assert totals(result.document) == {"planned": n, "sent": n, "ok": n}
    assert result.document["endpoint"]["is_lab"] is False
    why = "the endpoint is not a Surgeproof lab on this machine, so replicas were not observed"
    assert result.document["replicas"] == {"observed": False, "why": why}


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.long)])
def test_plain_locust_sends_what_is_planned(
    foreign: MakeStub, scenario_file: MakeFile, tmp_path: Path, processes: int
) -> None:
    server, path, port = foreign(), scenario_file(rps=30, duration="1s", more=BODY), str(free_port())
    more = ["--processes", "2", "--master-bind-port", port, "--master-port", port] if processes == 2 else []
    arguments = ["--headless", "--scenario", str(path), "--url", server.url, "--out", str(tmp_path / "run"), *more]
    done = subprocess.run(
        [*LOCUST, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, env=os.environ
    )
    assert done.returncode in (0, 3), done.stderr
    check_only_planned(server, len(build_schedule(load(str(path)))))


def test_a_replay_by_hand_finds_the_lab_and_watches_it_from_the_first_second(
    scenario_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scenario_file(rps=30, duration="1s")
    with LabProcess(path, replicas="simulated") as lab:
        monkeypatch.setenv("SURGEPROOF_ENDPOINT_KEY", lab.key)
        code, document, stderr = run_json("replay", path, "--url", lab.url, "--out", tmp_path / "run")
        assert code in (0, 3), stderr
        by_name = lab.url.replace("127.0.0.1", "localhost")
        key = CredentialSettings(kind=Kind.KEY_VARIABLE)
        again = replay(load(str(path)), by_name, out=tmp_path / "again", credentials=key).document
    for one in (document, again):
        assert one["endpoint"]["is_lab"] is True
        assert one["aligned_to_tick"] is True
        assert one["replicas"]["lab_was_told_the_start"] is True
        assert one["replicas"]["observed"] is True
    assert document["replicas"]["at_start"]["ready"] == 2
    assert not is_lab_here("127.0.0.1", int(lab.url.split(":")[2].split("/")[0])), "the note goes with the lab"


def test_the_note_of_a_lab_that_was_killed_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURGEPROOF_CACHE", str(tmp_path))
    code = "import time\nfrom loadtest.lab.here import lab_noted\n"
    code += "with lab_noted('::1', 5001):\n print(1, flush=True)\n time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        assert is_lab_here("::1", 5001)
        assert not is_lab_here("127.0.0.1", 5001)
        assert not is_lab_here("::1", 5002)
        other.send_signal(signal.SIGKILL)
    assert [file.name for file in (tmp_path / "labs").iterdir()] == ["__1-5001"]
    assert not is_lab_here("::1", 5001)
    with lab_noted("::1", 5001) as problem:
        assert problem is None
        assert is_lab_here("::1", 5001), "the old file is no hindrance"


def test_a_lab_that_cannot_leave_a_note_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labs").write_text("a file in the way")
    monkeypatch.setenv("SURGEPROOF_CACHE", str(tmp_path))
    with lab_noted("127.0.0.1", 5001) as problem:
        assert problem is not None
        assert problem.startswith(f"{tmp_path}/labs")
    assert not is_lab_here("127.0.0.1", 5001)


def test_what_cannot_be_a_lab_is_not_called_one(scenario: MakeScenario, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--lab: https://127\.0\.0\.1:1/score is no lab"):
        replay(scenario(), "https://127.0.0.1:1/score", out=tmp_path / "run", is_lab=True)
