"""The plain data types of the model: frozen, validated when made, units in the names.

`docs/model.md` says what the settings mean. Azure's names, units and defaults are translated in `planner.azureml`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
import numpy.typing as npt

from planner.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_REPLICAS = 100_000
MOST_PER_REPLICA = 10_000
SHORTEST_PERIOD_S = 1e-3
"""Bounds that no deployment reaches; beyond them a simulation would only run out of memory or time."""

V1_SCALE_DOWN_DELAY_S = 60.0
V2_SCALE_DOWN_TICKS = 20
"""The scale-down window of `api: v1`, and of `api: v2` in ticks: "around 20 times of the scale up refresh interval"."""


class Api(StrEnum):
    """Which generation of Azure ML's API; it decides what utilization counts and the defaults."""

    V1 = "v1"
    V2 = "v2"


class Autoscaler(StrEnum):
    AZUREML_FE = "azureml-fe"
    FIXED = "fixed"


class WhenNoReplica(StrEnum):
    WAIT = "wait"
    REJECT = "reject"


class DispatchRule(StrEnum):
    FEWEST_REQUESTS = "fewest_requests"
    ROUND_ROBIN = "round_robin"
    LOWEST_ID = "lowest_id"


class ScoringTimeoutFrom(StrEnum):
    DISPATCH = "dispatch"
    ARRIVAL = "arrival"


class ScaleDownRule(StrEnum):
    WINDOW_MAX = "window_max"
    TIMER_THEN_JUMP = "timer_then_jump"


class ScaleStep(StrEnum):
    JUMP = "jump"
    ONE = "one"


class UtilizationOver(StrEnum):
    CURRENT = "current"
    READY = "ready"


class Outcome(IntEnum):
    """What became of a request. A simulation knows the first three; the rest are a replay's books."""

    OK = 0
    STATUS_503 = 1
    STATUS_504 = 2
    BAD_RESPONSE = 3
    STATUS_429 = 4
    OTHER_4XX = 5
    OTHER_5XX = 6
    OTHER_STATUS = 7
    TIMEOUT = 8
    CONNECTION_ERROR = 9
    IN_FLIGHT_AT_STOP = 10
    UNRESOLVED = 11
    # never sent:
    SKIPPED_LATE = 12
    DROPPED_MAX_INFLIGHT = 13
    NOT_REACHED = 14
    UNACCOUNTED = 15

    @property
    def was_sent(self) -> bool:
        return self < Outcome.SKIPPED_LATE

    @property
    def has_ended(self) -> bool:
        """An answer, or the certainty that none comes."""
        return self < Outcome.IN_FLIGHT_AT_STOP


SENT = tuple(outcome for outcome in Outcome if outcome.was_sent)
NEVER_SENT = tuple(outcome for outcome in Outcome if not outcome.was_sent)
ENDED = tuple(outcome for outcome in Outcome if outcome.has_ended)
"""The denominator of fraction_503: of the other requests nobody knows the answer."""


class Cause(IntEnum):
    """Why a request got 503, at its instant; the first that holds."""

    NO_READY_REPLICA = 0
    REPLICA_LOST = 1
    WAITING_FOR_NODE = 2
    SCALE_UP_LAG = 3
    AT_MAX_REPLICAS = 4
    HEADROOM_TOO_SMALL = 5

    @property
    def label(self) -> str:
        return self.name.lower()


NO_CAUSE = -1
"""In `RequestLog.cause`: not a 503, or its cause is unknown."""

