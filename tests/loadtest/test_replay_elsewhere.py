"""Workers on other machines. The kernel's namespaces stand for them: a worker that cannot see the run folder, whose
monotonic clock reads a thousand seconds more, or that lives in a network of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.replay.run import replay
from loadtest.replay.segment import Kind, read_segment
from loadtest.runfolder import open_run_folder
from loadtest.schedule import read_schedule
from planner.errors import NoVerdictError
from planner.model import Outcome
from tests.loadtest.conftest import StubServer
from tests.loadtest.replay_runs import (
    KEY,
    SURGEPROOF,
    At,
    MakeFile,
    MakeScenario,
    MakeStub,
    arrivals,
    command,
    descendants,
    fill,
    folder_bytes,
    free_port,
    kill,
    needs_root,
    processes,
    real_runs,
    small_disk,
    together,
    totals,
    valid_replay,
    wait_for,
)

pytestmark = [*real_runs, needs_root, pytest.mark.long]

OTHER_CLOCK_S = 1000


@dataclass
class Away:
    """A worker elsewhere: its command, and the folder where it keeps its records."""

    process: subprocess.Popen[str]
    folder: Path

    def worker(self) -> int:
        (pid,) = [pid for pid in descendants(self.process.pid) if "worker join" in processes()[pid][1]]
        return pid

    def ended(self, within_s: float = 60.0) -> tuple[int, str]:
        _, stderr = self.process.communicate(timeout=within_s)
        assert "Traceback" not in stderr, stderr
        return self.process.returncode, stderr

    def kept(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*/*"))


@contextmanager
def away(hidden: Path, port: int) -> Iterator[Away]:
    """`surgeproof replay-worker` where `hidden` is an empty folder and the monotonic clock another one."""
    hidden.mkdir(exist_ok=True)
    folder = hidden.with_name(hidden.name + "-away")
    worker = [*SURGEPROOF, "replay-worker", "--master", f"127.0.0.1:{port}", "--out", str(folder)]
    inside = ["unshare", "-m", "-T", "--monotonic", str(OTHER_CLOCK_S), "--fork", "--kill-child"]
    shell = ["sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *worker]
    process = subprocess.Popen(
        [*inside, *shell], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield Away(process, folder)
    finally:
        for pid in descendants(process.pid):
            if pid in processes():
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def test_a_worker_elsewhere_sends_as_if_it_were_here(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schedule and payloads reach it by message, its records come back so, its clock is measured."""
    monkeypatch.setenv("SURGEPROOF_ENDPOINT_KEY", KEY)
    hidden, port = tmp_path / "hidden", free_port()
    with away(hidden, port) as other:
        plan = scenario(rps=90, duration="3s")
        result, server = valid_replay(
            plan,
            lambda: stub(delay_s=0.03, key=KEY),
            hidden,
            processes=1,
            expect_workers=1,
            master_bind=("127.0.0.1", port),
        )
        code, stderr = other.ended()
    assert code == 0, stderr
    n = len(result.requests)
    assert totals(result.document) == {"planned": n, "sent": n, "ok": n}
    workers = result.document["generator"]["workers"]
    (there,) = [worker for worker in workers if not worker["shares_the_run_folder"]]
    (here,) = [worker for worker in workers if worker["shares_the_run_folder"]]
    assert there["clock_offset_s"] == pytest.approx(OTHER_CLOCK_S, abs=there["clock_uncertainty_s"] + 1e-6)
    assert abs(here["clock_offset_s"]) <= here["clock_uncertainty_s"]
    assert there["clock_uncertainty_s"] < 0.005
    assert there["sent"] == there["planned"] == n // 2 or there["sent"] == n - n // 2
    assert there["send_error_p50_s"] < 0.005

    index, arrived_s = arrivals(server, result)
    assert sorted(index) == list(range(n))
    error_s = arrived_s - result.requests.scheduled_s[index]
    of = result.seen.worker[index]
    medians = [float(np.median(error_s[of == k])) for k in (0, 1)]
    assert abs(medians[0] - medians[1]) < 0.005, "they start together, whatever their clocks say"
    assert error_s.min() > -0.001 - there["clock_uncertainty_s"]

    assert other.kept() == [], "the master has the records, so the worker's copy is gone"
    assert KEY.encode() not in folder_bytes(tmp_path)
    assert result.document["warnings"] == []


