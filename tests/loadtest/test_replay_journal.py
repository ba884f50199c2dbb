"""The journal: entries come back in order, a torn last line is left out, a full disk loses nothing in memory."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from loadtest.replay.journal import JOURNAL, Journal, first_entry, last, read_journal
from planner.errors import InputError


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add("plan", {"run_id": "a", "url": "é\u2028\n"})
    journal.add("row", [1.5, 2])
    journal.add("row", None)
    assert read_journal(tmp_path) == journal.entries, "also before it is closed"
    journal.close()
    assert read_journal(tmp_path) == [("plan", {"run_id": "a", "url": "é\u2028\n"}), ("row", [1.5, 2]), ("row", None)]
    assert first_entry(tmp_path)["run_id"] == "a"
    assert last(journal.entries, "plan")["run_id"] == "a"
    assert last([("row", 1), ("row", 2)], "row") == 2
    assert last(journal.entries, "armed") is None


def test_a_journal_is_continued(tmp_path: Path) -> None:
    for entry in (1, 2):
        journal = Journal(tmp_path)
        journal.add("row", entry)
        journal.close()
    assert read_journal(tmp_path) == [("row", 1), ("row", 2)]


def test_a_torn_last_line_is_left_out_wherever_it_was_torn(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add("plan", {"run_id": "a"})
    whole = (tmp_path / JOURNAL).read_bytes()
    journal.add("row", [1.5, {"x": "é"}])
    data = (tmp_path / JOURNAL).read_bytes()
    journal.close()
    for end in range(len(whole), len(data) - 1):
        (tmp_path / JOURNAL).write_bytes(data[:end])
        assert read_journal(tmp_path) == [("plan", {"run_id": "a"})]
    (tmp_path / JOURNAL).write_bytes(data[:-1])
    assert len(read_journal(tmp_path)) == 2, "only the line's end was lost"


@pytest.mark.parametrize("line", ["", "{", "[1]", "{}", '{"a": 1, "b": 2}', "3", "null"])
def test_a_broken_line_before_the_last_names_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / JOURNAL).write_text(f'{{"plan": 1}}\n{line}\n{{"row": 1}}\n')
    with pytest.raises(InputError, match=r"journal\.jsonl: line 2 is no entry of a journal"):
        read_journal(tmp_path)


def test_a_folder_without_a_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no unfinished run"):
        read_journal(tmp_path)
    assert first_entry(tmp_path) == {}
    assert first_entry(tmp_path / "nowhere") == {}
    with pytest.raises(InputError, match="cannot be written"):
        Journal(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "\n", "[]\n", '{"row": 1}\n', '{"plan": 3}\n', '{"plan', "\xff"])
def test_a_first_line_that_names_no_run(tmp_path: Path, text: str) -> None:
    (tmp_path / JOURNAL).write_bytes(text.encode("latin-1"))
    assert first_entry(tmp_path) == {}


def test_a_full_disk_leaves_the_entries_in_memory() -> None:
    journal = Journal.__new__(Journal)
    journal._lock, journal.entries, journal.problem = threading.Lock(), [], None
    journal._file = open("/dev/full", "a", encoding="utf-8")  # noqa: SIM115
    journal.add("row", 1)
    journal.add("row", 2)
    journal.close()
    assert journal.entries == [("row", 1), ("row", 2)]
    assert journal.problem == "No space left on device"


def test_threads_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path)

    def write(kind: str) -> None:
        for i in range(200):
            journal.add(kind, "x" * i)

    threads = [threading.Thread(target=write, args=(str(k),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert read_journal(tmp_path) == journal.entries
    assert len(journal.entries) == 800


def test_what_is_not_json_is_not_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add("row", float("nan"))
    journal.add("row", 1)
    journal.close()
    assert [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()] == [{"row": 1}]
