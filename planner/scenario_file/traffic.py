"""Arrivals and duration of a scenario file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from planner.arrivals import ArrivalProcess, MarkovModulatedPoisson, Places, Recorded, Renewal
from planner.clock import ClockTime
from planner.errors import InputError
from planner.model import FloatArray
from planner.rates import RateProfile
from planner.scenario_file import schema
from planner.scenario_file.problems import Problems, dotted
from planner.scenario_file.provenance import (
    by_seed,
    choice_warning,
    made,
    noted,
    rates_made,
    rates_warning,
    spreading_warning,
)
from planner.scenario_file.trace_form import GammaArrivals
from planner.traces.choosing import Wanted
from planner.traces.playing import Trace, play
from planner.traces.rate_trace import RateTrace, play_rates
from planner.traces.records import Stamps
from planner.traces.tables.time_forms import DateOrder
from planner.traces.trace_file import read_trace
from planner.units import not_too_long


@dataclass(frozen=True)
class Traffic:
    """What could be read; None where there are problems. trace: the played slice, if the arrivals are recorded."""

    duration_s: float | None = None
    arrivals: ArrivalProcess | None = None
    trace: Trace | None = None
    is_trace: bool = False
    warnings: tuple[str, ...] = ()


def read_traffic(form: Any, problems: Problems, folder: Path) -> Traffic:
    """The arrivals of a whole form, and the duration, which a trace may settle."""
    arrivals = form.traffic.arrivals
    _check_rates(form.traffic, problems)
    if isinstance(arrivals, schema.TraceArrivals):
        return _recorded(form, arrivals.trace, problems, folder)
    if form.duration is None:
        if not (problems.is_bad("duration") or problems.is_bad("traffic", "arrivals", "trace")):
            problems.missing(("duration",))
        return Traffic()
    warnings: list[str] = []
    process = None if problems.is_bad("traffic") else _process(form.traffic, form.duration, problems, warnings)
    return Traffic(form.duration, process, warnings=tuple(warnings))


def _check_rates(traffic: Any, problems: Problems) -> None:
    if isinstance(traffic.arrivals, schema.TraceArrivals | schema.MmppArrivals):
        for name in ("rate", "rps"):
            if getattr(traffic, name) is not None:
                problems.add(("traffic", name), "must be left out with mmpp and trace, which carry their own rates")
    elif traffic.rate is not None and traffic.rps is not None:
        problems.add(("traffic", "rps"), "but there is a rate too: give one of them")
    elif traffic.rate is None and traffic.rps is None and not problems.is_bad("traffic"):
        problems.missing(("traffic", "rate"))


def _process(traffic: Any, duration_s: float, problems: Problems, warnings: list[str]) -> ArrivalProcess | None:
    arrivals = traffic.arrivals
    try:
        if isinstance(arrivals, schema.MmppArrivals):
            return _mmpp(arrivals.mmpp, duration_s, problems)
        profile = _profile(traffic, duration_s, problems, warnings)
        if profile is None:
            return None
        return Renewal(profile, _cv(arrivals))
    except InputError as error:
        problems.about(("traffic",), "; ".join(error.problems))
        return None


def _cv(arrivals: Any) -> float:
    """Of the gaps: of regular, poisson or gamma arrivals."""
    return float(arrivals.gamma.cv if isinstance(arrivals, GammaArrivals) else _CVS[arrivals])


_CVS = {"regular": 0.0, "poisson": 1.0}


def _mmpp(mmpp: Any, duration_s: float, problems: Problems) -> MarkovModulatedPoisson | None:
    path = ("traffic", "arrivals", "mmpp")
    if len(mmpp.rates) != len(mmpp.switching):
        problems.add((*path, "switching"), f"must have as many entries as rates ({len(mmpp.rates)})")
        return None
    if not any(mmpp.rates):
        problems.add((*path, "rates"), "must be not all 0")
        return None
    return MarkovModulatedPoisson(np.array(mmpp.rates), np.array(mmpp.switching), duration_s)


def _profile(traffic: Any, duration_s: float, problems: Problems, warnings: list[str]) -> RateProfile | None:
    """The rate over [0, duration). Entries from the duration on are left out, with a warning."""
    if traffic.rps is not None:
        return RateProfile.constant(traffic.rps, duration_s)
    steps = traffic.rate
    if not _in_order(steps, problems):
        return None
    edges, left, right = [0.0], [], []
    for i, step in enumerate(steps):
        if step.from_ >= duration_s:
            where = f"{problems.source}: {dotted(('traffic', 'rate', i))}"
            warnings.append(f"{where} starts at {step.from_:g} s, not before the scenario's end: left out")
            continue
        next_s = steps[i + 1].from_ if i + 1 < len(steps) else duration_s
        end_s = min(next_s, duration_s)
        final_rps = step.rps if step.to_rps is None else step.to_rps
        share = (end_s - step.from_) / (next_s - step.from_)
        edges.append(end_s)
        left.append(step.rps)
        right.append(step.rps + share * (final_rps - step.rps))
    return RateProfile(np.array(edges), np.array(left), np.array(right))


def _in_order(steps: Any, problems: Problems) -> bool:
    path = ("traffic", "rate")
    if steps[0].from_ != 0:
        problems.add((*path, 0, "from"), "must be 0s: the first rate holds from the start")
    for i in range(1, len(steps)):
        if steps[i].from_ <= steps[i - 1].from_:
            problems.add((*path, i, "from"), f"must be later than the entry before it ({steps[i - 1].from_:g} s)")
    return not problems.is_bad(*path)


def _recorded(form: Any, chosen: Any, problems: Problems, folder: Path) -> Traffic:
    """A slice of a trace. Without a duration the scenario ends with the slice, or the second of its last request."""
    duration_s = form.duration
    length_s = None if chosen.for_ is None else chosen.for_ * chosen.time_scale
    if duration_s is not None and length_s is not None and length_s > duration_s * (1 + 1e-12):
        path = ("traffic", "arrivals", "trace", "for")
        problems.add(path, f"plays for {length_s:g} s at this time_scale, longer than the duration ({duration_s:g} s)")
    nothing = Traffic(duration_s or length_s, is_trace=True)
    if problems.is_bad("traffic"):
        return nothing
    whole = None if _is_too_long(length_s, problems) else _read(chosen, problems, folder)
    from_s = None if whole is None else _start(whole, chosen, problems)
    if whole is None or from_s is None:
        return nothing
    if isinstance(whole, RateTrace):
        return _rates_played(whole, from_s, form, problems)
    trace = _played(whole, from_s, form, duration_s, problems)
    if trace is None:
        return nothing
    end_s = duration_s or length_s or _natural_end_s(whole, trace, from_s, chosen)
    if _is_too_long(end_s, problems):
        return nothing
    times_s = np.minimum(trace.times_s, np.nextafter(end_s, 0.0))
    arrivals = Recorded(
        times_s,
        trace.source,
        _start_of_second(times_s, from_s, chosen) if _is_spread_in_its_second(trace) else None,
        payload=trace.payload,
        made=made(whole, trace, from_s, end_s, chosen, form.seed),
        file_sha256=trace.sha256,
        places=_places(trace, end_s),
        by_seed=by_seed(whole, chosen, form.seed),
    )
    said = (*noted(whole, chosen), spreading_warning(whole, trace, chosen), choice_warning(whole, chosen, form.seed))
    warnings = tuple(f"{problems.source}: {warning}" for warning in said if warning is not None)
    return Traffic(end_s, arrivals, trace, is_trace=True, warnings=warnings)


def _rates_played(whole: RateTrace, from_s: float, form: Any, problems: Problems) -> Traffic:
    """A slice of a rate over time. Without a duration the scenario ends with it."""
    chosen = form.traffic.arrivals.trace
    length_s = chosen.for_ if chosen.for_ is not None or form.duration is None else form.duration / chosen.time_scale
    path = ("traffic", "arrivals", "trace")
    for name, default in _OF_REQUESTS.items():
        if getattr(chosen, name) != default:
            problems.add((*path, name), f"but {chosen.file} has rates, of which requests are drawn")
    try:
        profile = play_rates(
            whole, from_s=from_s, for_s=length_s, time_scale=chosen.time_scale, rate_scale=chosen.rate_scale
        )
        slice_s = None if chosen.for_ is None else chosen.for_ * chosen.time_scale
        end_s = form.duration or slice_s or profile.time_s[-1]
        if problems.is_bad("traffic") or _is_too_long(float(end_s), problems):
            return Traffic(form.duration, is_trace=True)
        arrivals = Renewal(profile, _cv(chosen.arrivals or "poisson"), rates_made(whole, from_s, chosen), whole.sha256)
    except InputError as error:
        problems.about(path, str(error))
        return Traffic(form.duration, is_trace=True)
    warnings = (*noted(whole, chosen), rates_warning(whole, chosen))
    return Traffic(float(end_s), arrivals, is_trace=True, warnings=tuple(f"{problems.source}: {w}" for w in warnings))


_OF_REQUESTS = {"one_second_stamps": "spread", "spread": "uniform"}
"""Keys of a slice that mean something for requests and counts only, and their defaults."""


def _is_spread_in_its_second(trace: Trace) -> bool:
    """Whether the start of its second is where a request may also have come: not where its end has the stamp."""
    return trace.spread and trace.bin_s == 1 and trace.lead_s is None


def _places(trace: Trace, end_s: float) -> Places | None:
    """Where the requests of a slice may have come, before the scenario's end."""
    if trace.low_s is None or trace.high_s is None:
        return None
    last_s = np.nextafter(end_s, 0.0)
    return Places(
        low_s=np.minimum(trace.low_s, last_s),
        high_s=np.minimum(trace.high_s, end_s),
        end_s=end_s,
        draw=trace.draw,
        shift_s=trace.shift_s,
    )