def test_a_worker_elsewhere_that_is_killed_or_has_a_master_in_trouble(
    stub: MakeStub, scenario_file: MakeFile, scenario: MakeScenario, tmp_path: Path
) -> None:
    scenario_file(rps=60, duration="60s")
    short = scenario(rps=60, duration="4s")
    scenario_file(rps=60, duration="60s")

    def killed_worker() -> None:
        hidden, port, server = tmp_path / "killed", free_port(), stub(delay_s=0.05)
        with away(hidden, port) as other:
            options: dict[str, Any] = {"processes": 1, "expect_workers": 1, "master_bind": ("127.0.0.1", port)}
            kill_it = At(1.5, lambda: kill(other.worker()))
            result = replay(short, server.url, out=hidden / "run", on_progress=kill_it, **options)
            kept = other.kept()
        assert (result.document["ended"], result.exit_code) == ("worker_lost", 3)
        workers = result.document["generator"]["workers"]
        lost = next(worker["worker"] for worker in workers if not worker["shares_the_run_folder"])
        assert str(result.message).startswith(f"Replay worker {lost} was killed, crashed or lost")
        totals(result.document)
        books = result.document["books"]["per_worker"]
        outcome, worker = result.requests.outcome, result.seen.worker
        assert set(outcome[worker != lost]) == {Outcome.OK}
        arrived = sum(index % 2 == lost for index, _ in server.record()["arrivals"])
        assert arrived - 30 <= books["sent"][lost] <= arrived, "what it had streamed is kept, a second at most is lost"
        assert books["sent"][lost] > 20
        assert books["unaccounted"][lost] == books["planned"][lost] - books["sent"][lost]
        assert f"worker-{lost}.segment" in kept, "its own copy stays where it was"

    def killed_master() -> None:
        hidden, port, server = tmp_path / "orphaned", free_port(), stub()
        with away(hidden, port) as other:
            arguments = ("--url", server.url, "--out", hidden / "run", "--expect-workers", 1)
            with command("replay", tmp_path / "small.yaml", *arguments, "--master-bind", f"127.0.0.1:{port}") as master:
                wait_for(lambda: len(server.record()["arrivals"]) > 30)
                for pid in descendants(master.pid):
                    kill(pid)
                master.communicate()
            code, stderr = other.ended()
            assert code == 3
            assert "the master has not said that it has the records" in stderr
            assert other.kept() == ["payloads.parquet", "schedule.parquet", "worker-0.segment"]
            seen = len(server.record()["arrivals"])
        assert seen < 60 * 16, "without a word from its master it stops"

    def full_disk_of_the_master() -> None:
        port, server = free_port(), stub()
        with small_disk(tmp_path / "full") as disk, away(disk, port) as other:
            options: dict[str, Any] = {"processes": 0, "expect_workers": 1, "master_bind": ("127.0.0.1", port)}
            fill_it = At(0.5, lambda: fill(disk, 0))
            with pytest.raises(NoVerdictError, match="No space left on device"):
                replay(short, server.url, out=disk / "run", on_progress=fill_it, **options)
            code, stderr = other.ended()
            assert code == 3
            assert "the master has not said that it has the records" in stderr
            (own,) = other.folder.glob("*/worker-0.segment")
            records = read_segment(own, read_schedule(own.with_name("schedule.parquet")).sha256).records
        sent = records["index"][records["kind"] == Kind.SENT]
        assert sorted(sent) == sorted(index for index, _ in server.record()["arrivals"]), "the worker has all of it"
        assert 20 < len(sent) < 200, "the run has ended early"

    together(killed_worker, killed_master, full_disk_of_the_master)


@dataclass(frozen=True)
class Networks:
    """Two networks that see each other: who is inside, and the address of the first."""

    first: list[str]
    second: list[str]
    address: str


