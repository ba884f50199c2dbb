"""What has been simulated so far, by setting: the search's memory. Runs are made by whatever executes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from planner.model import Slo
from planner.plan.observation import Observed, observe
from planner.plan.settings import Setting
from planner.plan.tally import Runs
from planner.scenario import Scenario
from planner.sim.replications import Executor

Task = tuple[Setting, int]


class Pool:
    """Replicates 0, 1, 2, … of each setting, on common random numbers.

    Where nothing that is random takes part every run of a setting is its first, and it has no other.
    A run in which no tick wanted more than max_replicas is, to the last event, also the run of every other
    max_replicas that is not below what was wanted: it is simulated once.
    """

    def __init__(self, scenario: Scenario, slo: Slo, executor: Executor, advance: Callable[[], None]) -> None:
        self._observe = partial(observe, scenario, slo)
        self._may_repeat = not scenario.has_random_requests
        self._executor = executor
        self._advance = advance
        self._seen: dict[Setting, list[Observed]] = {}
        self._runs: dict[Setting, Runs] = {}
        self._unclamped: dict[Task, Observed] = {}
        self.requests = 0
        """Simulated, each run once."""
        self.replications = 0

    def __contains__(self, setting: Setting) -> bool:
        return setting in self._seen

    @property
    def settings(self) -> list[Setting]:
        """In the order in which they were first simulated."""
        return list(self._seen)

    def count(self, setting: Setting) -> int:
        return len(self._seen.get(setting, ()))

    def runs(self, setting: Setting) -> Runs:
        if setting not in self._runs:
            self._runs[setting] = Runs.of(self._seen[setting])
        return self._runs[setting]

    def has(self, setting: Setting, runs: int) -> bool:
        """Whether it has so many runs, or all that there are."""
        return self.count(setting) >= runs or (setting in self and self.runs(setting).exact)

    def extend(self, wanted: Sequence[tuple[Setting, int]]) -> None:
        """Simulate until each setting has so many runs, or all that there are."""
        if self._may_repeat:
            self._extend([(setting, min(1, count)) for setting, count in wanted])
        self._extend([(setting, count) for setting, count in wanted if not self.has(setting, count)])

    def _extend(self, wanted: Sequence[tuple[Setting, int]]) -> None:
        asked = [(setting, r) for setting, count in wanted for r in range(self.count(setting), count)]
        missing = [task for task in asked if self._known(task) is None]
        fresh = dict(zip(missing, self._simulated(missing), strict=True))
        for task in asked:
            known = fresh.get(task) or self._known(task)
            assert known is not None
            self._seen.setdefault(task[0], []).append(known)
            self._runs.pop(task[0], None)

    def fresh(self, setting: Setting, replicates: Iterable[int]) -> list[Observed]:
        """Runs that no choice has seen."""
        return list(self._simulated([(setting, r) for r in replicates]))

    def _simulated(self, tasks: Sequence[Task]) -> list[Observed]:
        results = []
        for task, observed in zip(tasks, self._executor.in_order(self._observe, tasks), strict=True):
            self.requests += observed.n
            self.replications += 1
            if observed.peak_unclamped <= task[0].max_replicas:
                self._unclamped[_without_max(task)] = observed
            results.append(observed)
            self._advance()
        return results

    def _known(self, task: Task) -> Observed | None:
        known = self._unclamped.get(_without_max(task))
        return known if known is not None and known.peak_unclamped <= task[0].max_replicas else None

    def same_runs(self, candidates: Iterable[Setting]) -> dict[Setting, Setting]:
        """Candidates that have not been simulated but whose runs, up to now, are those of another: it."""
        peaks: dict[Setting, list[tuple[int, Setting]]] = defaultdict(list)
        for setting in self._seen:
            peak = int(self.runs(setting).peak_unclamped.max())
            if peak <= setting.max_replicas:
                peaks[_any_max(setting)].append((peak, setting))
        found = {}
        for candidate in candidates:
            for peak, setting in peaks.get(_any_max(candidate), ()):
                if candidate not in self._seen and candidate.max_replicas >= peak:
                    found[candidate] = setting
        return found


def _any_max(setting: Setting) -> Setting:
    return Setting(setting.min_replicas, 0, setting.target_percent, setting.max_concurrent, setting.worker_count)


def _without_max(task: Task) -> Task:
    return _any_max(task[0]), task[1]
