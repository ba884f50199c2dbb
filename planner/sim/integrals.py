"""What is integrated over time: the signal of the autoscaler, ready and desired replicas, paid time. Compiled."""

from planner.sim.compiled import compiled, inlined
from planner.sim.layout import (
    DESIRED,
    DESIRED_SINCE,
    F_BINS,
    HELD,
    LEVEL_AREA,
    LEVEL_SINCE,
    NEXT_PROBE,
    PAID_SECONDS,
    QUEUED,
    READY,
    READY_SECONDS,
    READY_SINCE,
    TICK,
)


@inlined
def signal(s, i, f, tick, now_s):
    """What the tick sees: the level now, or its average over the window."""
    if s.utilization_window_s == 0.0:
        return float(level(s, i))
    window_s = now_s - max(0.0, now_s - s.utilization_window_s)
    return (f[LEVEL_AREA] - f[s.f_probe + tick % s.probes]) / window_s


@inlined
def level(s, i):
    return i[HELD] + i[QUEUED] if s.counts_queued else i[HELD]


@compiled
def integrate_level(s, i, f, now_s):
    """Carry the area under the signal on to now, noting it at every instant at which the window of a tick starts."""
    height = level(s, i)
    while i[NEXT_PROBE] - i[TICK] < s.probes - 1:
        probe_s = max(0.0, i[NEXT_PROBE] * s.period_s + s.tick_offset_s - s.utilization_window_s)
        if probe_s > now_s:
            break
        area = f[LEVEL_AREA] + height * (probe_s - f[LEVEL_SINCE])
        f[s.f_probe + i[NEXT_PROBE] % s.probes] = area
        if i[NEXT_PROBE] % s.probes == 0:
            _count_area_from(s, f, area)
        i[NEXT_PROBE] += 1
    f[LEVEL_AREA] += height * (now_s - f[LEVEL_SINCE])
    f[LEVEL_SINCE] = now_s


@inlined
def _count_area_from(s, f, area):
    """Only differences of areas matter: small numbers keep their digits however long the run."""
    f[LEVEL_AREA] -= area
    for probe in range(s.probes):
        f[s.f_probe + probe] -= area


@compiled
def integrate_ready(s, i, f, out, now_s):
    """Called before the number of ready replicas changes, and at the end."""
    from_s = max(f[READY_SINCE], s.warm_up_s)
    until_s = min(now_s, s.duration_s)
    if until_s > from_s:
        out.totals[READY_SECONDS] += i[READY] * (until_s - from_s)
    _add_to_bins(s, out, F_BINS, f[READY_SINCE], now_s, i[READY])
    f[READY_SINCE] = now_s


@compiled
def integrate_desired(s, i, f, out, now_s):
    """Called before the desired count changes, and at the end."""
    _add_to_bins(s, out, F_BINS + s.bins, f[DESIRED_SINCE], now_s, i[DESIRED])
    f[DESIRED_SINCE] = now_s


@compiled
def _add_to_bins(s, out, first_bin, from_s, until_s, height):
    until_s = min(until_s, s.duration_s)
    b = int(from_s / s.bin_s)
    while from_s < until_s and b < s.bins:
        edge_s = min((b + 1) * s.bin_s, until_s)
        if edge_s > from_s:
            out.totals[first_bin + b] += height * (edge_s - from_s)
            from_s = edge_s
        b += 1


@inlined
def pay(s, out, created_s, end_s):
    end_s = min(end_s, s.duration_s)
    if end_s > created_s:
        out.totals[PAID_SECONDS] += end_s - created_s
