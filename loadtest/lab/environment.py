"""The scoring server's own virtual environment, made once.

In production the scoring server has an image of its own; here it has an environment of its own, because its pins hold
back pydantic and OpenTelemetry, and pip would silently fall back to its 1.2.2 beside the kubernetes client.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from loadtest.lab.here import cache_folder
from loadtest.lab.launcher_client import SCORING_SERVER_FOLDER
from planner.errors import InputError

SERVER_PACKAGE = "azureml-inference-server-http"
SERVER_VERSION = "1.5.1"
REQUIREMENTS = SCORING_SERVER_FOLDER / "requirements.txt"
_COMPLETE = ".complete"

Progress = Callable[[str], None]


def scoring_python(on_progress: Progress) -> Path:
    """The Python of the scoring server's environment, which is made first if it is missing or half made."""
    folder = environment_folder()
    python = folder / "bin" / "python"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock"), on_progress):
            if not ((folder / _COMPLETE).exists() and installed_version(python) == SERVER_VERSION):
                _make(folder, python, on_progress)
    except OSError as error:
        raise InputError(f"{folder}: the scoring server's environment cannot be made ({error.strerror})") from None
    return python


def environment_folder() -> Path:
    """Named by what it depends on: server version, Python version, requirements."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    version = f"py{sys.version_info.major}.{sys.version_info.minor}"
    return cache_folder() / f"scoring-server-{SERVER_VERSION}-{version}-{digest}"


def installed_version(python: Path) -> str | None:
    """The scoring server's version in an environment; None where there is none, or no working Python."""
    code = f"import importlib.metadata as m; print(m.version({SERVER_PACKAGE!r}))"
    try:
        asked = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()


@contextlib.contextmanager
def _locked(path: Path, on_progress: Progress) -> Iterator[None]:
    """Hold a lock that a process gives up when it ends, however it ends."""
    import fcntl

    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress("another process is making the scoring server's environment")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path, python: Path, on_progress: Progress) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    on_progress(f"making the scoring server's environment in {folder} (once)")
    _run([sys.executable, "-m", "venv", str(folder)], lambda line: None)
    packages = sum("==" in line for line in REQUIREMENTS.read_text().splitlines())
    collected = 0

    def follow(line: str) -> None:
        nonlocal collected
        if line.startswith("Collecting "):
            collected += 1
            on_progress(f"scoring server: {line.split()[1]} ({collected} of {packages} packages)")
        elif line.startswith("Installing "):
            on_progress(f"scoring server: installing {packages} packages")

    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--progress-bar", "off"]
    _run([*pip, "--require-hashes", "-r", str(REQUIREMENTS)], follow)
    if (version := installed_version(python)) != SERVER_VERSION:
        raise InputError(f"{folder}: {SERVER_PACKAGE} is {version}, must be {SERVER_VERSION}")
    (folder / _COMPLETE).touch()


def _run(command: list[str], follow: Progress) -> None:
    """Run to the end, one line of output at a time; if it fails, say so in one sentence with its last error."""
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                said.append(line.strip())
                follow(line.strip())
    if process.returncode != 0:
        errors = [line for line in said if line.startswith("ERROR")] or said or ["it said nothing"]
        tool = "pip" if "pip" in command else "venv"
        raise InputError(f"the scoring server's environment could not be made; {tool} says: {errors[-1]}")
