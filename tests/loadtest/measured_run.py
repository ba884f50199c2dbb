"""A run folder whose world is not the one its scenario describes, service times and overhead included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.runfolder import RunFolder
from planner.model import NO_REPLICA
from planner.records import write_requests
from planner.scenario import Scenario
from planner.scenario_file import load, save_copy
from planner.scenario_file.overrides import override
from planner.scenario_file.yaml_text import dump, parse
from tests.loadtest.simulated_run import write_run

MEDIAN_OVERHEAD_S = 0.001 + 0.0015 * 1.678347
"""Of the overhead that `write_run` draws: 1 ms + gamma(2, 1.5 ms)."""


def written(folder: Path, name: str, changes: dict[str, object]) -> Scenario:
    """quickstart with changes, as a file of its own."""
    base = load("quickstart")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(dump(override(parse(base.text, ""), {"name": name} | changes)), encoding="utf-8")
    return load(path)


def measured_run(
    path: Path,
    assumed: Scenario,
    truth: Scenario,
    *,
    number: int = 0,
    seed: int | None = None,
    sees_inside: bool = True,
) -> RunFolder:
    """`assumed` was replayed, the endpoint behaved like `truth`.

    It is no lab: nobody knows the service time of what was not answered. sees_inside: the front end tells when and
    to which replica it dispatched.
    """
    if seed is not None:
        assumed, truth = _seeded(assumed, path, seed), replace(truth, seed=seed)
    folder = write_run(path, truth, number=number)
    save_copy(assumed, path)
    folder.write_summary(folder.read_summary() | {"endpoint": {"is_lab": False}})
    if not sees_inside:
        log = folder.read_requests()
        hidden: dict[str, Any] = {
            "start_s": np.full(len(log), np.nan),
            "replica": np.full(len(log), NO_REPLICA, dtype=np.int64),
        }
        write_requests(folder.requests, replace(log, **hidden))
    return folder


def _seeded(scenario: Scenario, path: Path, seed: int) -> Scenario:
    copy = path.with_name(f"{path.name}-{seed}.yaml")
    copy.write_text(dump(override(parse(scenario.text, ""), {"seed": seed})), encoding="utf-8")
    return load(copy)
