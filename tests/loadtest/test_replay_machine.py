"""The generator's own machine misbehaves: a full disk, a clock that is set, a process that stands still."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from loadtest.replay.conclude import recover
from loadtest.replay.progress import Progress
from loadtest.replay.run import replay
from loadtest.runfolder import open_run_folder
from planner.errors import NoVerdictError
from planner.model import Outcome
from tests.loadtest.replay_runs import (
    At,
    MakeScenario,
    MakeStub,
    fill,
    needs_root,
    real_runs,
    small_disk,
    totals,
    valid_replay,
    worker_pid,
)

pytestmark = [*real_runs, pytest.mark.long]


def test_a_limit_on_the_size_of_files_ends_the_run(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
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
    assert "The records of the run could not be written (File too large)." in str(result.message)
    books = totals(result.document)
    assert books["ok"] > 500
    assert books["unaccounted"] > 0
    assert len(server.record()["arrivals"]) < books["planned"] / 2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@needs_root
def test_a_full_disk_ends_the_run_and_room_on_it_recovers_it(
    stub: MakeStub, scenario: MakeScenario, disk: Path
) -> None:
    server = stub()
    plan = scenario(rps=300, duration="20s")
    folder = disk / "run"
    with pytest.raises(NoVerdictError) as failure:
        replay(plan, server.url, out=folder, on_progress=At(0.5, lambda: fill(disk, 30_000)))
    message = str(failure.value)
    assert "The records of the run could not be written (No space left on device)." in message
    assert "the results cannot be written (" in message
    assert f"what was measured is still there: surgeproof replay --recover {folder}" in message
    arrived = len(server.record()["arrivals"])
    assert 150 < arrived < 3000, "the run has ended early"

    (disk / "filler").unlink()
    result = recover(folder)
    books = totals(result.document)
    assert result.exit_code == 3
    assert books["planned"] > 5000
    assert arrived - 300 <= books["sent"] <= arrived
    assert books["ok"] > 100
    assert books["unaccounted"] + books.get("not_reached", 0) == books["planned"] - books["sent"]
    assert len(open_run_folder(folder).read_requests()) == books["planned"]


SET_CLOCK = '''
"""In the place of a clock that is set: the wall clock of this process jumps when a file appears."""
import os, time

_time, _time_ns = time.time, time.time_ns
_marker = os.environ["TEST_CLOCK_MARKER"]
time.time = lambda: _time() + 3 * os.path.exists(_marker)
time.time_ns = lambda: _time_ns() + 3 * 10**9 * os.path.exists(_marker)
'''


def test_a_clock_step_is_told_and_changes_nothing(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "stepped"
    (tmp_path / "sitecustomize.py").write_text(SET_CLOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TEST_CLOCK_MARKER", str(marker))

    def start_stub() -> object:
        marker.unlink(missing_ok=True)
        return stub(delay_s=0.05)

    result, _ = valid_replay(scenario(rps=60), start_stub, tmp_path, on_progress=At(0.6, marker.touch))
    n = len(result.requests)
    assert totals(result.document) == {"planned": n, "sent": n, "ok": n}
    (warning,) = result.document["warnings"]
    assert warning.startswith("worker 0: the wall clock was set forward by 3 s at ")
    assert "rest on the monotonic clock" in warning
    assert (result.document["ended"], result.exit_code) == ("complete", 0)
    latency_s = result.requests.finish_s - result.requests.sent_s
    assert np.all((latency_s > 0.049) & (latency_s < 0.3))


def test_a_worker_that_stands_still_is_told_and_its_run_invalid(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path
) -> None:
    """What is later than a second is skipped, so that the stall does not become a burst that nobody planned."""
    server, folder = stub(), tmp_path / "run"

    def stop_for_2_s() -> None:
        pid = worker_pid(folder, 0)
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(2.0, os.kill, (pid, signal.SIGCONT)).start()

    result = replay(scenario(rps=80, duration="4s"), server.url, out=folder, on_progress=At(0.6, stop_for_2_s))
    assert (result.document["ended"], result.exit_code) == ("complete", 3)
    books = totals(result.document)
    assert 60 <= books["skipped_late"] <= 110, "those of the first of two seconds"
    assert books["sent"] + books["skipped_late"] == books["planned"]
    assert len(server.record()["arrivals"]) == books["sent"]
    assert not result.document["generator"]["valid"]
    assert "skipped late" in str(result.message)
    (warning,) = result.document["warnings"]
    assert warning.startswith(("worker 0 stood still for 1.", "worker 0 stood still for 2 s"))
    skipped_s = result.requests.scheduled_s[result.requests.outcome == Outcome.SKIPPED_LATE]
    assert skipped_s.max() - skipped_s.min() < 1.3
