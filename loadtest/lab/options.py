"""What a lab is run with, and what it announces: plain data that costs nothing to import."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from loadtest.observe.target import ClusterTarget
from planner.errors import InputError

KEY_VARIABLE = "SURGEPROOF_ENDPOINT_KEY"
STOP_ON_EOF_VARIABLE = "SURGEPROOF_LAB_STOP_ON_EOF"
"""Set by `LabProcess`: the lab ends when its standard input does, that is when its parent has ended, however."""

START_LIMIT_S = 300.0

MAX_REAL_REPLICAS = 24
"""24 start together in 3 s and take 27 MB each, but on two cores they get into each other's way: the time that a
request spends beyond run() has a p99 of 14 ms with 24 replicas, of 7 ms with 10."""


class ReplicaKind(StrEnum):
    REAL = "real"
    SIMULATED = "simulated"
    KUBERNETES = "kubernetes"


def check_replicas(
    max_replicas: int,
    kind: ReplicaKind,
    cluster: ClusterTarget | None = None,
    *,
    scale_deployment: bool = False,
    start_limit_s: float | None = None,
) -> None:
    """Refuse more real replicas than one machine carries, and pods without what they need."""
    if kind is ReplicaKind.KUBERNETES and cluster is None:
        raise InputError("--replicas kubernetes: needs --deployment, the Deployment whose pods are the replicas")
    if kind is ReplicaKind.KUBERNETES and not scale_deployment:
        raise InputError(
            "--replicas kubernetes: the lab's autoscaler sets the Deployment's replica count, which only "
            "--scale-deployment allows"
        )
    if kind is not ReplicaKind.KUBERNETES and (cluster is not None or scale_deployment or start_limit_s is not None):
        raise InputError(
            "--deployment, --scale-deployment, --start-limit and the like: only with --replicas kubernetes"
        )
    if kind is ReplicaKind.REAL and max_replicas > MAX_REAL_REPLICAS:
        raise InputError(
            f"autoscale_max_replicas = {max_replicas}, the lab runs at most {MAX_REAL_REPLICAS} real replicas on one "
            "machine; use --replicas simulated"
        )


@dataclass(frozen=True, kw_only=True)
class LabOptions:
    """How to run a scenario's lab. score_folder holds the user's own score.py; None: the one that sleeps."""

    replicas: ReplicaKind = ReplicaKind.REAL
    host: str = "127.0.0.1"
    port: int = 5001
    log: Path | None = None
    score_folder: Path | None = None
    cluster: ClusterTarget | None = None
    """Whose pods are the replicas, with ReplicaKind.KUBERNETES."""
    scale_deployment: bool = False
    """That the lab may set the Deployment's replica count."""
    start_limit_s: float | None = None
    """For the initial pods to become ready, which may need a node first; None: START_LIMIT_S."""


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What one needs to use a lab that is ready."""

    url: str
    state_url: str
    log_url: str
    service: str
    replicas: str
    ready_replicas: int
    key_env: str = KEY_VARIABLE
