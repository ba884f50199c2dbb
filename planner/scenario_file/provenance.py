"""Where the times of a played trace come from, and how they were made, in words."""

from __future__ import annotations

from typing import Any

from planner.traces.playing import JITTER_S, Trace


def made(whole: Trace, played: Trace, from_s: float, end_s: float, chosen: Any, seed: int) -> str:
    """One sentence: 612 requests of access.log from 12:00:00 for 600 s, whole-second stamps spread ... by seed 7."""
    length_s = end_s / chosen.time_scale
    where = f"from second {from_s:.9g}" if whole.clock is None else f"from {whole.clock.shown(from_s)}"
    path = "" if chosen.path is None else f" for {chosen.path}"
    parts = [f"{len(played):,} requests{path} of {whole.source} {where} for {length_s:.9g} s"]
    parts += [text for text in (_spreading(whole, played, chosen, seed),) if text]
    if chosen.rate_scale < 1:
        parts.append(f"each kept with probability {chosen.rate_scale:g} by seed {seed}")
    elif chosen.rate_scale > 1:
        how = f"jittered by at most {JITTER_S:g} s" if whole.counts is None else "spread as the others"
        parts.append(f"{chosen.rate_scale:g} times as many by copies {how} by seed {seed}")
    if chosen.time_scale != 1:
        parts.append(f"played in {chosen.time_scale:g} times the time")
    return ", ".join(parts)


def spreading_warning(whole: Trace, played: Trace, chosen: Any) -> str | None:
    """What is to be said of a trace whose stamps do not say when in their second or bin a request came."""
    if whole.counts is not None:
        found = " (the smallest distance of two stamps; `bin` sets it)" if whole.is_derived else ""
        how = "at regular distances" if chosen.spread == "even" else "uniformly"
        return f"{chosen.file} has counts per {whole.bin_s:g} s{found}, played spread {how} inside their bin"
    if not whole.has_cut_stamps:
        return None
    how = "spread inside their second" if played.spread else "all at the start of their second"
    even = " at regular distances" if played.spread and chosen.spread == "even" else ""
    return f"{chosen.file} has stamps of whole seconds, played {how}{even}"


def _spreading(whole: Trace, played: Trace, chosen: Any, seed: int) -> str:
    if not whole.has_cut_stamps:
        return ""
    how = "at regular distances" if chosen.spread == "even" else f"uniformly by seed {seed}"
    if whole.counts is not None:
        found = ", as wide as the smallest distance of two stamps" if whole.is_derived else ""
        return f"counts spread inside their bin of {whole.bin_s:g} s{found}, {how}"
    return f"whole-second stamps spread inside their second, {how}" if played.spread else "whole-second stamps kept"
