"""Where the file lies that a trace's `payload` column names: inside the scenario's folder of payloads, nowhere else."""

from __future__ import annotations

from pathlib import Path, PurePath

from planner.errors import InputError


def payload_path(folder: Path, name: str) -> Path:
    """The path of a payload. Raises InputError for a name that leads out of the folder, by .. or by a link."""
    if not name.strip():
        raise InputError(f"{folder}: a request of the trace names no payload")
    parts = PurePath(name).parts
    if PurePath(name).is_absolute() or ".." in parts or "\0" in name:
        raise InputError(f"{folder}: the payload {name!r} must name a file inside this folder")
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{folder}: the payload {name!r} is a link that leads out of this folder")
    return path
