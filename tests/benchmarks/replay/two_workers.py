"""Two workers: that they send as one, and that the books still balance when one of them is killed."""

from __future__ import annotations

import os
import signal
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loadtest.replay.books import label
from loadtest.selftest.cpu import descendants
from loadtest.selftest.measure import Replayed, poisson_scenario, replay_against_stub
from planner.model import NEVER_SENT, SENT
from tests.benchmarks.__main__ import Goals
from tests.benchmarks.table import print_table

if TYPE_CHECKING:
    from loadtest.replay.progress import Progress

RATE_RPS = 3000
WORKERS = 2
WORKER_COMMAND = "loadtest.replay.worker work"


@dataclass(frozen=True)
class Pair:
    """One round: a run with both workers to its end, and one in which one of them was killed."""

    whole: Replayed
    broken: Replayed


class Killer:
    """`kill -9` of one worker in the middle of a run."""

    def __init__(self) -> None:
        self.killed: int | None = None

    def __call__(self, progress: Progress) -> None:
        if self.killed is None and progress.elapsed_s > progress.duration_s / 2:
            workers = sorted(pid for pid, command in descendants(os.getpid()).items() if WORKER_COMMAND in command)
            if len(workers) != WORKERS:
                raise RuntimeError(f"{len(workers)} worker processes are running, not {WORKERS}")
            self.killed = workers[-1]
            os.kill(self.killed, signal.SIGKILL)


def section(rounds: int, quick: bool, folder: Path, goals: Goals) -> None:
    seconds = 4.0 if quick else 10.0
    pairs = [one_round(seconds, seed=61 + number, folder=folder) for number in range(rounds)]
    print(f"### Two workers, {RATE_RPS:,} requests per second together, {seconds:g} s\n")
    head = ("run", "planned", "sent", "unaccounted", "unresolved", "skew of the workers, ms", "run is", "exit code")
    print_table(
        head,
        [cells("both workers", one.whole) for one in pairs]
        + [cells("`kill -9` of one in the middle", one.broken) for one in pairs],
    )
    judge(pairs, goals)


def one_round(seconds: float, *, seed: int, folder: Path) -> Pair:
    scenario = poisson_scenario(folder, RATE_RPS, seconds, seed=seed)
    killer = Killer()
    whole = replay_against_stub(scenario, folder, processes=WORKERS)
    broken = replay_against_stub(scenario, folder, processes=WORKERS, on_progress=killer)
    if killer.killed is None:
        raise RuntimeError("the run ended before a worker could be killed")
    return Pair(whole, broken)


def judge(pairs: list[Pair], goals: Goals) -> None:
    title = f"two workers, {RATE_RPS:,} per second"
    goals.at_most(f"{title}: unaccounted, in the worst round", max(books(p.whole)["unaccounted"] for p in pairs), 0)
    goals.at_most(f"{title}: skew between the workers, ms", 1e3 * statistics.median(skew_s(p.whole) for p in pairs), 2)
    wrong = sum(not balances(run) for p in pairs for run in (p.whole, p.broken))
    goals.at_most(f"{title}, one killed or none: runs whose books do not balance", wrong, 0)
    lost = min(books(p.broken)["unaccounted"] / books(p.broken)["planned"] for p in pairs)
    goals.at_least(f"{title}, one killed: unaccounted, % of the planned, in the worst round", 100 * lost, 1)
    passed = sum(p.broken.result.document["generator"]["valid"] or p.broken.result.exit_code != 3 for p in pairs)
    goals.at_most(f"{title}, one killed: runs that are not invalid with exit code 3", passed, 0)


def books(run: Replayed) -> dict[str, Any]:
    found: dict[str, Any] = run.result.document["books"]
    return found


def balances(run: Replayed) -> bool:
    """Both identities of the books, and that the requests they call sent are those that the server saw.

    Of a worker that was killed up to a second of records is lost: the server may have seen more.
    """
    totals = books(run)
    sent: int = sum(totals[label(outcome)] for outcome in SENT)
    planned = totals["sent"] + sum(totals[label(outcome)] for outcome in NEVER_SENT)
    seen = int(np.isfinite(run.arrived_s).sum())
    return (sent, planned) == (totals["sent"], totals["planned"]) and seen >= sent - int(totals["unresolved"])


def skew_s(run: Replayed) -> float:
    """Between the median arrival errors of the workers; worker k has the rows k, k + n, …"""
    medians = [np.nanmedian(run.arrival_error_s[worker::WORKERS]) for worker in range(WORKERS)]
    return float(max(medians) - min(medians))


def cells(name: str, run: Replayed) -> tuple[str, ...]:
    totals = books(run)
    return (
        name,
        *(f"{totals[key]:,}" for key in ("planned", "sent", "unaccounted", "unresolved")),
        f"{1e3 * skew_s(run):.2f}",
        "valid" if run.result.document["generator"]["valid"] else "invalid",
        str(run.result.exit_code),
    )
