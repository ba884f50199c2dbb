"""What happens in a run, as it happens: JSON lines beside the segments, one entry each, only ever appended to.

With the schedule and the segments it is all that a run's results are made of, so that a run whose processes were killed
gives the same results as one that ended by itself, up to what it had not measured yet.
"""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

from loadtest.replay.in_use import mark_in_use
from planner.errors import InputError

JOURNAL = "journal.jsonl"
RUN_ID_KEY = "run_id"

Entry = dict[str, Any]


class Journal:
    """Entries by kind, in memory and in the folder's file. What a full disk does not take stays in memory."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self.entries: list[tuple[str, Any]] = []
        self.problem: str | None = None
        try:
            self._file = (folder / JOURNAL).open("a", encoding="utf-8")
            mark_in_use(self._file.fileno())
        except OSError as error:
            raise InputError(f"{folder / JOURNAL}: cannot be written ({error.strerror or error})") from None

    def add(self, kind: str, entry: Any) -> None:
        with self._lock:
            self.entries.append((kind, entry))
            try:
                self._file.write(json.dumps({kind: entry}, allow_nan=False) + "\n")
                self._file.flush()
            except (OSError, ValueError) as error:
                self.problem = getattr(error, "strerror", None) or str(error)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


def read_journal(folder: Path) -> list[tuple[str, Any]]:
    """The entries of a folder's journal; a last line that was torn by a kill is left out."""
    path = folder / JOURNAL
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {folder} holds no unfinished run") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            ((kind, entry),) = json.loads(line).items()
        except (ValueError, AttributeError):
            if number == len(lines):
                break
            raise InputError(f"{path}: line {number} is no entry of a journal") from None
        entries.append((kind, entry))
    return entries


def last(entries: list[tuple[str, Any]], kind: str) -> Any:
    """The newest entry of a kind, None where there is none."""
    return next((entry for name, entry in reversed(entries) if name == kind), None)


def first_entry(folder: Path) -> Entry:
    """What the first line says, which names the run; {} where this process sees no such file."""
    try:
        with (folder / JOURNAL).open(encoding="utf-8") as file:
            plan = json.loads(file.readline()).get("plan")
    except (OSError, ValueError, AttributeError):
        return {}
    return plan if isinstance(plan, dict) else {}
