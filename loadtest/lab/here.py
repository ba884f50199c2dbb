"""How a lab says that it is one, without a request: it leaves a note on this machine for as long as it serves.

The note is a file named by the lab's address, locked by the lab's process: after a crash the lock is gone, and with it
what the note says.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtest.replay.in_use import is_in_use, mark_in_use


def cache_folder() -> Path:
    """Where this user's Surgeproof keeps what outlasts a process: $SURGEPROOF_CACHE, else the system's cache folder."""
    if chosen := os.environ.get("SURGEPROOF_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "surgeproof"


@contextmanager
def lab_noted(address: str, port: int) -> Iterator[str | None]:
    """Leave the note of a lab that listens there. Yields why that failed, None if it did not."""
    note = _note(address, port)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(note, os.O_WRONLY | os.O_CREAT, 0o644)
    except OSError as error:
        yield f"{note}: {error.strerror}"
        return
    try:
        mark_in_use(descriptor)
        yield None if is_in_use(note) else f"{note}: this file system has no locks"
    finally:
        with contextlib.suppress(OSError):
            note.unlink()
        os.close(descriptor)


def is_lab_here(address: str, port: int) -> bool:
    """Whether a lab that runs now has left its note for this address."""
    try:
        return is_in_use(_note(address, port))
    except OSError:
        return False


def _note(address: str, port: int) -> Path:
    return cache_folder() / "labs" / f"{address.replace(':', '_')}-{port}"
