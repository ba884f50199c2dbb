"""The published sizing rule, exactly, and what it leaves out: how many 503s Poisson arrivals get at that size.

The rule: replicas = ceil(target rps x request time / target utilization / max concurrent requests). It is Little's law
with headroom, and knows nothing of randomness, of the wait limit, of bursts and of cold starts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from planner import units
from planner.errors import InputError
from planner.percent import percent
from planner.queueing import WaitLimitQueue, fraction_503_general_service, replicas_for_slots, slots_for
from planner.queueing.search import LARGEST_SLOTS

DEFAULT_MAX_CONCURRENT = "1"
DEFAULT_TARGET_UTILIZATION = "0.7"
DEFAULT_WAIT_MS = "500"

MAX_FRACTIONS_503 = (0.01, 0.001, 0.0001)
VARIABLE_SERVICE_CV = 2.0

LARGEST_LOAD_ERLANGS = 200_000
"""Beyond it the formulas, which count slot by slot, would take seconds, for a deployment that no cluster holds."""

SMALLEST_LOAD_ERLANGS = Fraction(1, 10**9)

_DECIMAL = re.compile(r"\+?(\d+(\.\d*)?|\.\d+)(e[-+]?\d{1,3})?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """The inputs of the rule, exact. Times in seconds."""

    target_rps: Fraction
    request_time_s: Fraction
    target_utilization: Fraction
    max_concurrent: int
    max_request_wait_s: Fraction

    @property
    def replicas(self) -> int:
        """The published rule in rational arithmetic: 7 x 0.1 / 0.7 is 1, not 2."""
        return math.ceil(self.target_rps * self.request_time_s / self.target_utilization / self.max_concurrent)

    @property
    def slots(self) -> int:
        """Requests that those replicas work on at once."""
        return self.replicas * self.max_concurrent

    @property
    def offered_load_erlangs(self) -> float:
        return float(self.target_rps * self.request_time_s)

    @property
    def fraction_503(self) -> float:
        """Exact for Poisson arrivals and exponential service times."""
        return self.queue.fraction_503

    @property
    def queue(self) -> WaitLimitQueue:
        return WaitLimitQueue(
            self.slots, float(self.target_rps), float(self.request_time_s), float(self.max_request_wait_s)
        )

    def fraction_503_with_cv(self, service_cv: float) -> float:
        """Approximate, for service times with another coefficient of variation."""
        return fraction_503_general_service(
            self.slots, float(self.target_rps), float(self.request_time_s), service_cv, float(self.max_request_wait_s)
        )

    def replicas_for(self, max_fraction_503: float) -> int:
        """The fewest replicas that keep a 503 fraction, for Poisson arrivals and exponential service times."""
        slots = slots_for(
            max_fraction_503, float(self.target_rps), float(self.request_time_s), float(self.max_request_wait_s)
        )
        return replicas_for_slots(slots, self.max_concurrent)


def read_sizing(
    target_rps: str,
    request_time: str,
    max_concurrent: str = DEFAULT_MAX_CONCURRENT,
    target_utilization: str = DEFAULT_TARGET_UTILIZATION,
    max_request_wait_time: str = DEFAULT_WAIT_MS,
) -> Sizing:
    """The inputs from the text that was typed, so that no digit of it is lost. All problems are reported at once."""
    problems: list[str] = []

    def read(option: str, text: str, reader: Any) -> Any:
        try:
            return reader(text.strip())
        except ValueError as bound:
            problems.append(f"--{option} = {text}, {bound}")
            return Fraction(1)

    sizing = Sizing(
        target_rps=read("target-rps", target_rps, _positive),
        request_time_s=read("request-time", request_time, lambda text: _above_zero(_time(text, Fraction(1)))),
        target_utilization=read("target-utilization", target_utilization, _utilization),
        max_concurrent=read("max-concurrent", max_concurrent, _whole),
        max_request_wait_s=read("max-request-wait-time", max_request_wait_time, lambda t: _time(t, Fraction(1, 1000))),
    )
    if problems:
        raise InputError(*problems)
    if sizing.target_rps * sizing.request_time_s > LARGEST_LOAD_ERLANGS:
        raise InputError(
            f"an offered load above {LARGEST_LOAD_ERLANGS:,} erlangs (rps x request time) is not supported"
        )
    if sizing.target_rps * sizing.request_time_s < SMALLEST_LOAD_ERLANGS:
        raise InputError(
            f"an offered load below {float(SMALLEST_LOAD_ERLANGS):g} erlangs (rps x request time) is not supported"
        )
    if sizing.slots > LARGEST_SLOTS:
        raise InputError(f"more than {LARGEST_SLOTS:,} slots (rps x request time / utilization) are not supported")
    return sizing


def _decimal(text: str) -> Fraction:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("must be a number, not negative")
    return Fraction(text)


def _positive(text: str) -> Fraction:
    return _above_zero(_decimal(text))


def _above_zero(value: Fraction) -> Fraction:
    if value <= 0:
        raise ValueError("must be above 0")
    return value


def _time(text: str, unit_s: Fraction) -> Fraction:
    """Seconds of a plain number in the given unit, or of a duration with its own."""
    return units.not_too_long(Fraction(text) * unit_s if _DECIMAL.fullmatch(text) else units.duration_fraction(text))


def _utilization(text: str) -> Fraction:
    number = _decimal(text.removesuffix("%").rstrip())
    if text.endswith("%") or number > 1:
        guess = f"; did you mean {float(number / 100):g}?" if 1 <= number <= 100 else ""
        raise ValueError(f"must be a fraction above 0 and at most 1, as in the published rule{guess}")
    return _above_zero(number)


def _whole(text: str) -> int:
    digits = text.lstrip("0")
    if not (text.isascii() and text.isdecimal() and digits and int(digits[:10]) <= LARGEST_LOAD_ERLANGS):
        raise ValueError(f"must be an integer from 1 to {LARGEST_LOAD_ERLANGS}")
    return int(digits)


# What is said about it


def document(sizing: Sizing) -> dict[str, Any]:
    """The answer as JSON."""
    return {
        "replicas": sizing.replicas,
        "offered_load_erlangs": sizing.offered_load_erlangs,
        "slots": sizing.slots,
        "fraction_503": sizing.fraction_503,
        "fraction_503_constant_service": sizing.fraction_503_with_cv(0.0),
        "fraction_503_variable_service": sizing.fraction_503_with_cv(VARIABLE_SERVICE_CV),
        "method": {
            "replicas": "exact: the published rule in rational arithmetic",
            "fraction_503": "exact: M/M/c+D in steady state (Poisson arrivals, exponential service)",
            "fraction_503_constant_service": f"approximation: {CONSTANT_ERROR}",
            "fraction_503_variable_service": f"approximation (service CV {VARIABLE_SERVICE_CV:g}): {VARIABLE_ERROR}",
            "replicas_for": "exact: M/M/c+D in steady state (Poisson arrivals, exponential service)",
        },
        "replicas_for": [
            {"max_fraction_503": bound, "replicas": sizing.replicas_for(bound)} for bound in MAX_FRACTIONS_503
        ],
        "assumptions": assumptions(sizing),
        "inputs": {
            "target_rps": float(sizing.target_rps),
            "request_time_s": float(sizing.request_time_s),
            "max_concurrent": sizing.max_concurrent,
            "target_utilization": float(sizing.target_utilization),
            "max_request_wait_time": float(sizing.max_request_wait_s * 1000),
        },
    }


CONSTANT_ERROR = "M/M/c+D with twice the wait limit; 0.6 to 2.2 times the simulated value"
VARIABLE_ERROR = "M/M/c+D with 0.4 of the wait limit; 1.3 to 3 times the simulated value, 5 times below 0.1 %"


def assumptions(sizing: Sizing) -> list[str]:
    """What the numbers rest on, a sentence each."""
    sentences = [
        "Not in these numbers: bursts, cold starts and the autoscaler. At 20 rps x 1 s on 29 replicas the same mean "
        "rate in bursts turns 0.014 % of 503s into 4 %. For those use: surgeproof simulate SCENARIO"
    ]
    if sizing.max_concurrent > 1:
        sentences.append(
            f"A replica is taken to work on {sizing.max_concurrent} requests at once (WORKER_COUNT = "
            f"{sizing.max_concurrent}); with fewer, requests wait inside the pod, out of reach of the wait limit."
        )
    return sentences


def text(sizing: Sizing) -> str:
    """The answer in words."""
    rule = (
        f"{_plain(sizing.target_rps)} rps x {_plain(sizing.request_time_s)} s / {_plain(sizing.target_utilization)} / "
        f"{sizing.max_concurrent}"
    )
    rows = [
        ("exponential service times", sizing.fraction_503, "exact (M/M/c+D, steady state)"),
        ("constant service times", sizing.fraction_503_with_cv(0.0), f"approximation: {CONSTANT_ERROR}"),
        (
            f"very variable ones (CV {VARIABLE_SERVICE_CV:g})",
            sizing.fraction_503_with_cv(VARIABLE_SERVICE_CV),
            f"approximation: {VARIABLE_ERROR}",
        ),
    ]
    wait_ms = _plain(sizing.max_request_wait_s * 1000)
    lines = [
        f"{sizing.replicas} replica{'s' if sizing.replicas > 1 else ''}: the published rule, {rule}, rounded up.",
        f"Offered load {sizing.offered_load_erlangs:g} erlangs on {sizing.slots} slots.",
        "",
        f"Share of requests answered 503 at that size, Poisson arrivals, wait limit {wait_ms} ms:",
        *(f"  {name:<28}{percent(value):>10}   {method}" for name, value, method in rows),
        "",
        "Replicas that Poisson arrivals and exponential service times need (exact):",
        *(f"  at most {percent(bound):<20}{sizing.replicas_for(bound):>10}" for bound in MAX_FRACTIONS_503),
        "",
        *assumptions(sizing),
    ]
    return "\n".join(lines)


def _plain(value: Fraction) -> str:
    return f"{float(value):.12g}"
