"""What a plan says of its worlds: the part `robust` of the document of `surgeproof plan`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from planner.documents import estimate_document
from planner.measures import fraction, mean, share_of_runs
from planner.model import Estimate, FloatArray
from planner.percent import percent
from planner.plan.answer import recommended
from planner.plan.document import setting_document
from planner.plan.robust import Candidate, Criterion, Planned
from planner.plan.settings import Setting
from planner.plan.tally import Runs
from planner.uncertain import UncertainInput


def robust_document(
    inputs: Sequence[UncertainInput],
    planned: Sequence[Planned],
    found: Sequence[Candidate],
    chosen: Candidate | None,
    criterion: Criterion,
    kept_in: float,
) -> dict[str, Any]:
    """The worlds, what each input is worth, and the candidates."""
    worth = [_input_document(given, planned) for given in inputs]
    ranges = {w["name"]: _range(w) for w in worth}
    most = max(ranges, key=lambda name: ranges[name], default=None)
    return {
        "criterion": str(criterion),
        "kept_in": kept_in,
        "worlds": [_world_document(each, number, chosen) for number, each in enumerate(planned)],
        "inputs": worth,
        "matters_most": most if most is not None and ranges[most] > 0 else None,
        "candidates": [
            _candidate_document(c, planned, c is chosen, criterion, kept_in) for c in sorted(found, key=_by_cost)
        ],
        "sentence": _sentence(planned, found, chosen, criterion, kept_in),
    }


def _by_cost(candidate: Candidate) -> tuple[float, Setting]:
    return candidate.mean_hours, candidate.setting


def _world_document(each: Planned, number: int, chosen: Candidate | None) -> dict[str, Any]:
    best = each.found.best
    pool = each.found.pool
    runs = None if chosen is None else pool.runs(chosen.setting)
    return {
        "positions": dict(each.world.positions),
        "counts": each.world.counts,
        "verdict": "feasible" if best is not None else str(recommended(each.found)[0]),
        "best": None if best is None else setting_document(best) | {"replica_hours": each.best_hours},
        "kept": None if chosen is None else chosen.kept[number],
        "fraction_503": None if runs is None else _fraction(runs.n_503, runs),
        "fraction_504": None if runs is None else _fraction(runs.n_504, runs),
        "fraction_failed": None if runs is None else _fraction(runs.n_503 + runs.n_504, runs),
        "replica_hours": None if runs is None else estimate_document(mean(runs.paid_s / 3600, exact=runs.exact)),
    }


def _fraction(hits: FloatArray, runs: Runs) -> dict[str, Any] | None:
    return estimate_document(fraction(hits, runs.n, exact=runs.exact))


def _input_document(given: UncertainInput, planned: Sequence[Planned]) -> dict[str, Any]:
    at = {end: _best_at(given.name, end, planned) for end in (-1.0, 0.0, 1.0)}
    values = {-1.0: given.low, 0.0: given.mid, 1.0: given.high}
    names = {-1.0: "low", 0.0: "mid", 1.0: "high"}
    return {
        "name": given.name,
        "unit": given.unit,
        **{names[end]: value for end, value in values.items()},
        **{f"replica_hours_{names[end]}": None if each is None else each.best_hours for end, each in at.items()},
        **{f"replicas_{names[end]}": _min_replicas(each) for end, each in at.items()},
        "sentence": _worth(given, at),
    }


def _best_at(name: str, end: float, planned: Sequence[Planned]) -> Planned | None:
    wanted = {} if end == 0 else {name: end}
    found = [each for each in planned if dict(each.world.positions) == wanted]
    return found[0] if found and found[0].found.best is not None else None


def _min_replicas(each: Planned | None) -> int | None:
    return None if each is None or each.found.best is None else each.found.best.min_replicas


def _worth(given: UncertainInput, at: dict[float, Planned | None]) -> str:
    mid = at[0.0]
    parts = []
    for end, value in ((-1.0, given.low), (1.0, given.high)):
        change = f"{abs(value - given.mid):.4g} {given.unit} {'less' if end < 0 else 'more'}"
        each = at[end]
        if mid is None or each is None or mid.best_hours is None or each.best_hours is None:
            parts.append(
                f"{change}: no setting keeps the promise" if each is None else f"{change}: a promise that can be kept"
            )
            continue
        before, after = _min_replicas(mid) or 0, _min_replicas(each) or 0
        hours = f"{_hours(mid)} to {_hours(each)} replica-hours"
        word = "saves" if each.best_hours < mid.best_hours else "costs"
        moved = (
            "no replica"
            if before == after
            else f"{abs(after - before)} replica{'s' if abs(after - before) > 1 else ''}"
        )
        parts.append(f"{change} {word} {moved} (min {before} to {after}, {hours})")
    return f"{given.name.replace('_', ' ')}: {'; '.join(parts)}"


def _hours(each: Planned) -> str:
    """What a world's own plan costs, with the interval that the runs of the search leave."""
    assert each.found.best is not None
    cost = each.found.assessed[each.found.best].cost
    low, high = ((cost.mean_s + k * cost.error_s) / 3600 for k in (-1.96, 1.96))
    return f"{cost.mean_s / 3600:.4g}" + (f" ({low:.4g} to {high:.4g})" if cost.error_s > 0 else "")


