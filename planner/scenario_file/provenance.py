"""Where the times of a played trace come from, and how they were made, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.service import FromTrace, ServiceTime
from planner.traces.choosing import Wanted
from planner.traces.playing import JITTER_S, Trace
from planner.traces.rate_trace import RateTrace


def made(whole: Trace, played: Trace, from_s: float, end_s: float, chosen: Any, seed: int) -> str:
    """One sentence: 612 requests of access.log from 12:00:00 for 600 s, whole-second stamps spread ... by seed 7."""
    length_s = end_s / chosen.time_scale
    where = f"from second {from_s:.9g}" if whole.clock is None else f"from {whole.clock.shown(from_s)}"
    wanted = Wanted(paths=chosen.path, methods=chosen.method, statuses=chosen.status).phrase
    of = f" {wanted}" if wanted else ""
    parts = [f"{len(played):,} requests{of} of {whole.source} {where} for {length_s:.9g} s"]
    parts += ["each at its stamp less its duration"] if whole.lead_s is not None else []
    parts += [text for text in (_spreading(whole, played, chosen, seed),) if text]
    parts += [text for text in (_scaling(whole, chosen, seed),) if text]
    if chosen.time_scale != 1:
        parts.append(f"played in {chosen.time_scale:g} times the time")
    return ", ".join(parts)


def _scaling(whole: Trace, chosen: Any, seed: int) -> str:
    if chosen.rate_scale < 1:
        return f"each kept with probability {chosen.rate_scale:g} by seed {seed}"
    if chosen.rate_scale > 1:
        how = f"jittered by at most {JITTER_S:g} s" if whole.counts is None else "spread as the others"
        return f"{chosen.rate_scale:g} times as many by copies {how} by seed {seed}"
    return ""


def by_seed(whole: Trace, chosen: Any, seed: int) -> str:
    """What of the requests the seed chooses, the same in every run: another seed has others. Empty if nothing."""
    is_choice_free = whole.counts is not None and chosen.rate_scale >= 1 and float(chosen.rate_scale).is_integer()
    return "" if is_choice_free else _scaling(whole, chosen, seed)


def spreading_warning(whole: Trace, played: Trace, chosen: Any) -> str | None:
    """What is to be said of a trace whose stamps do not say when in their second or bin a request came."""
    if whole.counts is not None:
        found = " (the smallest distance of two stamps; `bin` sets it)" if whole.is_derived else ""
        how = "at regular distances" if chosen.spread == "even" else "uniformly"
        spread = f"played spread {how} inside their bin{_anew(played)}"
        return f"{chosen.file} has counts per {whole.bin_s:g} s{found}, {spread}"
    if not whole.has_cut_stamps:
        return None
    how = "spread inside their second" if played.spread else "all at the start of their second"
    even = " at regular distances" if played.spread and chosen.spread == "even" else ""
    return f"{chosen.file} has stamps of whole seconds, played {how}{even}{_anew(played)}"


def choice_warning(whole: Trace, chosen: Any, seed: int) -> str | None:
    """What is to be said of requests that the seed chooses once for all runs."""
    if not (choice := by_seed(whole, chosen, seed)):
        return None
    return f"{chosen.file}: {choice}, the same in every run: no interval holds what another seed would choose"


def _anew(played: Trace) -> str:
    return "" if played.low_s is None else ", anew in each run"


def service_warnings(played: Trace, chosen: Any, duration_s: float, service_time: ServiceTime) -> tuple[str, ...]:
    """What stamps and durations of a log mean for the service times that a scenario plays it with."""
    said = [_late_stamps(played, duration_s / len(played), service_time)]
    if isinstance(service_time, FromTrace) and service_time.source == "trace":
        said += [_waiting(played), _unstated(played)]
    return tuple(f"{chosen.file}: {text}" for text in said if text)


def _late_stamps(played: Trace, gap_s: float, service_time: ServiceTime) -> str:
    """What stamps at the end of requests of unknown duration do to the arrivals, where service is long."""
    if not played.has_late_stamps or service_time.mean_s < gap_s:
        return ""
    mean_s = service_time.mean_s
    return (
        f"its stamps may name the end of a request (as of nginx and gunicorn), and no duration is read, so that each "
        f"stamp is played as an arrival. With this service time those come too late by {mean_s:.3g} s on average, "
        f"with a standard deviation of {mean_s * service_time.cv:.3g} s, against {gap_s:.3g} s between "
        "requests: bursts are flattened, and 503s may be far too few. Log the duration ($request_time), or give "
        "`stamps: start` if the stamps name arrivals"
    )


def _waiting(played: Trace) -> str:
    """What service times that were measured from outside may hold."""
    if not played.service_time_of:
        return ""
    return (
        f"the service times are {played.service_time_of}. Where requests waited behind that point, their wait is in "
        "it, and the simulation lets them wait once more: take them from a quiet time"
    )


def _unstated(played: Trace) -> str:
    silent = 0 if played.service_time_s is None else int(np.isnan(played.service_time_s).sum())
    if not silent:
        return ""
    return (
        f"{silent:,} of {len(played):,} requests state no service time; each has that of the last request before it "
        "that states one"
    )


def rates_made(whole: RateTrace, from_s: float, chosen: Any) -> str:
    """rates.csv from 2026-11-22 10:00:00+00:00, 2 times the rate, in 0.5 times the time"""
    where = f"from second {from_s:.9g}" if whole.clock is None else f"from {whole.clock.shown(from_s)}"
    parts = [f"{whole.source} {where}"]
    if chosen.rate_scale != 1:
        parts.append(f"{chosen.rate_scale:g} times the rate")
    if chosen.time_scale != 1:
        parts.append(f"in {chosen.time_scale:g} times the time")
    return ", ".join(parts)


def rates_warning(whole: RateTrace, chosen: Any) -> str:
    """What is assumed where a file says how many requests came on average, not when."""
    name = chosen.arrivals if isinstance(chosen.arrivals, str) else "poisson"
    how = f"gamma with CV {chosen.arrivals.gamma.cv:g}" if hasattr(chosen.arrivals, "gamma") else name.capitalize()
    kind = f"played as {how} arrivals within each step (`arrivals` sets it)"
    return f"{chosen.file} has rates per {whole.step_s:g} s, {kind}: bursts shorter than a step are not in it"


def noted(whole: Trace | RateTrace, chosen: Any) -> tuple[str, ...]:
    """What the reading of the file has to say."""
    return tuple(f"{chosen.file}: {note}" for note in whole.notes)


def _spreading(whole: Trace, played: Trace, chosen: Any, seed: int) -> str:
    if not whole.has_cut_stamps:
        return ""
    how = "at regular distances" if chosen.spread == "even" else f"uniformly by seed {seed}"
    if whole.counts is not None:
        found = ", as wide as the smallest distance of two stamps" if whole.is_derived else ""
        return f"counts spread inside their bin of {whole.bin_s:g} s{found}, {how}"
    return f"whole-second stamps spread inside their second, {how}" if played.spread else "whole-second stamps kept"
