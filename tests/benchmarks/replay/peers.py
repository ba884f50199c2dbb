"""Locust as others use it: a real `locust --headless` against a stub of the same kind, and what arrived there when."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtest.selftest.children import StubProcess
from loadtest.selftest.measure import ANSWER_AFTER_S
from planner.child import child_environment
from planner.model import FloatArray

START_AND_STOP_WITHIN_S = 60.0


def arrivals_of_locust(
    locustfile: str,
    *arguments: str,
    seconds: float,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    **stub_settings: Any,
) -> FloatArray:
    """Seconds from the first arrival at the stub, sorted. `seconds`: how long it is expected to run."""
    stub_settings.setdefault("delay_s", ANSWER_AFTER_S)
    with StubProcess(folder, **stub_settings) as stub:
        origin = stub.url.removesuffix("/score")
        command = [sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name(locustfile)), *arguments]
        done = subprocess.run(
            [*command, "--headless", "--host", origin, "--only-summary", "--loglevel", "ERROR"],
            cwd=folder,  # no locust.conf of whoever runs this
            env=child_environment() | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=seconds + START_AND_STOP_WITHIN_S,
            start_new_session=True,
        )
        arrived_ns = stub.arrivals()[:, 0]
    if done.returncode or not len(arrived_ns):
        raise RuntimeError(f"{' '.join(command)} ended with exit code {done.returncode}: {done.stderr[-500:]}")
    arrived_s: FloatArray = (arrived_ns - arrived_ns[0]) / 1e9
    return arrived_s
