"""Markdown tables of what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tests.benchmarks.cases import Queue
from tests.benchmarks.rounds import Measured

NO_OTHER_WORK = 0.25
"""Relative distance from theory beyond which a program has not simulated this queue; noise of few rounds is below."""


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def rate(measured: Measured) -> str:
    """Median and range in thousand requests per second."""
    low, middle, high = min(measured.rates_rps), measured.median_rps, max(measured.rates_rps)
    return f"{_thousands(middle)} ({_thousands(low)} to {_thousands(high)})"


def _thousands(rps: float) -> str:
    return f"{rps / 1e3:,.0f}" if rps >= 1e6 else f"{rps / 1e3:.1f}"


def found(queue: Queue, measured: Measured) -> str:
    """What the program says of the queue: its 503s, or the mean wait where there are none."""
    if math.isinf(queue.wait_limit_s):
        value, text = measured.mean_wait_s, f"{measured.mean_wait_s:.3f} s"
    else:
        value, text = measured.fraction_503, f"{measured.fraction_503:.2%}"
    return text if abs(value / queue.exact - 1) < NO_OTHER_WORK else f"{text} **far from theory**"


def print_comparison(queue: Queue, rows: Mapping[str, Measured], ours: str, unable: Mapping[str, str]) -> None:
    """Every program beside this engine; then those that cannot simulate this queue, and why."""
    exact = (
        f"mean wait (exact {queue.exact:.3f} s)"
        if math.isinf(queue.wait_limit_s)
        else f"503s (exact {queue.exact:.2%})"
    )
    print_table(
        ("program", "thousand requests per second (min to max)", "engine / this", exact),
        [
            (name, rate(measured), f"{rows[ours].times_faster_than(measured):.3g}", found(queue, measured))
            for name, measured in rows.items()
        ]
        + [(name, "–", "–", why) for name, why in unable.items()],
    )
