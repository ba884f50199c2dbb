"""What the options of `plan` may say."""

from __future__ import annotations

import math
from typing import Any

from planner import units
from planner.cli.ranges import read_range
from planner.errors import InputError
from planner.model import MOST_PER_REPLICA, MOST_REPLICAS, Autoscaler
from planner.plan.robust import Criterion
from planner.plan.space import Ranges
from planner.scenario import Scenario
from planner.scenario_file.bounds import MOST_SLOTS
from planner.scenario_file.yaml_text import scalar

LARGEST_PRICE = 1e9


def read_ranges(
    scenario: Scenario,
    *,
    min_replicas: str | None,
    max_replicas: str | None,
    target_percent: str | None,
    max_concurrent: str | None,
) -> Ranges:
    """The ranges of the options; all problems are reported at once."""
    problems: list[str] = []

    def read(option: str, text: str | None, most: int) -> tuple[int, ...] | None:
        try:
            return read_range(option, text, 1, most)
        except InputError as error:
            problems.extend(error.problems)
            return None

    if scenario.deployment.autoscaler is Autoscaler.FIXED:
        for option, text in (
            ("autoscale-min-replicas", min_replicas),
            ("autoscale-target-utilization", target_percent),
        ):
            if text is not None:
                problems.append(f"--{option} = {text}, not used with autoscaler: fixed")
    ranges = Ranges(
        min_replicas=read("autoscale-min-replicas", min_replicas, MOST_REPLICAS),
        max_replicas=read("autoscale-max-replicas", max_replicas, MOST_REPLICAS),
        target_percent=read("autoscale-target-utilization", target_percent, 100),
        max_concurrent=read("replica-max-concurrent-requests", max_concurrent, MOST_PER_REPLICA),
    )
    sizes = ranges.max_concurrent or (scenario.deployment.max_concurrent_requests,)
    if not problems and ranges.max_replicas and (slots := ranges.max_replicas[-1] * sizes[-1]) > MOST_SLOTS:
        problems.append(
            f"--autoscale-max-replicas = {max_replicas}, holds {slots:,} requests, at most {MOST_SLOTS:,} are supported"
        )
    if problems:
        raise InputError(*problems)
    return ranges


def read_price(price: float | None) -> None:
    if price is not None and not (math.isfinite(price) and 0 <= price <= LARGEST_PRICE):
        raise InputError(f"--price = {price}, must be from 0 to {LARGEST_PRICE:g}")


def read_robustness(
    scenario: Scenario, *, kept_in: str | None, least_regret: bool, worlds: int | None, at_mid_by: str | None = None
) -> dict[str, Any]:
    """How a plan over worlds is chosen, as fields of `planner.cli.planning.Wanted`. at_mid_by: the option, if any, by
    which every input is at its mid."""
    asked = {"--kept-in": kept_in, "--least-regret": least_regret or None, "--worlds": worlds}
    given = [name for name, value in asked.items() if value is not None]
    if given and not scenario.uncertain:
        raise InputError(
            f"{given[0]}: {scenario.name} has no interval ({{low: …, mid: …, high: …}}), so there is one world"
        )
    if given and at_mid_by is not None:
        raise InputError(f"{given[0]}: only used by the search, {at_mid_by} takes every input at its mid")
    if kept_in is not None and least_regret:
        raise InputError("--kept-in and --least-regret are two ways to choose: give one of them")
    found: dict[str, Any] = {"criterion": Criterion.LEAST_REGRET if least_regret else Criterion.KEPT}
    if worlds is not None:
        found["worlds"] = worlds
    if kept_in is not None:
        try:
            found["kept_in"] = units.fraction(scalar(kept_in))
        except ValueError as bound:
            raise InputError(f"--kept-in = {kept_in}, {bound}") from None
        if found["kept_in"] == 0:
            raise InputError(f"--kept-in = {kept_in}, must be above 0%")
    return found


def check_modes(
    *, exhaustive: bool, as_is: bool, replications: int | None, max_requests: int | None, ranges: Ranges
) -> None:
    """Options that say nothing together."""
    if exhaustive and as_is:
        raise InputError("--exhaustive searches everything and --as-is nothing: give one of them")
    if replications is not None and not (exhaustive or as_is):
        raise InputError(
            f"--replications = {replications}, only used with --exhaustive and --as-is: a search decides by itself"
        )
    if max_requests is not None and (exhaustive or as_is):
        raise InputError(f"--max-requests = {max_requests}, only used by the search, not with --exhaustive or --as-is")
    if as_is and ranges != Ranges():
        raise InputError("--as-is searches nothing: it takes no ranges")
