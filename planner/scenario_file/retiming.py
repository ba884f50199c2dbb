"""Options that put a trace in place of a scenario's traffic, or play another part of it, faster or at another rate.

Their dotted paths are `trace.file`, `trace.from`, `trace.for`, `trace.rate_scale`, `trace.time_scale` and the other
keys of a trace. Where the scenario plays no trace and none is given, the four about time and rate change its own rates:
the part [from, from + for) of its time axis, at rate_scale times the rate, in time_scale times the time. As with a
trace, `time_scale: 0.5` plays the same requests in half the time, which doubles the rate. A part of random traffic that
does not start at its beginning is drawn anew, at the rates of that part.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import PurePath
from typing import Any, NoReturn

from planner import units
from planner.clock import ClockTime, start
from planner.errors import InputError
from planner.scenario_file.intervals import each
from planner.scenario_file.problems import option, value_at
from planner.shown import shown

PREFIX = "trace."
TRACE = ("traffic", "arrivals", "trace")

_OF_RATES = ("from", "for", "rate_scale", "time_scale")


def path_in_document(dotted_path: str) -> str:
    """trace.from -> traffic.arrivals.trace.from; other paths are what they are."""
    return f"{'.'.join(TRACE)}{dotted_path[5:]}" if dotted_path.startswith(PREFIX) else dotted_path


def retime(document: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Change the document's traffic. given: key of a trace -> value; what cannot be read is left for the checks."""
    chosen = value_at(document, TRACE)
    if "file" in given:
        document["traffic"] = {"arrivals": {"trace": dict(given)}}
        document.pop("duration", None)
        if "shows" in document:
            document["shows"] = f"The requests of {PurePath(str(given['file'])).name}, in place of the scenario's own."
    elif isinstance(chosen, dict):
        if "for" in given or "time_scale" in given:
            _free_of_duration(document, chosen)
        chosen.update(given)
    else:
        for name in given:
            if name not in _OF_RATES:
                _refuse(name, given[name], "needs a trace: the scenario plays none, and --trace is not given")
        _retime_rates(document, given)


def _free_of_duration(document: dict[str, Any], chosen: dict[str, Any]) -> None:
    """Let the slice settle the duration: a slice of the same length, played twice as fast, ends in half the time."""
    duration = document.get("duration")
    if duration is None:
        return
    try:
        length_s = units.positive_seconds(duration) / units.positive_number(chosen.get("time_scale", 1))
    except ValueError:
        return
    chosen.setdefault("for", duration_text(length_s))
    del document["duration"]


def _retime_rates(document: dict[str, Any], given: Mapping[str, Any]) -> None:
    rate_scale, time_scale = (_scale(name, given) for name in ("rate_scale", "time_scale"))
    traffic = document.get("traffic")
    try:
        duration_s = units.positive_seconds(document.get("duration"))
    except ValueError:
        return
    if not isinstance(traffic, dict):
        return
    from_s, end_s = _part(given, duration_s)
    if value_at(traffic, ("arrivals", "mmpp")) is not None and from_s > 0:
        _refuse("from", given["from"], "means nothing for mmpp: its phases are random, any part is like another")
    try:
        _change_rates(traffic, (from_s, end_s, duration_s), rate_scale / time_scale, time_scale)
    except (ValueError, KeyError, TypeError):
        return
    document["duration"] = duration_text((end_s - from_s) * time_scale)


def _scale(name: str, given: Mapping[str, Any]) -> float:
    try:
        return units.number(given.get(name, 1.0), least=1e-6, most=1000.0)
    except ValueError as bound:
        _refuse(name, given[name], str(bound))


def _part(given: Mapping[str, Any], duration_s: float) -> tuple[float, float]:
    """Start and end, on the scenario's own time axis, of the part that is played."""
    try:
        from_s = start(given.get("from", "0s"))
    except ValueError as bound:
        _refuse("from", given["from"], str(bound))
    if isinstance(from_s, ClockTime):
        _refuse("from", given["from"], "needs a trace with timestamps: the scenario has no clock, so give a duration")
    if from_s >= duration_s:
        _refuse("from", given["from"], f"must be below the scenario's duration ({duration_s:g} s)")
    if "for" not in given:
        return from_s, duration_s
    try:
        for_s = units.positive_seconds(given["for"])
    except ValueError as bound:
        _refuse("for", given["for"], str(bound))
    if from_s + for_s > duration_s * (1 + 1e-12):
        left = f"of the scenario's {duration_s:g} s there are {duration_s - from_s:g} s left"
        _refuse("for", given["for"], f"is too long: {left}")
    return from_s, min(from_s + for_s, duration_s)


def _refuse(name: str, value: object, bound: str) -> NoReturn:
    raise InputError(f"{option((*TRACE, name))} = {shown(value)}, {bound}")


def _change_rates(
    traffic: dict[str, Any], part: tuple[float, float, float], rate_factor: float, time_factor: float
) -> None:
    """Every rate times rate_factor, every time times time_factor, of the part (start, end, of the whole)."""

    def scaled(rps: float) -> float:
        return rps * rate_factor

    mmpp = value_at(traffic, ("arrivals", "mmpp"))
    if isinstance(mmpp, dict):
        rates = [each(scaled, rate) for rate in mmpp["rates"]]
        switching = [units.positive_number(rate) / time_factor for rate in mmpp["switching"]]
        mmpp |= {"rates": rates, "switching": switching}
    if traffic.get("rps") is not None:
        traffic["rps"] = each(scaled, traffic["rps"])
    if traffic.get("rate") is not None:
        pieces = _part_of(traffic["rate"], *part)
        traffic["rate"] = [
            {key: each(scaled, rate) for key, rate in piece.items() if key != "from"}
            | {"from": duration_text(piece["from"] * time_factor)}
            for piece in pieces
        ]


def _part_of(rate: list[dict[str, Any]], from_s: float, to_s: float, duration_s: float) -> list[dict[str, Any]]:
    """The entries of [from_s, to_s), from its start on: a ramp that is cut has the rate there that it had."""
    starts = [units.seconds(step["from"]) for step in rate]
    kept = []
    for step, first_s, last_s in zip(rate, starts, [*starts[1:], duration_s], strict=True):
        begins_s, ends_s = max(first_s, from_s), min(last_s, to_s)
        if begins_s >= ends_s:
            continue
        piece = {"from": begins_s - from_s, "rps": step["rps"]}
        if step.get("to_rps") is not None:
            at = partial(_rate_of_ramp, last_s - first_s)
            piece["rps"] = each(partial(at, begins_s - first_s), step["rps"], step["to_rps"])
            piece["to_rps"] = each(partial(at, ends_s - first_s), step["rps"], step["to_rps"])
        kept.append(piece)
    return kept


def _rate_of_ramp(length_s: float, since_s: float, first_rps: float, final_rps: float) -> float:
    slope = (final_rps - first_rps) / length_s
    return max(first_rps + slope * since_s, 0.0)


def duration_text(seconds: float) -> str:
    """A duration as a scenario file writes it, exact to a nanosecond."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"
