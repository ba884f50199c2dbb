"""What every policy is given and what it answers. NamedTuples, because compiled code can take them apart."""

from __future__ import annotations

from typing import NamedTuple


class PolicySettings(NamedTuple):
    policy: int
    min_replicas: int
    max_replicas: int
    target_percent: int
    slots_per_replica: int
    window_ticks: int
    averaged: bool
    """The signal is a time average, so it may not be a whole number."""
    timer_then_jump: bool
    one_at_a_time: bool
    over_ready: bool


class Observation(NamedTuple):
    """What the autoscaler sees at a tick."""

    tick: int
    """Its number, from 1."""
    signal: float
    """Requests held (v2: and queued), now or averaged."""
    current: int
    """Starting and ready replicas."""
    ready: int


class Decision(NamedTuple):
    unclamped: int
    desired: int
    """unclamped within [min, max]."""
    new_current: int
    """Replicas (starting and ready) to exist after the tick."""