NO_REPLICA = -1
"""In `RequestLog.replica`: never dispatched, or unknown."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The settings of one deployment. Times in seconds; the target is an integer percent, as Azure has it."""

    api: Api = Api.V2
    autoscaler: Autoscaler = Autoscaler.AZUREML_FE
    min_replicas: int = 1
    max_replicas: int = 10
    target_utilization_percent: int = 70
    refresh_period_s: float = 1.0
    max_concurrent_requests: int = 1
    max_request_wait_s: float = 0.5
    scoring_timeout_s: float = 60.0
    worker_count: int = 1
    router_overhead_s: float = 0.0
    initial_replicas: int | None = None
    """None: min_replicas (the count, under `fixed`)."""
    scale_down_delay_s: float | None = None
    """None: 60 s for v1, exactly 20 refresh periods for v2."""
    utilization_window_s: float = 0.0
    dispatch: DispatchRule = DispatchRule.FEWEST_REQUESTS
    when_no_replica_is_ready: WhenNoReplica = WhenNoReplica.WAIT
    scoring_timeout_from: ScoringTimeoutFrom = ScoringTimeoutFrom.DISPATCH
    slot_busy_after_504: bool = True
    worker_busy_after_504: bool = True
    scale_down_rule: ScaleDownRule = ScaleDownRule.WINDOW_MAX
    scale_step: ScaleStep = ScaleStep.JUMP
    utilization_over: UtilizationOver = UtilizationOver.CURRENT
    named: Api | None = field(default=None, compare=False)
    """Whose names the user has written, for messages alone. None: those of `api`."""

    @property
    def names(self) -> Api:
        """Under whose names the settings are shown."""
        return self.named or self.api

    def __post_init__(self) -> None:
        problems = [
            f"{name} = {getattr(self, name)!r}, must be {bound}"
            for name, ok, bound in (
                ("min_replicas", self.min_replicas >= 1, "at least 1"),
                (
                    "max_replicas",
                    self.min_replicas <= self.max_replicas <= MOST_REPLICAS,
                    f"at least min_replicas ({self.min_replicas}) and at most {MOST_REPLICAS}",
                ),
                (
                    "target_utilization_percent",
                    1 <= self.target_utilization_percent <= 100,
                    "an integer percent from 1 to 100",
                ),
                (
                    "refresh_period_s",
                    _positive(self.refresh_period_s) and self.refresh_period_s >= SHORTEST_PERIOD_S,
                    f"at least {SHORTEST_PERIOD_S:g}",
                ),
                (
                    "max_concurrent_requests",
                    1 <= self.max_concurrent_requests <= MOST_PER_REPLICA,
                    f"from 1 to {MOST_PER_REPLICA}",
                ),
                ("max_request_wait_s", _not_negative(self.max_request_wait_s), "at least 0"),
                ("scoring_timeout_s", _positive(self.scoring_timeout_s), "above 0"),
                (
                    "scoring_timeout_s",
                    self.scoring_timeout_from is ScoringTimeoutFrom.DISPATCH
                    or not self.scoring_timeout_s < self.max_request_wait_s,
                    f"at least max_request_wait_s ({self.max_request_wait_s}) with scoring_timeout_from = arrival",
                ),
                ("worker_count", 1 <= self.worker_count <= MOST_PER_REPLICA, f"from 1 to {MOST_PER_REPLICA}"),
                ("router_overhead_s", _not_negative(self.router_overhead_s), "at least 0"),
                (
                    "initial_replicas",
                    self.initial_replicas is None or 0 <= self.initial_replicas <= self.max_replicas,
                    f"from 0 to max_replicas ({self.max_replicas})",
                ),
                (
                    "scale_down_delay_s",
                    self.scale_down_delay_s is None or _positive(self.scale_down_delay_s),
                    "above 0",
                ),
                ("utilization_window_s", _not_negative(self.utilization_window_s), "at least 0"),
            )
            if not ok
        ]
        if self.autoscaler is Autoscaler.FIXED and self.min_replicas != self.max_replicas:
            problems.append(
                f"autoscaler fixed needs min_replicas = max_replicas, not {self.min_replicas} and {self.max_replicas}"
            )
        if problems:
            raise InputError(*problems)

    @property
    def initial_count(self) -> int:
        """Replicas that are ready at time 0."""
        return self.min_replicas if self.initial_replicas is None else self.initial_replicas

    @property
    def counts_queued(self) -> bool:
        """Whether queued requests are part of utilization (v2) or not (v1)."""
        return self.api is Api.V2


@dataclass(frozen=True, kw_only=True)
class Slo:
    """The promise; `planner.promise` says what its bounds count.

    max_fraction_503 bounds E[503s] / E[requests], max_fraction_failed the same of all that are not answered 200; at
    least one of them is given. max_fraction_504 bounds the 504s, ignores_504 leaves them unbounded. p99_latency_s holds
    for 200s and 504s, a 504 counting as slower than any bound. min_fraction_of_runs of single runs keep each bound.
    """

    max_fraction_503: float | None = None
    p99_latency_s: float | None = None
    min_fraction_of_runs: float | None = None
    max_fraction_failed: float | None = None
    max_fraction_504: float | None = None
    ignores_504: bool = False

    def __post_init__(self) -> None:
        for name in ("max_fraction_503", "max_fraction_failed", "max_fraction_504", "min_fraction_of_runs"):
            share = getattr(self, name)
            if share is not None and not 0 < share < 1:
                raise InputError(f"{name} = {share}, must be between 0 and 1")
        if self.max_fraction_503 is None and self.max_fraction_failed is None:
            raise InputError("max_fraction_503 is missing, or max_fraction_failed")
        if self.ignores_504 and (self.max_fraction_504 is not None or self.max_fraction_failed is not None):
            raise InputError("ignores_504 = True, with a bound on requests that counts 504s")
        if self.p99_latency_s is not None and not _positive(self.p99_latency_s):
            raise InputError(f"p99_latency_s = {self.p99_latency_s}, must be above 0")


