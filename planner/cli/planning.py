"""Runs a search with its progress, asks what is asked beside it, and makes the document and the folder of `plan`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.cli.counterfactuals import INTERRUPTIONS
from planner.cli.plan_progress import Watch, watching
from planner.cli.progress import progress
from planner.cli.simulation import prepare_simulator
from planner.errors import InputError, StoppedByLimit, WorkersLostError
from planner.executors import executor_for
from planner.model import Slo
from planner.plan.answer import look_at_neighbours
from planner.plan.confirmation import BLOCK, FRESH, confirm
from planner.plan.document import plan_document
from planner.plan.exhaustive import exhaustive
from planner.plan.limits import Binding, binding, service_time_alone
from planner.plan.questions import answer_questions, published_rule
from planner.plan.robust import (
    DEFAULT_KEPT_IN,
    DEFAULT_WORLDS,
    Criterion,
    World,
    candidates,
    choose,
    plan_worlds,
    simulate_candidates,
    with_choice,
)
from planner.plan.robust_document import robust_document
from planner.plan.search import DEFAULT_MOST_REQUESTS, Found, Search, Stopped
from planner.plan.settings import Setting
from planner.plan.space import ROOM, Ranges, Space, among, space_of
from planner.scenario import Scenario
from planner.scenario_file.scaling import scaled_trace
from planner.scenario_file.worlds import in_world
from planner.sim.replications import DEFAULT_REPLICATIONS, Executor

ASSUMED_FRACTION_503 = 0.01
ASSUMED_SLO = Slo(max_fraction_503=ASSUMED_FRACTION_503)
"""assumption: what a scenario without an `slo` is planned for."""

MOST_DOUBLINGS = 4
"""Of the most replicas searched: traffic far more bursty than Poisson needs more than the formula for it says."""

QUESTIONS = FRESH + 900 * BLOCK
"""Replicates of the questions: no choice of the search has seen them."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a plan is asked for, beside the scenario."""

    ranges: Ranges = dataclasses.field(default_factory=Ranges)
    price_per_replica_hour: float | None = None
    most_requests: int | None = None
    exhaustive_runs: int | None = None
    """Simulate every setting so often, instead of searching."""
    as_is: bool = False
    """Only the scenario's own settings."""
    criterion: Criterion = Criterion.KEPT
    kept_in: float = DEFAULT_KEPT_IN
    worlds: int = DEFAULT_WORLDS
    questions: bool = True
    scheduler: str | None = None
    cores: int | None = None


def make_plan(scenario: Scenario, wanted: Wanted) -> dict[str, Any]:
    """The document of `surgeproof plan`. Ctrl-C or the loss of all workers ends it early with what is known."""
    slo = scenario.slo or ASSUMED_SLO
    planned = dataclasses.replace(scenario, slo=slo)
    with executor_for(wanted.scheduler, wanted.cores) as executor:
        prepare_simulator()
        planning = _Planning(planned, slo, wanted, executor)
        with watching(scenario.deployment.autoscaler) as watch:
            found, robust = planning.run(watch)
            found, limit = _look_closer(found, executor)
            said = {"seconds": watch.seconds, "best_after": watch.best_after}
        document = plan_document(
            found,
            limit,
            price_per_replica_hour=wanted.price_per_replica_hour,
            slo_is_assumed=slo is ASSUMED_SLO,
        )
        document["search"] |= said | {
            "stopped_by_limit": found.stopped is Stopped.BUDGET and wanted.most_requests is not None
        }
        _add_robust(document, robust)
        if wanted.questions and found.ended_by is None:
            about = Setting.of(scenario.deployment) if wanted.as_is else None
            _ask(document, planning.mid, about, executor, wanted.price_per_replica_hour)
    if slo is ASSUMED_SLO:
        document["warnings"].append(
            f"{scenario.name}: the scenario has no slo; planned for at most {100 * ASSUMED_FRACTION_503:g} % of 503s"
        )
    return document


