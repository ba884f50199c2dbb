"""Steady-state formulas of queues whose customers leave (503) after waiting D, and the inverse of each.

| arrivals, service | formula | fewest slots for a target |
|---|---|---|
| Poisson, any; no queue | `erlang_b` | `slots_for_erlang_b` |
| Poisson, exponential; nobody leaves | `erlang_c` | `slots_for_erlang_c` |
| Poisson, exponential | `WaitLimitQueue`, exact | `slots_for` |
| Poisson, any | `fraction_503_general_service`, approximate | `slots_for_general_service` |
| Poisson, exponential; many slots | `fraction_503_square_root`, approximate | `slots_for_square_root` |
| the same; nobody leaves | `delay_probability_square_root`, approximate | `slots_for_square_root_delay` |
| slow bursts (MMPP), exponential | `fraction_503_slow_bursts`, approximate | `slots_for_slow_bursts` |
| any bursts (MAP, MMPP), exponential | `markov.MarkovArrivalsQueue`, exact | `markov.slots_for_markov_arrivals` |

All but `planner.queueing.markov` is pure Python and imported here; that one needs numpy and is imported by its name.

Symbols: arrival rate lambda (1/s), mean service time S (s), mu = 1 / S, offered load a = lambda S (erlangs), c slots,
rho = a / c, D the wait limit (s), B and C Erlang's formulas, phi and Phi the normal density and distribution.
"""

from planner.queueing.erlang import erlang_b, erlang_c, slots_for_erlang_b, slots_for_erlang_c
from planner.queueing.general_service import fraction_503_general_service, slots_for_general_service
from planner.queueing.search import replicas_for_slots
from planner.queueing.slow_bursts import fraction_503_slow_bursts, slots_for_slow_bursts
from planner.queueing.square_root import (
    delay_probability_square_root,
    fraction_503_square_root,
    slots_for_square_root,
    slots_for_square_root_delay,
)
from planner.queueing.wait_limit import WaitLimitQueue, slots_for

__all__ = [
    "WaitLimitQueue",
    "delay_probability_square_root",
    "erlang_b",
    "erlang_c",
    "fraction_503_general_service",
    "fraction_503_slow_bursts",
    "fraction_503_square_root",
    "replicas_for_slots",
    "slots_for",
    "slots_for_erlang_b",
    "slots_for_erlang_c",
    "slots_for_general_service",
    "slots_for_slow_bursts",
    "slots_for_square_root",
    "slots_for_square_root_delay",
]
