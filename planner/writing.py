"""Writes a file whole or not at all: a reader never meets half of it, and what was there before stays until then."""

from __future__ import annotations

import os
from pathlib import Path

from planner.errors import InputError, NoVerdictError


def check_writable(path: Path, option: str) -> None:
    """Refuse a file that cannot be written, before a run whose results should go there."""
    try:
        if path.is_dir():
            raise InputError(f"{option} {path}: is a folder, must be a file")
        if _is_no_file(path):
            raise InputError(f"{option} {path}: is a device, pipe or socket, must be a file")
        folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
        if not folder.is_dir():
            raise InputError(f"{option} {path}: the folder {folder} does not exist")
        if not os.access(folder, os.W_OK):
            raise InputError(f"{option} {path}: the folder {folder} cannot be written")
    except (OSError, ValueError) as error:
        raise InputError(f"{option} {str(path)!r}: cannot be written ({error})") from None


def write_whole(path: Path, data: bytes) -> None:
    """Write under another name, then rename. NoVerdictError (exit code 3) if the disk refuses.

    A symbolic link stays one: what it points to is written.
    """
    path = Path(os.path.realpath(path))
    if _is_no_file(path):
        raise NoVerdictError(f"{path}: cannot be written (no file)")
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise NoVerdictError(f"{path}: cannot be written ({error.strerror or error})") from None


def _is_no_file(path: Path) -> bool:
    """A device, say, which is not to be replaced by a file of its name."""
    return path.exists() and not path.is_file()
