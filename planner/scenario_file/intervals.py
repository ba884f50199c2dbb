"""The intervals of a scenario file: one of their three values in place of each, and what they say is uncertain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from planner import units
from planner.scenario_file.interval_form import KEYS, Interval
from planner.scenario_file.problems import Path as Place
from planner.scenario_file.problems import Problems, dotted
from planner.scenario_file.traffic import Traffic, read_traffic
from planner.uncertain import COLD_START, RATE, REQUEST_TIME, UncertainInput

SECTIONS = ("service_time", "traffic", "cold_start")


def at_mid(form: Any) -> Any:
    """The form of a scenario with plain values only."""
    return _form_at(form, "mid")


def _form_at(form: Any, key: str) -> Any:
    return form.model_copy(update={name: _taken_at(getattr(form, name), key) for name in SECTIONS})


def _taken_at(form: Any, key: str) -> Any:
    """Part of a form with the value of `key` (low, mid or high) in place of each interval."""
    if isinstance(form, Interval):
        return getattr(form, key)
    if isinstance(form, list):
        return [_taken_at(inner, key) for inner in form]
    if isinstance(form, BaseModel):
        return form.model_copy(update={name: _taken_at(inner, key) for name, inner in form})
    return form


def uncertain_inputs(form: Any, traffic: Traffic, problems: Problems, folder: Path) -> tuple[UncertainInput, ...]:
    """What a form with intervals leaves open. traffic: what it describes at mid."""
    found = {name: dict(_intervals(getattr(form, name), (name,))) for name in SECTIONS}
    inputs = [
        _of_time(REQUEST_TIME, found["service_time"]),
        _of_rate(form, found["traffic"], traffic, problems, folder),
        _of_time(COLD_START, found["cold_start"]),
    ]
    return tuple(made for made in inputs if made is not None)


def _intervals(form: Any, path: Place) -> Iterator[tuple[Place, Interval]]:
    if isinstance(form, Interval):
        yield path, form
    elif isinstance(form, list):
        for i, inner in enumerate(form):
            yield from _intervals(inner, (*path, i))
    elif isinstance(form, BaseModel):
        for name, inner in form:
            yield from _intervals(inner, (*path, name))


def _of_time(name: str, found: dict[Place, Interval]) -> UncertainInput | None:
    for path, interval in found.items():
        low_s, mid_s, high_s = interval.low, interval.mid, interval.high
        return UncertainInput(name=name, low=low_s, mid=mid_s, high=high_s, unit="s", paths=(dotted(path),))
    return None


def _of_rate(
    form: Any, found: dict[Place, Interval], traffic: Traffic, problems: Problems, folder: Path
) -> UncertainInput | None:
    """The mean rates at the three; None also where the intervals lie in what the scenario does not play."""
    if not found or traffic.arrivals is None or traffic.duration_s is None:
        return None
    if traffic.is_trace:
        (scale,) = found.values()
        low, high = (traffic.arrivals.expected_count * value / scale.mid for value in (scale.low, scale.high))
    else:
        low, high = (_expected_count(_form_at(form, key), problems, folder) for key in ("low", "high"))
    low_rps, mid_rps, high_rps = (count / traffic.duration_s for count in (low, traffic.arrivals.expected_count, high))
    if not low_rps < high_rps:
        return None
    paths = tuple(dotted(path) for path in found)
    return UncertainInput(name=RATE, low=low_rps, mid=mid_rps, high=high_rps, unit="requests per second", paths=paths)


def _expected_count(form: Any, problems: Problems, folder: Path) -> float:
    """Expected requests of rates; what is wrong with them there is said where that world is built."""
    arrivals = read_traffic(form, Problems(problems.source, problems.document), folder).arrivals
    return 0.0 if arrivals is None else arrivals.expected_count


def each(calculate: Callable[..., float], *rates: Any) -> Any:
    """`calculate` of rates of a document; of low, mid and high where any of them is an interval. ValueError if bad."""
    if not any(isinstance(rate, dict) for rate in rates):
        return calculate(*map(units.rate_rps, rates))
    low, mid, high = (calculate(*values) for values in zip(*map(_three, rates), strict=True))
    low, high = min(low, mid), max(mid, high)  # rounding may have put them out of order
    return {"low": low, "mid": mid, "high": high} if low < high else mid


def _three(rate: Any) -> tuple[float, float, float]:
    if not isinstance(rate, dict):
        return (units.rate_rps(rate),) * 3
    low, mid, high = (units.rate_rps(rate.get(key)) for key in KEYS)
    if len(rate) > len(KEYS) or not low <= mid <= high > low:
        raise ValueError("is no interval")
    return low, mid, high
