"""Which files of a run are still being written: each is locked by its writer, and the lock ends with the process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path

from planner.errors import InputError

WAIT_S = 10.0
"""A worker whose parent was killed closes its file within seconds."""


def mark_in_use(descriptor: int) -> None:
    """Lock a file that this process has just made; a file system without locks goes without."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_until_unused(paths: Iterable[Path], within_s: float = WAIT_S) -> None:
    """Return when nobody writes these files; InputError if somebody still does."""
    give_up_s = time.monotonic() + within_s
    for path in paths:
        while is_in_use(path):
            if time.monotonic() > give_up_s:
                raise InputError(f"{path}: is being written, the replay is still going on")
            time.sleep(0.1)


def is_in_use(path: Path) -> bool:
    """Whether somebody holds the lock of `mark_in_use`. Raises OSError where there is no such file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