def _range(worth: dict[str, Any]) -> float:
    """In replica-hours; without any plan at one end it matters more than any number."""
    hours = [worth[f"replica_hours_{end}"] for end in ("low", "mid", "high")]
    return float("inf") if None in hours else max(hours) - min(hours)


def _candidate_document(
    candidate: Candidate, planned: Sequence[Planned], is_chosen: bool, criterion: Criterion, kept_in: float
) -> dict[str, Any]:
    """The worlds are a sample too: share and mean have the intervals of so few."""
    counted = np.array([each.world.counts for each in planned])
    kept, hours = share_of_runs(np.array(candidate.kept)[counted]), mean(np.array(candidate.hours)[counted])
    return setting_document(candidate.setting) | {
        "worker_count": candidate.setting.worker_count,
        "kept_share": candidate.kept_share,
        "kept_share_estimate": estimate_document(kept),
        "mean_replica_hours": candidate.mean_hours,
        "replica_hours": estimate_document(hours) if hours.resolved else None,
        "largest_regret_replica_hours": candidate.largest_regret_hours,
        "is_recommended": is_chosen,
        "reason": _reason(candidate, kept, hours, is_chosen, criterion, kept_in),
    }


def _reason(
    candidate: Candidate, kept: Estimate, hours: Estimate, is_chosen: bool, criterion: Criterion, kept_in: float
) -> str:
    said = f"kept in {percent(kept.value)} ({percent(kept.low)} to {percent(kept.high)}) of the worlds"
    spread = f" ({hours.low:.4g} to {hours.high:.4g})" if hours.resolved else ""
    cost = f"{hours.value:.4g}{spread} replica-hours on average"
    if criterion is Criterion.LEAST_REGRET:
        regret = f"largest regret {candidate.largest_regret_hours:.4g} replica-hours, {said}, {cost}"
        return f"{regret}: the least" if is_chosen else regret
    if is_chosen:
        return f"{said}, {cost}: the cheapest of those"
    if candidate.kept_share < kept_in:
        return f"{said}, wanted {percent(kept_in)}; {cost}"
    return f"{said}, but {cost}"


def _sentence(
    planned: Sequence[Planned],
    found: Sequence[Candidate],
    chosen: Candidate | None,
    criterion: Criterion,
    kept_in: float,
) -> str:
    counted = sum(each.world.counts for each in planned)
    wanted = percent(kept_in)
    if chosen is None:
        most = max((c.kept_share for c in found), default=0.0)
        return f"No setting keeps the promise in {wanted} of the {counted} worlds; the best does in {percent(most)}."
    kept = sum(k and each.world.counts for k, each in zip(chosen.kept, planned, strict=True))
    aim = f"wanted {wanted}" if criterion is Criterion.KEPT else "chosen by least regret"
    return (
        f"The recommended setting keeps the promise in {kept} of {counted} worlds ({aim}), for "
        f"{chosen.mean_hours:.4g} replica-hours on average."
    )