def _natural_end_s(whole: Trace, trace: Trace, from_s: float, chosen: Any) -> float:
    """Where a slice without an end ends: with its last bin, or with the second of its last request."""
    if whole.counts is not None:
        return (whole.end_s - from_s) * float(chosen.time_scale)
    return float(math.floor(trace.times_s[-1])) + 1.0


def _is_too_long(length_s: float | None, problems: Problems) -> bool:
    try:
        not_too_long(length_s or 0.0)
    except ValueError as bound:
        path = ("traffic", "arrivals", "trace")
        problems.about(path, f"plays for {length_s:g} s, {bound}; `for` or a `duration` makes it shorter")
        return True
    return False


def _start_of_second(times_s: FloatArray, from_s: float, chosen: Any) -> FloatArray:
    """Spread stamps of a slice taken back to the start of their second of the trace, which keeps their order."""
    second = np.floor(times_s / chosen.time_scale + from_s)
    return np.asarray(np.maximum((second - from_s) * chosen.time_scale, 0.0))


def _read(chosen: Any, problems: Problems, folder: Path) -> Trace | RateTrace | None:
    path = ("traffic", "arrivals", "trace")
    try:
        trace = read_trace(
            folder / chosen.file,
            form=chosen.format,
            bin_s=chosen.bin,
            dates=None if chosen.dates is None else DateOrder(chosen.dates),
            wanted=Wanted(paths=chosen.path, methods=chosen.method, statuses=chosen.status),
            stamps=None if chosen.stamps is None else Stamps(chosen.stamps),
        )
    except InputError as error:
        problems.of_file((*path, "file"), error)
        return None
    if isinstance(trace, RateTrace):
        return trace
    if chosen.arrivals is not None:
        problems.add((*path, "arrivals"), f"but {chosen.file} has no rates: its requests come when it says")
        return None
    if trace.counts is not None and chosen.one_second_stamps != "spread":
        problems.add((*path, "one_second_stamps"), f"but {chosen.file} has counts, which are always spread")
        return None
    return trace


