"""How a replay ended: a word, a sentence, an exit code, and the documents that `validate` and `report` read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loadtest.replay.books import balance
from loadtest.replay.endpoint import KEY_VARIABLE
from loadtest.replay.merge import Observed
from loadtest.replay.segment import EndReason
from loadtest.replay.statistics import generator, observed
from loadtest.replay.tripwire import LOST_AFTER_ERRORS
from loadtest.schedule import Schedule
from planner.scenario import Scenario

EXIT_DONE, EXIT_NO_VERDICT, EXIT_LIMIT, EXIT_INTERRUPTED = 0, 3, 4, 130


@dataclass(frozen=True, kw_only=True)
class Ending:
    """word: complete, interrupted, max_requests, unauthorized, endpoint_lost, log_unwritable, stopped, worker_lost."""

    word: str
    message: str | None
    exit_code: int
    documents: dict[str, Any]
    warnings: list[str]


def conclude(scenario: Scenario, schedule: Schedule, seen: Observed, *, interrupted: bool) -> Ending:
    """Balance the books, compute what was observed, and say how the run ended."""
    documents = {
        "books": balance(schedule, seen.log),
        "observed": observed(seen, warm_up_s=scenario.warm_up_s, duration_s=scenario.duration_s),
        "generator": generator(seen.log),
    }
    sent, planned = documents["books"]["sent"], documents["books"]["planned"]
    word, message, exit_code = _ending(seen.ended, interrupted=interrupted, sent=sent, planned=planned)
    if exit_code == EXIT_DONE and not documents["generator"]["valid"]:
        exit_code = EXIT_NO_VERDICT
        message = "The generator did not keep to the plan, so this run supports no verdict. " + " ".join(
            documents["generator"]["problems"]
        )
    elif exit_code == EXIT_DONE and documents["observed"]["answers_known_to_the_model"] == 0:
        exit_code = EXIT_NO_VERDICT
        problems = documents["observed"]["problems"] or ["No request that counts has an answer."]
        message = "This run observed nothing. " + " ".join(problems)
    warnings = documents["observed"]["problems"] if exit_code == EXIT_DONE else []
    return Ending(word=word, message=message, exit_code=exit_code, documents=documents, warnings=warnings)


def _ending(ended: EndReason | None, *, interrupted: bool, sent: int, planned: int) -> tuple[str, str | None, int]:
    so_far = f"{sent} of {planned} requests were sent; what was measured is kept."
    if interrupted:
        return "interrupted", f"Stopped by Ctrl-C. {so_far}", EXIT_INTERRUPTED
    if ended is None:
        return "worker_lost", f"The replay worker was killed or crashed during the run. {so_far}", EXIT_NO_VERDICT
    message, exit_code = {
        EndReason.COMPLETE: (None, EXIT_DONE),
        EndReason.MAX_REQUESTS: (f"Stopped by --max-requests. {so_far}", EXIT_LIMIT),
        EndReason.UNAUTHORIZED: (
            f"The endpoint refuses the key (401 or 403): set {KEY_VARIABLE} to a valid one. {so_far}",
            EXIT_NO_VERDICT,
        ),
        EndReason.ENDPOINT_LOST: (
            f"The endpoint was lost: {LOST_AFTER_ERRORS} or more connection errors in a row. {so_far}",
            EXIT_NO_VERDICT,
        ),
        EndReason.LOG_UNWRITABLE: (
            f"The records of the run could not be written (disk full?). {so_far}",
            EXIT_NO_VERDICT,
        ),
        EndReason.STOPPED: (f"The replay worker was told to stop. {so_far}", EXIT_NO_VERDICT),
    }[ended]
    return ended.name.lower(), message, exit_code
