"""How a replay ended: a word, a sentence, an exit code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadtest.replay.merge import Observed, WorkerNote
from loadtest.replay.segment import EndReason, Note
from loadtest.replay.settings import ReplaySettings
from loadtest.replay.statistics import kinds_of, said
from loadtest.replay.tripwire import LOST_AFTER_ERRORS
from planner.model import Outcome
from planner.percent import percent

EXIT_DONE, EXIT_NO_VERDICT, EXIT_LIMIT, EXIT_INTERRUPTED = 0, 3, 4, 130


@dataclass(frozen=True, kw_only=True)
class Ending:
    """word: complete, interrupted, or the name of an `EndReason` in small letters, or worker_lost."""

    word: str
    message: str | None
    exit_code: int


def ending(seen: Observed, settings: ReplaySettings, problems: dict[int, str], *, interrupted: bool) -> Ending:
    """How the run ended. problems: what workers say that ended the run."""
    so_far = (
        f"{int(np.isfinite(seen.log.sent_s).sum())} of {len(seen.log)} requests were sent; what was measured is kept."
    )
    if interrupted:
        return Ending(word="interrupted", message=f"Stopped by Ctrl-C. {so_far}", exit_code=EXIT_INTERRUPTED)
    reason = seen.ended
    if reason is None:
        lost = [str(k) for k, end in seen.ends.items() if end is None]
        who = "The replay worker was" if len(seen.ends) == 1 else f"Replay worker {', '.join(lost)} was"
        message = f"{who} killed, crashed or lost during the run. {so_far}"
        return Ending(word="worker_lost", message=message, exit_code=EXIT_NO_VERDICT)
    if reason is EndReason.COMPLETE:
        return Ending(word="complete", message=None, exit_code=EXIT_DONE)
    by_user = reason is EndReason.MAX_REQUESTS or (reason is EndReason.ERROR_RATE and not settings.errors.is_default)
    return Ending(
        word=reason.name.lower(),
        message=f"{_why(reason, seen, settings, problems)} {so_far}",
        exit_code=EXIT_LIMIT if by_user else EXIT_NO_VERDICT,
    )


def _why(reason: EndReason, seen: Observed, settings: ReplaySettings, problems: dict[int, str]) -> str:
    if reason is EndReason.MAX_REQUESTS:
        return "Stopped by --max-requests."
    if reason is EndReason.UNAUTHORIZED:
        kinds = said(kinds_of(seen, _refused(seen)))
        return f"Stopped at the first refusal ({kinds}): {next(iter(problems.values()), 'a key or token is needed')}."
    if reason is EndReason.ENDPOINT_LOST:
        errors = seen.log.outcome == Outcome.CONNECTION_ERROR
        return (
            f"The endpoint was lost: {LOST_AFTER_ERRORS} or more connection errors in a row "
            f"(in all {said(kinds_of(seen, errors))})."
        )
    if reason is EndReason.ERROR_RATE:
        return _too_many_errors(seen, settings)
    if reason is EndReason.LOG_UNWRITABLE:
        what = next(iter(problems.values()), "disk full?")
        return f"The records of the run could not be written ({what})."
    if reason is EndReason.CRASHED:
        return f"A replay worker could not go on ({next(iter(problems.values()), 'its log says more')})."
    return "The replay was told to stop, or its leading process was killed."


def _refused(seen: Observed) -> npt.NDArray[np.bool_]:
    return np.isin(seen.status, (401, 403))


def _too_many_errors(seen: Observed, settings: ReplaySettings) -> str:
    """The last window of answers, as a worker judged it."""
    limit = settings.errors
    last_s = np.nanmax(seen.log.finish_s)
    window = seen.log.finish_s >= last_s - limit.window_s
    fine = (Outcome.OK,) if limit.count_503s else (Outcome.OK, Outcome.STATUS_503)
    errors = window & ~np.isin(seen.log.outcome, fine)
    not_counted = "" if limit.count_503s else "; 503s are not counted"
    kinds = said(kinds_of(seen, errors))
    return (
        f"Stopped because of errors: {int(errors.sum())} of the {int(window.sum())} answers of the last "
        f"{limit.window_s:g} s ({kinds}{not_counted}; the limit is {percent(limit.max_fraction)})."
    )


def note_sentence(note: WorkerNote) -> str:
    """What a worker noticed about its own machine."""
    where = f"worker {note.worker}"
    if note.note is Note.CLOCK_STEP:
        way = "forward" if note.amount_s > 0 else "back"
        return (
            f"{where}: the wall clock was set {way} by {abs(note.amount_s):.3g} s at {note.at_s:.1f} s. "
            "Send times and latencies rest on the monotonic clock, which that does not move."
        )
    return (
        f"{where} stood still for {note.amount_s:.2g} s at {note.at_s:.1f} s: its machine was "
        "suspended or had no processor time for it."
    )
