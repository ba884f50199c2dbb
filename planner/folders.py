"""Folders that commands write to."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from planner.errors import InputError

RUNS = Path("runs")
"""Where they go by default."""


def new_folder(name: str, out: Path | None = None) -> Path:
    """A new, empty folder: `out`, or runs/NAME-TIME. One that already holds something is refused."""
    try:
        if out is not None:
            str(out).encode()
            out.mkdir(parents=True, exist_ok=True)
            if any(out.iterdir()):
                raise InputError(f"--out {out}: the folder is not empty, choose a new one")
            return out
        stem = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('.-') or 'run'}-{datetime.now():%Y%m%d-%H%M%S}"
        RUNS.mkdir(exist_ok=True)
        for suffix in ("", *(f"-{i}" for i in range(2, 100))):
            folder = RUNS / (stem + suffix)
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except UnicodeEncodeError:
        raise InputError(f"--out {out}: the name is not UTF-8, which its Parquet files need") from None
    except OSError as error:
        raise InputError(f"{error.filename or out or RUNS}: cannot be made a run folder ({error.strerror})") from None
    raise InputError(f"{RUNS / stem}: a hundred runs in one second, choose a folder with --out")