def _start(trace: Trace | RateTrace, chosen: Any, problems: Problems) -> float | None:
    """Second of the trace at which the slice starts."""
    path = ("traffic", "arrivals", "trace", "from")
    start: float | ClockTime = chosen.from_
    if isinstance(start, float):
        return start
    if trace.clock is None:
        problems.add(path, f"needs a trace with timestamps; {chosen.file} has time_s, so give a duration")
        return None
    try:
        return trace.clock.seconds_at(start, trace.end_s)
    except ValueError as bound:
        problems.add(path, str(bound))
        return None


def _played(trace: Trace, from_s: float, form: Any, duration_s: float | None, problems: Problems) -> Trace | None:
    path = ("traffic", "arrivals", "trace")
    chosen = form.traffic.arrivals.trace
    for_s = chosen.for_
    if for_s is None and duration_s is not None:
        for_s = duration_s / chosen.time_scale
    try:
        played = play(
            trace,
            from_s=from_s,
            for_s=for_s,
            time_scale=chosen.time_scale,
            rate_scale=chosen.rate_scale,
            seed=form.seed,
            spread=chosen.one_second_stamps == "spread",
            even=chosen.spread == "even",
        )
    except InputError as error:
        problems.about(path, str(error))
        return None
    if len(played) == 0:
        problems.about(path, f"no request of {chosen.file} falls into this slice")
        return None
    return played
