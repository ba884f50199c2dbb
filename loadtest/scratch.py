"""Temporary folders that do not pile up: those of processes that were killed go when the next one is made."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "surgeproof-scratch-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, removed on leaving."""
    for orphan in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        _remove_unless_in_use(orphan)
    folder, lock = _make()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _unlock(lock)


def _make() -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = _lock(folder)
        if folder.exists():  # else another process took it for an orphan before it was locked
            return folder, lock
        _unlock(lock)


def _remove_unless_in_use(folder: Path) -> None:
    lock = _lock(folder)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
    _unlock(lock)


def _lock(folder: Path) -> int | None:
    """The descriptor of a lock that ends with this process; None if somebody has it or it cannot be had."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor
    return None


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
