"""A run folder as a replay's processes leave it before the results are written: schedule, journal, segments."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.replay.journal import Journal
from loadtest.replay.segment import EndReason, SegmentWriter
from loadtest.replay.settings import ReplaySettings
from loadtest.runfolder import RunFolder
from loadtest.schedule import Schedule, write_schedule
from planner.model import Outcome
from planner.scenario import Scenario
from planner.scenario_file import save_copy


def every_second(n: int) -> Schedule:
    return Schedule(
        offset_ns=np.arange(n, dtype=np.int64) * 10**9, service_time_s=np.full(n, 0.1), duration_ns=n * 10**9
    )


def record(
    path: Path,
    scenario: Scenario,
    outcomes: Sequence[Outcome | None],
    *,
    statuses: Mapping[Outcome, int] | None = None,
    late_s: float = 0.001,
    ends: Sequence[EndReason | None] = (EndReason.COMPLETE,),
    entries: Sequence[tuple[str, Any]] = (),
) -> RunFolder:
    """One request a second, answered within 0.2 s. outcome None: it left no record. ends: one of each worker."""
    path.mkdir(parents=True)
    folder, schedule, workers = RunFolder(path), every_second(len(outcomes)), len(ends)
    save_copy(scenario, path)
    write_schedule(folder.schedule, schedule)
    _write_journal(path, workers, entries)
    for worker, end in enumerate(ends):
        writer = SegmentWriter(path / f"worker-{worker}.segment", schedule.sha256, worker, workers)
        for index in range(worker, len(outcomes), workers):
            outcome = outcomes[index]
            if outcome is None:
                continue
            times = {}
            if outcome.was_sent:
                sent_ns = index * 10**9 + round(late_s * 1e9)
                writer.sent(index, sent_ns)
                times = {"sent_ns": sent_ns, "finish_ns": sent_ns + 200_000_000}
            writer.resolved(index, outcome, status=(statuses or {}).get(outcome, 0), **times)
        if end is None:
            writer.flush()
            os.close(writer._fd)  # as the kernel does for a process that was killed
        else:
            writer.close(end)
    return folder


def _write_journal(path: Path, workers: int, entries: Sequence[tuple[str, Any]]) -> None:
    journal = Journal(path)
    settings = ReplaySettings(url="http://127.0.0.1:5001/score", timeout_s=6.0).to_document()
    plan = {"run_id": "ab", "url": settings["url"], "is_loopback": True, "settings": settings}
    journal.add("plan", plan | {"processes": workers, "expect_workers": 0, "payloads": None, "credentials": "none"})
    journal.add("armed", [{"worker": k, "pid": 1 + k, "max_in_flight": 4096} for k in range(workers)])
    journal.add("started", {"start_monotonic_s": 1000.0, "started_at": "2026-11-22T10:15:00.000+00:00"})
    for kind, entry in entries:
        journal.add(kind, entry)
    journal.close()
