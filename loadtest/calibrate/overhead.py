"""The router's overhead: the time that a request holds its slot beside the work."""

from __future__ import annotations

import dataclasses
import ipaddress
import math
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from loadtest.calibrate.evidence import CLOCK, Evidence
from loadtest.calibrate.finding import Finding, Part, unknown
from loadtest.validate.carried import OVERHEAD
from loadtest.validate.observed import FEWEST_OVERHEADS
from loadtest.validate.pods import overheads
from loadtest.validate.resampling import Interval, median, quantile
from loadtest.validate.slots import SlotGaps, header_step_s, slot_gaps
from planner.model import FloatArray
from planner.scenario_file.retiming import duration_text

RESOLUTION_S = 0.001
"""Of an overhead that rests on the client's timers: less is their own."""

LOW_QUANTILE = 0.25
"""Of the answers of a quiet time: a late timer, a new connection or a busy neighbour makes an answer longer, never
shorter."""

FEWEST_QUIET = 13
"""Quiet answers from which the smallest is below the true lower quartile with a chance of 97.5 %."""

DISPATCHED = "dispatch to answer, less the time in the worker"
QUIET = "send to answer of quiet answers, less the time in the worker"
FREED = "the answer that freed a slot to the next answer from it, less the time in the worker"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The overhead in seconds with its interval. resolution_s: how near a value is kept though it lies outside."""

    seen: Interval
    n: int
    source: str
    why: str
    resolution_s: float = 0.0


def router_overhead(evidence: Evidence) -> Part:
    """From dispatch times where the front end tells them, else from answers to requests that had waited, else from
    answers of a quiet time."""
    before_s = evidence.scenario.deployment.router_overhead_s
    if CLOCK in evidence.unfit:
        return _kept(unknown(OVERHEAD, before_s, "s", "latencies", evidence.unfit[CLOCK]))
    found = _from_dispatches(evidence) if np.isfinite(evidence.log.start_s).any() else _from_answers(evidence)
    if isinstance(found, Finding):
        return _kept(found)
    seen = found.seen
    is_kept = seen.holds(before_s) or abs(seen.value - before_s) <= found.resolution_s
    after_s = before_s if is_kept else round(seen.value, 6)
    near = "" if seen.holds(before_s) or not is_kept else f" Kept: it is within {found.resolution_s * 1e3:g} ms."
    finding = Finding(
        setting=OVERHEAD,
        before=before_s,
        after=after_s,
        low=seen.low,
        high=seen.high,
        unit="s",
        identified=True,
        n=found.n,
        measured_from=found.source,
        why=f"{found.why}{near}",
    )
    if is_kept:
        return _kept(finding)
    return Part(
        name="router_overhead",
        findings=(finding,),
        overrides={OVERHEAD: duration_text(after_s)},
        apply=lambda s: dataclasses.replace(s, deployment=dataclasses.replace(s.deployment, router_overhead_s=after_s)),
    )


def quiet_overheads(evidence: Evidence) -> tuple[FloatArray, str]:
    """Send to answer less the time in the worker, of answers that found a free replica; and why they did, a clause."""
    log = evidence.log
    alone, why = _found_a_free_replica(evidence)
    return (log.finish_s - log.sent_s - log.service_time_s)[evidence.answered & alone], why


def _from_dispatches(evidence: Evidence) -> Measured | Finding:
    values = overheads(evidence.log, evidence.scenario.deployment.max_concurrent_requests)
    if len(values) < FEWEST_OVERHEADS:
        return _too_few(evidence, values, FEWEST_OVERHEADS, DISPATCHED)
    why = "No other request was in their replica. Their median: a late timer of the client moves a mean, but not this."
    seen = median(np.maximum(values, 0.0))
    return Measured(seen=seen, n=len(values), source=DISPATCHED, why=why, resolution_s=RESOLUTION_S)


def _from_answers(evidence: Evidence) -> Measured | Finding:
    gaps = slot_gaps(evidence.log)
    values, alone = quiet_overheads(evidence)
    if gaps.told:
        return _from_freed_slots(gaps, values)
    if len(values) < FEWEST_QUIET:
        finding = _too_few(evidence, values, FEWEST_QUIET, QUIET)
        return dataclasses.replace(finding, why=f"{finding.why} {_sentence(gaps.why)}")
    step_s = header_step_s(evidence.log.service_time_s[evidence.answered])
    seen = _quiet(values, step_s)
    why = f"{alone} Their lower quartile. The network, HTTP parsing, the front end and the server are part of it."
    if not _is_loopback(str(evidence.seen.summary.get("url") or "")):
        seen = dataclasses.replace(seen, low=0.0)
        why += " The network holds no slot, and answers do not tell its share: the interval begins at 0."
    why += f" Busy answers do not tell it: {gaps.why}."
    return Measured(seen=seen, n=len(values), source=QUIET, why=why + _steps(step_s), resolution_s=RESOLUTION_S)


def _from_freed_slots(gaps: SlotGaps, quiet: FloatArray) -> Measured:
    """The mean, which is what a slot loses; the interval reaches from a minute without noise to one with twice as much
    as this run had."""
    low_s, high_s = gaps.interval_s
    undisturbed_s = max(0.0, float(np.quantile(gaps.values_s, LOW_QUANTILE)))
    noise_s = max(0.0, gaps.mean_s - undisturbed_s)
    seen = Interval(
        value=gaps.mean_s,
        low=max(0.0, min(low_s, undisturbed_s - gaps.step_s)),
        high=max(high_s + noise_s, gaps.mean_s),
    )
    why = (
        f"{_sentence(gaps.why)} It is what dispatch, front end, HTTP and server take from a slot; the client's network "
        f"cancels out. The mean of this run is known to {_ms(low_s)} to {_ms(high_s)} ms. The interval reaches from a "
        f"minute without noise (lower quartile {_ms(undisturbed_s)} ms) to one with twice the noise of this run."
    )
    if len(quiet) >= FEWEST_QUIET:
        found = _quiet(quiet, gaps.step_s)
        why += (
            f" {len(quiet)} quiet answers took {_ms(found.value)} ms ({_ms(found.low)} to {_ms(found.high)} ms) beside "
            "the work, network included."
        )
    return Measured(seen=seen, n=len(gaps.values_s), source=FREED, why=why + _steps(gaps.step_s))


def _quiet(values: FloatArray, step_s: float) -> Interval:
    """The lower quartile; from its lower bound to the median's upper bound, a step of the header wider."""
    quartile, middle = quantile(values, LOW_QUANTILE), median(values)
    return Interval(
        value=max(0.0, quartile.value),
        low=max(0.0, quartile.low - step_s),
        high=max(0.0, middle.high + step_s),
    )