@dataclass(frozen=True, kw_only=True)
class RequestLog:
    """One row per request, simulated or observed, in order of `scheduled_s`. All columns have length n.

    Times are seconds from the start of the scenario, NaN where unknown: scheduled_s (arrival), sent_s (send), start_s
    (dispatch to a replica), finish_s (the client has its answer). service_time_s is the time the work took in its
    worker. outcome holds `Outcome`, cause holds `Cause` or NO_CAUSE, replica an id or NO_REPLICA.
    """

    scheduled_s: FloatArray
    sent_s: FloatArray
    start_s: FloatArray
    finish_s: FloatArray
    service_time_s: FloatArray
    outcome: IntArray
    replica: IntArray
    cause: IntArray

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in REQUEST_COLUMNS}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of unequal length: {lengths}")
        _check_sorted("scheduled_s", self.scheduled_s)

    def __len__(self) -> int:
        return len(self.scheduled_s)


REQUEST_COLUMNS = ("scheduled_s", "sent_s", "start_s", "finish_s", "service_time_s", "outcome", "replica", "cause")


def _unknown() -> IntArray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class ReplicaLog:
    """Replicas over time, simulated or observed: row i holds from time_s[i] to time_s[i + 1]. All columns length m.

    desired: clamped value of the last tick. ready, starting: replicas. busy: occupied slots of ready replicas.
    queued: requests in the queue. pending: replicas that no node has room for. terminating: on their way out, no longer
    in service. lost: ready ones lost to a fault and not yet replaced. -1 where unknown, as the last three are if left
    out.
    """

    time_s: FloatArray
    desired: IntArray
    ready: IntArray
    starting: IntArray
    busy: IntArray
    queued: IntArray
    pending: IntArray = field(default_factory=_unknown)
    terminating: IntArray = field(default_factory=_unknown)
    lost: IntArray = field(default_factory=_unknown)

    def __post_init__(self) -> None:
        for name in CLUSTER_COLUMNS:
            if len(getattr(self, name)) == 0:
                object.__setattr__(self, name, np.full(len(self.time_s), -1, dtype=np.int64))
        lengths = {name: len(getattr(self, name)) for name in (*REPLICA_COLUMNS, *CLUSTER_COLUMNS)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of unequal length: {lengths}")
        _check_sorted("time_s", self.time_s)

    def __len__(self) -> int:
        return len(self.time_s)


REPLICA_COLUMNS = ("time_s", "desired", "ready", "starting", "busy", "queued")
CLUSTER_COLUMNS = ("pending", "terminating", "lost")
"""Of a `ReplicaLog`; what only a cluster can tell."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A simulated number with its uncertainty: [low, high] is the confidence interval of the mean.

    resolved is False where too few replications saw the event for the interval to be trusted; high is then an upper
    bound. exact: every replication gives this number, because nothing that is random takes part; the interval is a
    point. prediction_low and prediction_high bound one further run.
    """

    value: float
    low: float
    high: float
    confidence: float = 0.95
    replications: int
    resolved: bool = True
    exact: bool = False
    prediction_low: float | None = None
    prediction_high: float | None = None


class VerdictWord(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"
    INVALID = "invalid"

    @property
    def exit_code(self) -> int:
        """How a command ends that judges: 0 kept, 1 not kept, 3 no verdict possible."""
        return {VerdictWord.PASS: 0, VerdictWord.FAIL: 1}.get(self, 3)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A verdict and the sentences, with numbers, that carry it."""

    word: VerdictWord
    reasons: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.reasons:
            raise ValueError("a verdict needs at least one reason")


def _positive(value: float) -> bool:
    return bool(np.isfinite(value)) and value > 0


def _not_negative(value: float) -> bool:
    return bool(np.isfinite(value)) and value >= 0


def _check_sorted(name: str, values: FloatArray) -> None:
    if len(unknown := np.flatnonzero(~np.isfinite(values))):
        raise ValueError(f"{name}[{unknown[0]}] = {values[unknown[0]]}, must be a time")
    backwards = np.flatnonzero(np.diff(values) < 0)
    if len(backwards):
        i = int(backwards[0]) + 1
        raise ValueError(f"{name}[{i}] = {values[i]} comes before {name}[{i - 1}] = {values[i - 1]}")
