"""What a report is made of: the scenario, the documents of the commands, and the logs of the run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from planner.model import Outcome, ReplicaLog, RequestLog, VerdictWord
from planner.run_promise import RunFailures
from planner.scenario import Scenario


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """One run. summary: the replay's document; validation: that of `validate`; simulation: that of `simulate`, if made.

    replicas is None where the run could not see them.
    """

    scenario: Scenario
    summary: dict[str, Any]
    validation: dict[str, Any]
    simulation: dict[str, Any] | None = None
    requests: RequestLog
    replicas: ReplicaLog | None = None

    @property
    def verdict(self) -> VerdictWord:
        return VerdictWord(self.validation["verdict"])

    @property
    def over_time(self) -> dict[str, Any] | None:
        """Observed and predicted curves; None where nothing was predicted (an invalid run)."""
        return self.validation.get("over_time")

    @property
    def predicted_503(self) -> dict[str, Any] | None:
        """The estimate of the fraction of 503s with its prediction interval; None for an invalid run."""
        estimate: dict[str, Any] | None = self.validation["predicted"]["fraction_503"]
        return estimate

    @property
    def fraction_503(self) -> float | None:
        """The observed fraction, as the verdict saw it; None where nothing was answered."""
        fraction: float | None = self.validation["observed"]["fraction_503"]
        return fraction

    @cached_property
    def failures(self) -> RunFailures:
        """How the requests that count ended."""
        return RunFailures.of(self.requests, self.counted)

    @property
    def is_lab(self) -> bool:
        """Whether the endpoint was the lab, which shows its replicas under /lab."""
        return str((self.summary.get("replicas") or {}).get("source", "")).startswith("/lab")

    @property
    def blind_s(self) -> list[tuple[float, float]]:
        """Spans in which changes of the replicas were not seen as they happened."""
        gaps = (self.summary.get("replicas") or {}).get("gaps") or []
        return [(float(gap["from_s"]), float(gap["to_s"])) for gap in gaps]

    @cached_property
    def seen_until_s(self) -> float:
        """The duration; for a replay that ended early the time of the last thing that it saw."""
        duration_s = self.scenario.duration_s
        if self.summary.get("ended") == "complete":
            return duration_s
        times_s = [self.requests.sent_s, self.requests.finish_s]
        if self.replicas is not None:
            times_s.append(self.replicas.time_s)
        seen = np.concatenate(times_s)
        return min(duration_s, float(np.max(seen, initial=0.0, where=np.isfinite(seen))))

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        """Requests scheduled in [warm_up, duration), shape (n,)."""
        log, scenario = self.requests, self.scenario
        return np.asarray((log.scheduled_s >= scenario.warm_up_s) & (log.scheduled_s < scenario.duration_s))

    def with_outcome(self, outcome: Outcome) -> npt.NDArray[np.bool_]:
        """Counted requests with one outcome, shape (n,)."""
        return np.asarray(self.counted & (self.requests.outcome == outcome))

    @property
    def warnings(self) -> list[str]:
        """Everything that the parts of the run warned of, once each."""
        summary = self.summary
        found = [
            *summary.get("warnings", []),
            *(summary.get("replicas") or {}).get("warnings", []),
            *self.validation.get("warnings", []),
            *(self.simulation or {}).get("warnings", []),
            *self.scenario.warnings,
        ]
        return list(dict.fromkeys(found))