def _found_a_free_replica(evidence: Evidence) -> tuple[npt.NDArray[np.bool_], str]:
    """Requests that were sent while fewer others were out than replicas ready: nobody can have waited."""
    log, replicas = evidence.log, evidence.replicas
    sent = np.sort(log.sent_s[np.isfinite(log.sent_s)])
    ends = np.sort(np.where(np.isfinite(log.finish_s), log.finish_s, math.inf)[np.isfinite(log.sent_s)])
    out = np.searchsorted(sent, log.sent_s, side="left") - np.searchsorted(ends, log.sent_s, side="right")
    if replicas is None:
        return out == 0, "No other request was out."
    row = np.maximum(np.searchsorted(replicas.time_s, log.sent_s, side="right") - 1, 0)
    ready = np.minimum(replicas.ready[row], replicas.ready[np.minimum(row + 1, len(replicas) - 1)])
    return out < ready, "Fewer others were out than replicas ready."


def _too_few(evidence: Evidence, values: FloatArray, fewest: int, source: str) -> Finding:
    why = f"{len(values)} answers neither queued nor waited in a pod, an interval needs {fewest}."
    return unknown(OVERHEAD, evidence.scenario.deployment.router_overhead_s, "s", source, why, len(values))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _steps(step_s: float) -> str:
    return f" The header counts in steps of {step_s * 1e3:g} ms: the interval is one wider on either side." * (
        step_s > 0
    )


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2g}"


def _kept(finding: Finding) -> Part:
    return Part(name="router_overhead", findings=(finding,))
