"""How long a slot is taken beside the work, told from answers alone: no dispatch time, no number of replicas.

A request that waited in the queue started when another's answer freed its slot. The client sees both: the answer that
freed the slot, and its own answer less its time in the worker. What lies between is what the model calls
`router_overhead`: the end of one exchange, the dispatch of the next, its way to the worker, HTTP parsing, its way back.
The network between client and front end is in both answers and cancels out. A client that reads late makes single gaps
longer or shorter, and not their mean.

A gap counts only where exactly one answer came within the window, so that there is no doubt which one freed the slot.
That choice does not look at the gap's length. Nor does it use how many replicas the scenario has, or how long a request
may wait: an error in those cannot hide in the overhead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loadtest.validate.resampling import ratio
from planner.model import FloatArray, Outcome, RequestLog

WINDOWS_S = (0.020, 0.040, 0.010, 0.005, 0.002)
"""Tried in turn: 40 ms where a busy machine makes gaps too long for 20, the others where answers come densely. A window
reaches back by this, and ahead by a quarter."""

FEWEST_GAPS = 30

MOST_LONGER = 0.25
"""Of the requests that waited, those with no answer in the window: with more of them, the gaps are longer than it."""

FULLEST = 0.5
"""Of the window, the upper quartile of the gaps: answers that have nothing to do with each other fill it evenly."""

STEPS_S = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Steps in which a header may count."""

FEWEST_DISTINCT = 3
"""Values of a header that tell a step above 1 ms: a single one is a multiple of many."""


@dataclass(frozen=True, kw_only=True)
class SlotGaps:
    """values_s: for how long slots were taken beside the work, shape (n,), in order of start; empty: not told.

    waited: requests that waited long enough to be looked at. longer: those of them with no answer in the window.
    step_s: the step in which the header with the time in the worker counts. why: what was found, one clause.
    """

    values_s: FloatArray
    waited: int
    longer: int
    window_s: float
    step_s: float
    why: str

    @property
    def told(self) -> bool:
        return len(self.values_s) > 0

    @property
    def mean_s(self) -> float:
        return max(0.0, float(self.values_s.mean()))

    @property
    def interval_s(self) -> tuple[float, float]:
        """95 % interval of the mean, by blocks, a step of the header wider on either side.

        Gaps longer than the window are not seen. They may be as many as have no answer in it, and reach the window at
        least: the upper end allows for that.
        """
        seen = ratio(self.values_s, np.ones(len(self.values_s)))
        unseen_s = self.longer / self.waited * self.window_s
        return max(0.0, seen.low - self.step_s), max(0.0, seen.high + unseen_s + self.step_s)


def slot_gaps(log: RequestLog) -> SlotGaps:
    """What the answers to requests that waited tell of the time that holds a slot beside the work."""
    told = (log.outcome == Outcome.OK) & np.isfinite(log.service_time_s + log.finish_s + log.sent_s)
    frees = np.isin(log.outcome, (Outcome.OK, Outcome.BAD_RESPONSE)) & np.isfinite(log.finish_s)
    ends_s = np.sort(log.finish_s[frees])
    starts_s = (log.finish_s - log.service_time_s)[told]
    outside_s = starts_s - log.sent_s[told]
    step_s = header_step_s(log.service_time_s[told])
    fastest_s = float(outside_s.min(initial=np.inf))
    found = [
        _in_window(starts_s[outside_s > fastest_s + 2 * window_s], ends_s, window_s, step_s) for window_s in WINDOWS_S
    ]
    return next((gaps for gaps in found if gaps.told), found[0])


def _in_window(starts_s: FloatArray, ends_s: FloatArray, window_s: float, step_s: float) -> SlotGaps:
    """Gaps of the starts that have exactly one end in (start - window, start + window / 4]."""
    starts_s = np.sort(starts_s)
    first = np.searchsorted(ends_s, starts_s - window_s, side="right")
    found = np.searchsorted(ends_s, starts_s + window_s / 4, side="right") - first
    clear = found == 1
    values_s, waited, longer = starts_s[clear] - ends_s[first[clear]], len(starts_s), int(np.sum(found == 0))
    why = f"{len(values_s)} of {waited} answers that had waited for more than {2e3 * window_s:g} ms show which answer "
    why += "freed their slot"
    too_long = longer > MOST_LONGER * waited or (
        len(values_s) >= FEWEST_GAPS and np.quantile(values_s, 0.75) > FULLEST * window_s
    )
    if too_long:
        why = f"{waited} answers had waited, and their slots were free for longer than {window_s * 1e3:g} ms"
    if too_long or len(values_s) < FEWEST_GAPS:
        values_s = np.empty(0)
    return SlotGaps(values_s=values_s, waited=waited, longer=longer, window_s=window_s, step_s=step_s, why=why)


def header_step_s(times_s: FloatArray) -> float:
    """The step in which times count, in seconds: the largest of STEPS_S that all are multiples of, else 0."""
    few = len(np.unique(times_s)) < FEWEST_DISTINCT
    for step_s in STEPS_S[-1:] if few else STEPS_S:
        steps = times_s / step_s
        if len(times_s) and np.all(np.abs(steps - np.rint(steps)) < 1e-6):
            return step_s
    return 0.0
