"""What a replay observed, and whether its generator kept up: pure functions of the merged log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtest.replay.books import label
from loadtest.replay.merge import Observed
from loadtest.replay.segment import Broken
from planner.causes import cause_counts
from planner.model import ENDED, NEVER_SENT, SENT, FloatArray, IntArray, Outcome, RequestLog
from planner.percent import percent
from planner.run_promise import RunFailures

LATE_S = 0.050
"""A request that leaves this much after its time is late."""

MIN_ACHIEVED_FRACTION = 0.99
MAX_LATE_FRACTION = 0.01
MAX_SEND_ERROR_P99_S = 0.050

KNOWN_TO_THE_MODEL = (Outcome.OK, Outcome.STATUS_503, Outcome.STATUS_504)
MAX_FOREIGN_FRACTION = 0.01
"""Of the answered requests: with more that ended in a way the model does not know, its prediction is not on trial."""

_FOREIGN = tuple(outcome for outcome in ENDED if outcome not in KNOWN_TO_THE_MODEL)


def observed(run: Observed, *, warm_up_s: float, duration_s: float) -> dict[str, Any]:
    """Counts, fractions and both latencies over the requests scheduled in [warm_up_s, duration_s).

    A fraction is of those that ended (sent - in flight at stop - unresolved), null where that is 0. fraction_failed
    counts all but good 200 answers. Latencies are of 200 answers.
    """
    log = run.log
    window = (log.scheduled_s >= warm_up_s) & (log.scheduled_s < duration_s)
    outcome = log.outcome[window]
    counts = np.bincount(outcome, minlength=len(Outcome))
    answered = int(sum(counts[o] for o in ENDED))
    failures = RunFailures.of(log, window)
    known = int(sum(counts[o] for o in KNOWN_TO_THE_MODEL))
    ok = window & (log.outcome == Outcome.OK)
    service = log.service_time_s[ok]
    service = service[np.isfinite(service)]
    return {
        "requests": int(window.sum()),
        "sent": int(sum(counts[o] for o in SENT)),
        "fraction_503": failures.fraction(failures.n_503),
        "fraction_504": failures.fraction(failures.n_504),
        "fraction_failed": failures.fraction(failures.n_failed),
        "answers_known_to_the_model": known,
        "problems": _foreign_answers(run, window, answered),
        "counts": {label(o): int(counts[o]) for o in Outcome},
        "causes_503": cause_counts(log.cause[window & (log.outcome == Outcome.STATUS_503)]),
        "flagged_503": int(np.sum(window & (run.flagged > 0) & (log.outcome == Outcome.STATUS_503))),
        "flagged_connection_errors": int(
            np.sum(window & (run.flagged > 0) & (log.outcome == Outcome.CONNECTION_ERROR))
        ),
        "latency_from_send_s": _quantiles(log.finish_s[ok] - log.sent_s[ok]),
        "latency_from_schedule_s": _quantiles(log.finish_s[ok] - log.scheduled_s[ok]),
        "service_time_mean_s": float(service.mean()) if len(service) else None,
        "planned_service_time_mean_s": float(run.planned_service_time_s[ok].mean()) if ok.any() else None,
    }


def _foreign_answers(run: Observed, window: npt.NDArray[np.bool_], answered: int) -> list[str]:
    """Why what was observed is not what the model predicts; nothing where nearly every answer was 200, 503 or 504."""
    is_foreign = window & np.isin(run.log.outcome, _FOREIGN)
    foreign = int(is_foreign.sum())
    if foreign <= MAX_FOREIGN_FRACTION * answered:
        return []
    kinds = kinds_of(run, is_foreign)
    seen = said(kinds)
    hint = "" if kinds.most_common(1)[0][0] != "HTTP 404" else " Is the path of the URL right?"
    return [
        f"{foreign} of {answered} requests ({percent(foreign / answered)}) ended in another way than 200, 503 or 504 "
        f"({seen}); at most {percent(MAX_FOREIGN_FRACTION)} may, since the model does not know them.{hint}"
    ]


def kinds_of(run: Observed, which: npt.NDArray[Any]) -> Counter[str]:
    """How requests ended, in words a person knows: HTTP 500, connection refused, timeout."""
    outcomes, statuses = run.log.outcome[which].tolist(), run.status[which].tolist()
    return Counter(_kind(Outcome(outcome), status) for outcome, status in zip(outcomes, statuses, strict=True))


def said(kinds: Counter[str]) -> str:
    return ", ".join(f"{n} x {kind}" for kind, n in kinds.most_common(4))


def _kind(outcome: Outcome, status: int) -> str:
    if status < 0:
        return Broken(-status).words
    if outcome is Outcome.BAD_RESPONSE:
        return f"HTTP {status} with a bad body" if status else "an answer that is not HTTP"
    return f"HTTP {status}" if status else label(outcome).replace("_", " ")


def generator(
    log: RequestLog, worker: IntArray | None = None, about: Mapping[int, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """How well the plan was kept, over the whole run, and `valid` with the `problems` that make it false.

    worker: whose share each request is; about: what is known of each worker beside its requests.
    """
    counts = np.bincount(log.outcome, minlength=len(Outcome))
    error_s = send_errors(log)
    late = int(np.sum(error_s > LATE_S))
    document: dict[str, Any] = {
        "planned": len(log),
        "sent": len(error_s),
        "send_error_p50_s": quantile(error_s, 0.50),
        "send_error_p99_s": quantile(error_s, 0.99),
        "send_error_max_s": float(error_s.max()) if len(error_s) else None,
        "late_fraction": late / len(error_s) if len(error_s) else None,
        "achieved_fraction": len(error_s) / len(log) if len(log) else None,
        "max_in_flight": max_in_flight(log),
    }
    problems = _problems(counts, error_s, late, len(log))
    workers = [_of_worker(log, worker, k, dict(known)) for k, known in sorted((about or {}).items())]
    return document | {"valid": not problems, "problems": problems, "workers": workers}


def _of_worker(log: RequestLog, worker: IntArray | None, k: int, known: dict[str, Any]) -> dict[str, Any]:
    mine = np.ones(len(log), dtype=bool) if worker is None else worker == k
    error_s = (log.sent_s - log.scheduled_s)[mine]
    error_s = error_s[np.isfinite(error_s)]
    return known | {
        "planned": int(mine.sum()),
        "sent": len(error_s),
        "send_error_p50_s": quantile(error_s, 0.50),
        "send_error_p99_s": quantile(error_s, 0.99),
    }


def _problems(counts: IntArray, error_s: FloatArray, late: int, planned: int) -> list[str]:
    sent = len(error_s)
    if sent == 0:
        return [f"No request was sent ({planned} were planned)."]
    problems = []
    if sent < MIN_ACHIEVED_FRACTION * planned:
        why = ", ".join(f"{counts[o]} {label(o).replace('_', ' ')}" for o in NEVER_SENT if counts[o])
        problems.append(
            f"Only {sent} of {planned} planned requests were sent ({percent(sent / planned)}; {why}), "
            f"at least {percent(MIN_ACHIEVED_FRACTION)} are needed."
        )
    if late > MAX_LATE_FRACTION * sent:
        problems.append(
            f"{late} of {sent} requests ({percent(late / sent)}) left more than {LATE_S * 1e3:.0f} ms late, "
            f"at most {percent(MAX_LATE_FRACTION)} may."
        )
    p99_s = quantile(error_s, 0.99)
    if p99_s is not None and p99_s > MAX_SEND_ERROR_P99_S:
        problems.append(
            f"One request in a hundred left {p99_s * 1e3:.0f} ms or more after its time, "
            f"at most {MAX_SEND_ERROR_P99_S * 1e3:.0f} ms are allowed."
        )
    if n := counts[Outcome.UNACCOUNTED]:
        problems.append(f"{n} of {planned} planned requests are unaccounted for: their worker ended without a word.")
    if n := counts[Outcome.DROPPED_MAX_INFLIGHT]:
        problems.append(f"{n} requests were dropped because the limit of requests in flight was reached.")
    return problems


def send_errors(log: RequestLog) -> FloatArray:
    """Send minus scheduled time of every request that was sent, seconds."""
    error = log.sent_s - log.scheduled_s
    return error[np.isfinite(error)]


def max_in_flight(log: RequestLog) -> int:
    """The largest number of requests that were out at one time; without a known end a request stays out."""
    sent = np.sort(log.sent_s[np.isfinite(log.sent_s)])
    ends = np.sort(log.finish_s[np.isfinite(log.sent_s) & np.isfinite(log.finish_s)])
    out = np.arange(1, len(sent) + 1) - np.searchsorted(ends, sent, side="right")
    return int(out.max(initial=0))


def quantile(values: FloatArray, q: float) -> float | None:
    """The smallest value that at least q n values do not exceed; None where there is none."""
    return float(np.quantile(values, q, method="inverted_cdf")) if len(values) else None


def _quantiles(values: FloatArray) -> dict[str, float | None]:
    return {
        "p50": quantile(values, 0.50),
        "p90": quantile(values, 0.90),
        "p99": quantile(values, 0.99),
        "max": float(values.max()) if len(values) else None,
    }
