"""A slab of the virtual wait: what happens to it between two levels, and slabs put on one another.

The virtual wait V (s) of a queue whose slots are all busy falls at rate 1 and jumps up by an exponential time of rate
c mu at each arrival. Drawn with its jumps laid out in time it is a path that rises or falls at rate 1, with a phase:
the path that enters a slab of levels from below comes back below or goes through, and likewise from above.

Slabs are put together by counting the passages between them (Redheffer's star product, 1959), and a thick slab is
doubled from a thin one (the adding-doubling method of radiative transfer). All quantities are probabilities or times,
nothing is subtracted, and nothing grows with the thickness: no exponential is ever formed, whatever the load.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from planner.model import FloatArray
from planner.queueing.chains import time_in_states

THIN = 0.5
"""Events expected in a slab that is thin enough for its power series."""

TERMS = 24
"""Of that series; the first left out is below 1e-20."""


class Slab(NamedTuple):
    """Matrices of shape (m, m), by the phase in which the path enters; its lower level is 0.

    Times count the falling parts alone: the rising ones are the jumps, which take no time. from_below_s[i, j]: expected
    time in the slab and phase j; …_moment_s2 the integral of the level over that time.
    """

    thickness_s: float
    back_below: FloatArray
    """Entered from below, leaves below"""
    through_up: FloatArray
    """Entered from below, leaves above"""
    back_above: FloatArray
    through_down: FloatArray
    from_below_s: FloatArray
    from_above_s: FloatArray
    from_below_moment_s2: FloatArray
    from_above_moment_s2: FloatArray

    def under(self, upper: Slab) -> Slab:
        """This slab with another on top of it."""
        lower, up, down = self, _passages_up(self, upper), _passages_down(self, upper)
        up_then_down, down_then_up = up @ upper.back_below, down @ lower.back_above
        upper_below_moment = upper.from_below_moment_s2 + lower.thickness_s * upper.from_below_s
        upper_above_moment = upper.from_above_moment_s2 + lower.thickness_s * upper.from_above_s
        return Slab(
            thickness_s=lower.thickness_s + upper.thickness_s,
            back_below=lower.back_below + up_then_down @ lower.through_down,
            through_up=up @ upper.through_up,
            back_above=upper.back_above + down_then_up @ upper.through_up,
            through_down=down @ lower.through_down,
            from_below_s=lower.from_below_s + up @ upper.from_below_s + up_then_down @ lower.from_above_s,
            from_above_s=upper.from_above_s + down @ lower.from_above_s + down_then_up @ upper.from_below_s,
            from_below_moment_s2=lower.from_below_moment_s2
            + up @ upper_below_moment
            + up_then_down @ lower.from_above_moment_s2,
            from_above_moment_s2=upper_above_moment
            + down @ lower.from_above_moment_s2
            + down_then_up @ upper_below_moment,
        )


def _passages_up(lower: Slab, upper: Slab) -> FloatArray:
    """Expected passages from the lower into the upper slab, of a path that enters the lower from below."""
    leaving = upper.through_up.sum(axis=1) + upper.back_below @ lower.through_down.sum(axis=1)
    return lower.through_up @ time_in_states(upper.back_below @ lower.back_above, leaving)


def _passages_down(lower: Slab, upper: Slab) -> FloatArray:
    """Expected passages from the upper into the lower slab, of a path that enters the upper from above."""
    leaving = lower.through_down.sum(axis=1) + lower.back_above @ upper.through_up.sum(axis=1)
    return upper.through_down @ time_in_states(lower.back_above @ upper.back_below, leaving)


def below_empty_queue(back_above: FloatArray, time_s: FloatArray) -> Slab:
    """What lies below V = 0, of no thickness: a free slot. back_above: the phase in which the last slot is taken again.

    time_s: expected time until then, by phase.
    """
    none = np.zeros_like(time_s)
    return Slab(0.0, none, none, back_above, none, none, time_s, none, none)


def above_limit(switching: FloatArray, service_per_s: float) -> Slab:
    """What lies above V = D, counted at level D: nobody joins, the wait comes down after the rest of a jump.

    switching: D0 + D1, rates between phases (1/s). service_per_s: c mu. The rest of a jump is exponential again.
    """
    time_s = time_in_states(switching, np.full(len(switching), service_per_s))
    none = np.zeros_like(time_s)
    return Slab(0.0, service_per_s * time_s, none, none, none, time_s, none, none, none)


def waiting(thickness_s: float, d0: FloatArray, d1: FloatArray, service_per_s: float) -> Slab:
    """A slab between V = 0 and V = D: arrivals of the MAP (D0, D1) each make the wait jump. service_per_s: c mu."""
    events = thickness_s * max(service_per_s, float(-d0.diagonal().min()))
    doublings = max(0, math.ceil(math.log2(events / THIN))) if events > 0 else 0
    slab = _thin(thickness_s / 2**doublings, d0, d1, service_per_s)
    for _ in range(doublings):
        slab = slab.under(slab)
    return slab


def _thin(h: float, d0: FloatArray, d1: FloatArray, service_per_s: float) -> Slab:
    """From the densities of rising (g / c mu) and falling paths (f) by level, a linear equation, as its power series.

    f' = -f D0 - g, g' = c mu (f D1 - g); beside them F' = f and G' = F. Levels in units of the thickness h.
    """
    m = len(d0)
    one, none = np.eye(m), np.zeros((m, m))
    fall = service_per_s * h * one
    generator = np.block(
        [[-fall, -fall, none, none], [h * d1, -h * d0, one, none], [none, none, none, one], [none, none, none, none]]
    )
    term = total = np.eye(4 * m)
    for n in range(1, TERMS):
        term = term @ generator / n
        total = total + term
    rising, falling = total.reshape(4, m, 4, m).swapaxes(1, 2)[:2]
    through_down = np.linalg.inv(falling[1])
    back_below = -rising[1] @ through_down
    return Slab(
        thickness_s=h,
        back_below=back_below,
        through_up=rising[0] + back_below @ falling[0],
        back_above=through_down @ falling[0],
        through_down=through_down,
        from_below_s=h * (rising[2] + back_below @ falling[2]),
        from_above_s=h * through_down @ falling[2],
        from_below_moment_s2=h**2 * (rising[2] - rising[3] + back_below @ (falling[2] - falling[3])),
        from_above_moment_s2=h**2 * through_down @ (falling[2] - falling[3]),
    )
