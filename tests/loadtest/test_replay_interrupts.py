"""Ctrl-C, kill, kill -9: what was measured is kept, and what was killed is recovered."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.replay import conclude
from loadtest.replay.in_use import wait_until_unused
from loadtest.replay.journal import JOURNAL
from loadtest.runfolder import open_run_folder
from planner.errors import InputError
from planner.model import Outcome
from tests.loadtest.replay_runs import (
    MakeFile,
    MakeStub,
    command,
    descendants,
    kill,
    leading_process,
    processes,
    real_runs,
    run,
    run_json,
    together,
    totals,
    wait_for,
    workers_of,
)

pytestmark = [*real_runs, pytest.mark.long]


def test_a_signal_keeps_what_was_measured(stub: MakeStub, scenario_file: MakeFile, tmp_path: Path) -> None:
    path = scenario_file(rps=60, duration="60s")

    def run_until(end: signal.Signals, processes: int) -> None:
        server, folder = stub(delay_s=0.3), tmp_path / end.name
        options = ("--out", folder, "--output", "json", "--processes", processes)
        with command("replay", path, "--url", server.url, *options) as process:
            wait_for(lambda: len(server.record()["arrivals"]) > 40)
            process.send_signal(end)
            stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in stderr
        document = json.loads(stdout)
        books = totals(document)
        arrived = len(server.record()["arrivals"])
        assert books["sent"] == arrived
        assert books["in_flight_at_stop"] > 0
        assert books["not_reached"] == books["planned"] - books["sent"]
        assert books["in_flight_at_stop"] + books["ok"] == arrived
        run_folder = open_run_folder(folder)
        assert run_folder.read_summary()["ended"] == "interrupted"
        assert np.sum(run_folder.read_requests().outcome == Outcome.OK) == books["ok"]
        assert str(folder) in stderr.strip().splitlines()[-1]

    together(
        lambda: run_until(signal.SIGINT, 2), lambda: run_until(signal.SIGTERM, 1), lambda: run_until(signal.SIGHUP, 1)
    )


def check_recovered(folder: Path, document: dict[str, Any]) -> dict[str, int]:
    assert not list(folder.glob("*.segment"))
    assert not (folder / JOURNAL).exists()
    assert len(open_run_folder(folder).read_requests()) == document["books"]["planned"]
    assert not document["generator"]["valid"]
    return totals(document)


def test_a_killed_run_is_recovered(
    stub: MakeStub, scenario_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the parent alone: its worker ends in order. Of everything: what had not been flushed is lost."""
    monkeypatch.setattr(conclude, "wait_until_unused", partial(wait_until_unused, within_s=0.3))
    path = scenario_file(rps=60, duration="60s")

    def kill_parent() -> None:
        server, folder = stub(), tmp_path / "parent"
        with command("replay", path, "--url", server.url, "--out", folder) as process:
            wait_for(lambda: len(server.record()["arrivals"]) > 20)
            (worker,) = workers_of(process.pid)
            with pytest.raises(InputError, match="is being written, the replay is still going on"):
                conclude.recover(folder)
            kill(process.pid)
            process.communicate(timeout=60)
        wait_for(lambda: worker not in processes(), within_s=30)
        result = conclude.recover(folder)
        books = check_recovered(folder, result.document)
        assert (result.document["ended"], result.exit_code) == ("stopped", 3)
        assert "leading process was killed" in str(result.message)
        assert books["sent"] == len(server.record()["arrivals"]), "every send is on disk"
        assert books["not_reached"] == books["planned"] - books["sent"] > 3000

    def kill_everything() -> None:
        server, folder = stub(delay_s=0.1), tmp_path / "everything"
        with command("replay", path, "--url", server.url, "--out", folder, "--processes", 2) as process:
            wait_for(lambda: len(server.record()["arrivals"]) > 60)
            alive = descendants(process.pid)
            assert len(workers_of(process.pid)) == 3
            for pid in alive:
                kill(pid)
            process.communicate(timeout=60)
        wait_for(lambda: not set(alive) & set(processes()))
        arrived = len(server.record()["arrivals"])
        torn = folder / JOURNAL
        torn.write_bytes(torn.read_bytes() + b'{"row": [1.5, 2')
        code, document, _ = run_json("replay", "--recover", folder)
        books = check_recovered(folder, document)
        assert (document["ended"], code) == ("worker_lost", 3)
        assert "killed" in document["message"]
        assert arrived - 60 <= books["sent"] <= arrived + 2, "at most one second is lost"
        assert books["unaccounted"] == books["planned"] - books["sent"] > 3000
        code, stdout, stderr = run("replay", "--recover", folder)
        assert (code, stdout) == (2, "")
        assert "this run is complete, there is nothing to recover" in " ".join(stderr.split())

    def kill_leading_process() -> None:
        """Beside two workers it sends nothing itself: they are stopped, and nothing is lost."""
        server, folder = stub(delay_s=0.1), tmp_path / "leading"
        options = ("--out", folder, "--processes", 2, "--output", "json")
        with command("replay", path, "--url", server.url, *options) as process:
            wait_for(lambda: len(server.record()["arrivals"]) > 40)
            kill(leading_process(process.pid))
            stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 3, stderr
        assert "Traceback" not in stderr
        document = json.loads(stdout)
        books = check_recovered(folder, document)
        assert books["sent"] == len(server.record()["arrivals"])
        assert books["not_reached"] + books["sent"] == books["planned"]
        assert document["ended"] == "stopped"
        assert "its leading process was killed" in document["message"], "somebody has to say why the run stopped"
        assert workers_of(process.pid) == []

    together(kill_everything, kill_parent, kill_leading_process)


def test_what_cannot_be_recovered(tmp_path: Path, scenario_file: MakeFile) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        ((tmp_path / "nowhere",), "no such run folder"),
        ((tmp_path / "empty",), "nothing to recover"),
        ((tmp_path, scenario_file()), "the folder knows its scenario and URL, leave them out"),
    ):
        code, stdout, stderr = run("replay", "--recover", *arguments)
        assert (code, stdout) == (2, "")
        assert words in " ".join(stderr.split())