@pytest.fixture
def networks() -> Iterator[Networks]:
    a, b = f"replay-a-{os.getpid()}", f"replay-b-{os.getpid()}"
    first, second = ["ip", "netns", "exec", a], ["ip", "netns", "exec", b]

    def do(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True)

    try:
        do("ip", "netns", "add", a)
        do("ip", "netns", "add", b)
        do("ip", "link", "add", "inner", "netns", a, "type", "veth", "peer", "name", "inner", "netns", b)
        for inside, address in ((first, "10.231.77.1/24"), (second, "10.231.77.2/24")):
            do(*inside, "ip", "address", "add", address, "dev", "inner")
            do(*inside, "ip", "link", "set", "inner", "up")
            do(*inside, "ip", "link", "set", "lo", "up")
        yield Networks(first, second, "10.231.77.1")
    finally:
        for name in (a, b):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def test_master_and_worker_in_two_networks(
    stub: MakeStub, scenario_file: MakeFile, tmp_path: Path, networks: Networks
) -> None:
    """The endpoint is this machine to neither: it has to be named on both sides, on each by who runs it there."""
    path = scenario_file(rps=60, duration="2s")

    def replayed(server: StubServer, name: str, port: int, *allowed: object) -> tuple[int, str, str, int, str]:
        address = f"{networks.address}:{port}"
        arguments: list[object] = ["--url", server.url, "--out", tmp_path / name, "--expect-workers", 1]
        arguments += ["--master-bind", address, "--allow-host", networks.address, "--max-requests", 500]
        worker = ["replay-worker", "--master", address, "--out", tmp_path / f"{name}-away", *allowed]
        with (
            command("replay", path, *arguments, "--output", "json", inside=networks.first) as master,
            command(*worker, inside=networks.second) as other,
        ):
            try:
                stdout, stderr = master.communicate(timeout=60)
                _, said = other.communicate(timeout=60)
            finally:
                for pid in [*descendants(other.pid), *descendants(master.pid)]:
                    if pid in processes():
                        os.kill(pid, signal.SIGKILL)
        assert "Traceback" not in stderr + said
        return master.returncode, stdout, " ".join(stderr.split()), other.returncode, said

    def not_named_by_the_worker() -> None:
        server = stub(inside=networks.first, host=networks.address)
        code, stdout, stderr, worker_code, said = replayed(server, "refused", 5601)
        assert (code, worker_code, stdout) == (3, 2, "")
        assert f"{networks.address} is not the worker's own machine" in stderr
        assert f"--allow-host {networks.address}" in stderr
        assert f"--allow-host {networks.address}" in said, "the worker says it too, where it runs"
        assert server.record()["arrivals"] == []

    def named_by_both() -> None:
        server = stub(inside=networks.first, host=networks.address, cycle=["ok", "503"])
        code, stdout, stderr, worker_code, said = replayed(server, "run", 5602, "--allow-host", networks.address)
        document = json.loads(stdout)
        assert (code, worker_code) == (document["exit_code"], 0), said
        assert code in (0, 3), stderr
        n = document["books"]["planned"]
        assert f"Sends {n} requests to {networks.address} in 2 s" in stderr
        assert totals(document) == {"planned": n, "sent": n, "ok": n - n // 2, "status_503": n // 2}
        assert {sender for sender, _ in server.record()["senders"]} == {"10.231.77.2"}, "the worker's machine sends"
        assert len(open_run_folder(tmp_path / "run").read_requests()) == n
        (worker,) = document["generator"]["workers"]
        assert worker["clock_uncertainty_s"] < 0.005
        assert list((tmp_path / "run-away").iterdir()) == []

    together(not_named_by_the_worker, named_by_both)


def test_a_worker_that_nobody_answers_says_so(tmp_path: Path) -> None:
    port = free_port()
    with command("replay-worker", "--master", f"127.0.0.1:{port}", "--out", tmp_path / "away") as process:
        wait_for(lambda: len(descendants(process.pid)) > 1)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"waiting for the master at 127.0.0.1:{port}" in stderr
    assert "Traceback" not in stderr
    assert stdout == ""
