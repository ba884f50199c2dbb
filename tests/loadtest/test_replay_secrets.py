"""The endpoint key and secret headers are in no file, no process list and no output: during a run, after a crash, after
`kill -9`, and with an endpoint that sends them back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.loadtest.conftest import StubServer
from tests.loadtest.replay_runs import (
    KEY,
    MakeFile,
    MakeStub,
    command,
    descendants,
    folder_bytes,
    kill,
    processes,
    real_runs,
    run,
    together,
    wait_for,
)

pytestmark = [*real_runs, pytest.mark.long]

HEADER_SECRET = "h3ader-that-nobody-may-see"
REQUEST = "request:\n  headers: {Ocp-Apim-Subscription-Key: {env: TEST_APIM_KEY}}\n"

CRASH = '''
"""The dispatcher meets a defect whose traceback and message hold the key, when a file appears."""
import os, sys, time

_monotonic_ns, _marker = time.monotonic_ns, os.environ["TEST_CRASH_MARKER"]
_secrets = os.environ["SURGEPROOF_ENDPOINT_KEY"] + " " + os.environ["TEST_APIM_KEY"]

def monotonic_ns():
    if sys._getframe(1).f_code.co_name == "_dispatch" and os.path.exists(_marker):
        print("about to crash with", _secrets, file=sys.stderr)
        raise RuntimeError(f"a defect that tells {_secrets}")
    return _monotonic_ns()

time.monotonic_ns = monotonic_ns
'''


class Watch:
    """Looks for the secrets wherever others could."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.bytes_seen = 0

    def look(self, *texts: str) -> None:
        seen = folder_bytes(self._folder) if self._folder.exists() else b""
        self.bytes_seen = max(self.bytes_seen, len(seen))
        seen += " ".join([*texts, *(line for _, line in processes().values())]).encode()
        for secret in (KEY, HEADER_SECRET):
            assert secret.encode() not in seen, f"{secret[:6]}… is seen"


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURGEPROOF_ENDPOINT_KEY", KEY)
    monkeypatch.setenv("TEST_APIM_KEY", HEADER_SECRET)


def crash(server: StubServer, path: Path, folder: Path, workers: int) -> None:
    """A run whose workers meet a defect; looked at from its beginning to its end."""
    hooks, marker, watch = folder.with_suffix(".hooks"), folder.with_suffix(".crash"), Watch(folder)
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(CRASH)
    environment = os.environ | {"PYTHONPATH": f"{Path.cwd()}:{hooks}", "TEST_CRASH_MARKER": str(marker)}
    options = ("--out", folder, "--processes", workers, "--output", "json")
    with command("replay", path, "--url", server.url, *options, env=environment) as process:
        wait_for(lambda: watch.look() or len(server.record()["arrivals"]) > 30)
        marker.touch()
        wait_for(lambda: watch.look() or process.poll() is not None)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stderr
    watch.look(stdout, stderr)
    assert watch.bytes_seen > 2000, "there was something to look into"
    headers = server.record()["headers"][0]
    assert headers["ocp-apim-subscription-key"] == HEADER_SECRET, "the endpoint did get it"
    assert "RuntimeError: a defect that tells *** ***" in stdout
    logs = "".join(log.read_text() for log in folder.glob("*.log"))
    assert "about to crash with *** ***" in logs


def test_no_secret_leaves_a_run_that_crashes(stub: MakeStub, scenario_file: MakeFile, tmp_path: Path) -> None:
    path = scenario_file(rps=60, duration="60s", more=REQUEST)
    servers = [stub(key=KEY, cycle=["ok", "echo", "ok", "ok"]) for _ in range(2)]
    together(
        lambda: crash(servers[0], path, tmp_path / "one", 1),
        lambda: crash(servers[1], path, tmp_path / "two", 2),
    )


def test_no_secret_is_left_by_a_killed_run_nor_by_its_recovery(
    stub: MakeStub, scenario_file: MakeFile, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    server = stub(key=KEY, cycle=["ok", "echo", "ok"])
    path = scenario_file(rps=60, duration="60s", more=REQUEST)
    watch = Watch(folder)
    with command("replay", path, "--url", server.url + "?sig=" + KEY, "--out", folder, "--processes", 2) as process:
        wait_for(lambda: len(server.record()["arrivals"]) > 40)
        alive = descendants(process.pid)
        for pid in alive:
            kill(pid)
        killed = process.communicate(timeout=60)
    wait_for(lambda: not set(alive) & set(processes()))
    assert server.record()["paths"] == [f"/api/v1/service/stub/score?sig={KEY}"]
    assert (folder / "journal.jsonl").exists()
    watch.look(*killed)
    code, stdout, stderr = run("replay", "--recover", folder, "--output", "json")
    assert code == 3
    watch.look(stdout, stderr)
    assert json.loads(stdout)["url"] == f"{server.url}?…", "of the URL only what may be shown"


def test_a_redirect_and_a_reason_that_hold_the_secrets_do_not_bring_them_along(
    foreign: MakeStub, scenario_file: MakeFile, tmp_path: Path
) -> None:
    where = f"http://127.0.0.1:9/{KEY}/{HEADER_SECRET}"
    server = foreign(mode="redirect", location=where)
    watch = Watch(tmp_path / "run")
    path = scenario_file(rps=20, duration="2s", more=REQUEST)
    code, stdout, stderr = run("replay", path, "--url", server.url, "--out", tmp_path / "run", "--output", "json")
    watch.look(stdout, stderr)
    assert code == 3, stderr
    assert any("redirects to http://127.0.0.1:9/***" in warning for warning in json.loads(stdout)["warnings"])
