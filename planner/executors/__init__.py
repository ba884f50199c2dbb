"""Executors of independent tasks: this process, worker processes of this machine, a Dask cluster.

None can change a result: every task is computed by itself, and results come back in the order of the tasks.
"""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from planner.errors import InputError

if TYPE_CHECKING:
    from planner.sim.replications import Executor


CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""A container's share of the processors of its host (Linux, cgroup v2): `quota period`, or `max period`."""


def usable_cores() -> int:
    """Cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_LIMIT.read_text().split()
        return min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return cores


def executor_for(scheduler: str | None, cores: int | None = None) -> AbstractContextManager[Executor]:
    """The cluster of the Dask scheduler at an address; without one the cores given of this machine (default: all)."""
    if scheduler is not None and cores is not None:
        raise InputError("--cores is for this machine and --scheduler for a cluster: give one of them")
    if scheduler is None:
        from planner.executors.local import Local

        return Local(cores or usable_cores())
    from planner.executors.cluster import Cluster

    return Cluster(scheduler)