class _Planning:
    """The search that is asked for: of one world, or of many."""

    def __init__(self, scenario: Scenario, slo: Slo, wanted: Wanted, executor: Executor) -> None:
        self._scenario, self._slo, self._wanted, self._executor = scenario, slo, wanted, executor
        self.mid = in_world(scenario, {})
        self._most = wanted.most_requests or DEFAULT_MOST_REQUESTS

    def run(self, watch: Watch) -> tuple[Found, dict[str, Any] | None]:
        """The search, and what it says of the worlds if any input is uncertain."""
        wanted, mid = self._wanted, self.mid
        if wanted.as_is or wanted.exhaustive_runs is not None:
            own = [Setting.of(mid.deployment)]
            space = among(mid, self._slo, own) if wanted.as_is else self._space(mid)
            runs = wanted.exhaustive_runs or DEFAULT_REPLICATIONS
            return exhaustive(mid, self._slo, space, self._executor, runs, watch=watch), None
        if service_time_alone(mid, self._slo) is not None:
            found = Search(mid, self._slo, self._space(mid), self._executor, most_requests=1, watch=watch).run()
            return dataclasses.replace(found, best=None, stopped=Stopped.DECIDED, is_proved_hopeless=True), None
        if not self._scenario.uncertain:
            return self._searched(mid, watch, quick=False), None
        return self._over_worlds(watch)

    def _space(self, scenario: Scenario, room: float = ROOM) -> Space:
        return space_of(scenario, self._slo, self._wanted.ranges, room)

    def _searched(self, scenario: Scenario, watch: Watch, *, quick: bool) -> Found:
        """Where nothing can keep the promise, and nobody has said how many replicas there may be, with more of them."""
        for room in (ROOM * 2.0**doubling for doubling in range(MOST_DOUBLINGS + 1)):
            space = self._space(scenario, room)
            most = self._most
            search = Search(scenario, self._slo, space, self._executor, most_requests=most, quick=quick, watch=watch)
            found = search.run()
            if space.is_limited or not found.is_hopeless:
                break
        return found

    def _over_worlds(self, watch: Watch) -> tuple[Found, dict[str, Any] | None]:
        wanted, inputs = self._wanted, self._scenario.uncertain

        done: list[Found] = []

        def search(world: World, number: int, of: int) -> Found:
            watch.label = f"world {number} of {of}: "
            found = self._searched(in_world(self._scenario, world.positions), watch, quick=True)
            done.append(found)
            if found.ended_by is not None:
                raise found.ended_by
            return found

        try:
            planned = plan_worlds(inputs, wanted.worlds, self._scenario.seed, search)
            watch.label = "the candidates in every world: "
            found = simulate_candidates(candidates(planned), planned, self.mid, self._slo)
            chosen = choose(found, wanted.criterion, wanted.kept_in)
            said = robust_document(inputs, planned, found, chosen, wanted.criterion, wanted.kept_in)
            middle = planned[0].found
            if chosen is None:
                return dataclasses.replace(middle, best=None, stopped=Stopped.DECIDED), said
            confirmation = confirm(self.mid, self._slo, chosen.setting, self._executor, attempt=0, advance=lambda: None)
        except INTERRUPTIONS as interruption:
            if not done:
                raise
            return dataclasses.replace(done[0], stopped=Stopped.INTERRUPT, ended_by=interruption), None
        return dataclasses.replace(with_choice(middle, chosen.setting), confirmations=(confirmation,)), said


def exit_code(document: dict[str, Any]) -> int:
    """0: feasible (or no promise to keep), 1: infeasible, 3: undecided, 4: the user's limit, 130: interrupted."""
    if document["workers_lost"]:
        return WorkersLostError.exit_code
    if document["interrupted"]:
        return 130
    if document["search"]["stopped_by_limit"]:
        return StoppedByLimit.exit_code
    if document["slo"]["is_assumed"]:
        return 0
    return {"feasible": 0, "infeasible": 1}.get(document["verdict"], 3)


def write_plan(folder: Path, document: dict[str, Any], scenario: Scenario) -> None:
    """plan.json, the scenario and the report; the folder is there and empty."""
    from planner.plan_folder import PLAN
    from planner.report.plan.folder import write_page
    from planner.scenario_file.files import save_copy

    save_copy(scenario, folder)
    path = folder / PLAN
    text = json.dumps(document, indent=1, allow_nan=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    write_page(folder, document, scenario)


def _look_closer(found: Found, executor: Executor) -> tuple[Found, Binding | None]:
    """What the neighbours are worth, and which limit binds where nothing can do; an interruption ends the plan here."""
    if found.ended_by is not None:
        return found, None
    try:
        look_at_neighbours(found)
        return found, binding(found, executor) if found.is_hopeless else None
    except INTERRUPTIONS as interruption:
        return dataclasses.replace(found, stopped=Stopped.INTERRUPT, ended_by=interruption), None


def _add_robust(document: dict[str, Any], robust: dict[str, Any] | None) -> None:
    if robust is None:
        return
    document["robust"] = robust
    document["reasons"] = [robust["sentence"], *document["reasons"]]
    if document["recommended"] is None:
        document["verdict"] = "infeasible"


def _ask(
    document: dict[str, Any], scenario: Scenario, about: Setting | None, executor: Executor, price: float | None
) -> None:
    """The published rule and the questions about a setting, else about the recommended one if there is one.

    An interruption keeps what is answered.
    """
    try:
        with _asking(scenario) as advance:
            document["published_rule"] = published_rule(
                scenario, executor, DEFAULT_REPLICATIONS, price, advance=advance, first=QUESTIONS
            )
            if about is None and document["recommended"] is not None:
                about = recommended_setting(document["recommended"])
            if about is not None:
                document["questions"] = {}
                answer_questions(
                    scenario,
                    about.applied_to(scenario.deployment),
                    executor,
                    scale=scaled_trace,
                    advance=advance,
                    first=QUESTIONS,
                    answers=document["questions"],
                )
    except INTERRUPTIONS as interruption:
        document["interrupted"] = True
        document["workers_lost"] = str(interruption) if isinstance(interruption, WorkersLostError) else None


@contextmanager
def _asking(scenario: Scenario) -> Iterator[Callable[[str], None]]:
    with progress(f"questions about {scenario.name}", None) as advance:
        yield lambda label: advance(label)


def recommended_setting(entry: dict[str, Any]) -> Setting:
    return Setting(
        entry["autoscale_min_replicas"],
        entry["autoscale_max_replicas"],
        entry["autoscale_target_utilization"],
        entry["replica_max_concurrent_requests"],
        entry["worker_count"],
    )
