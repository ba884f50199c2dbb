"""The log of what the lab did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtest.lab import event_log
from loadtest.lab.event_log import EventLog


def test_events_are_numbered_and_written_as_they_come(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"seq": 0}\n')
    log = EventLog(lambda: 1.5, tmp_path / "log")
    log.add("state", ready=1)
    log.add("request", status=503)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert lines[1:] == log.after(0), "flushed at once, after what was there"
    assert lines[2] == {"seq": 2, "kind": "request", "monotonic_s": 1.5, "status": 503}
    log.close()


def test_reading_on_page_by_page_and_by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "EVENTS_PER_PAGE", 3)
    log = EventLog(lambda: 0.0)
    for i in range(8):
        log.add("even" if i % 2 == 0 else "odd")
    assert [event["seq"] for event in log.after(0)] == [1, 2, 3]
    assert [event["seq"] for event in log.after(3)] == [4, 5, 6]
    assert [event["seq"] for event in log.after(2, ["odd"])] == [4, 6, 8]
    assert log.after(8) == log.after(100) == []


def test_what_no_longer_fits_is_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "EVENTS_KEPT", 3)
    log = EventLog(lambda: 0.0)
    for _ in range(5):
        log.add("state")
    assert [event["seq"] for event in log.after(0)] == [3, 4, 5]
    assert [event["seq"] for event in log.after(3)] == [4, 5]
