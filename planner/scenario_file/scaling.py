"""More or less of a recorded trace: its file read again, thinned or with copies."""

from __future__ import annotations

import dataclasses

from planner.scenario import Scenario
from planner.scenario_file.build import build
from planner.scenario_file.overrides import override
from planner.scenario_file.problems import value_at
from planner.scenario_file.retiming import duration_text
from planner.scenario_file.yaml_text import parse
from planner.service import FromTrace

RATE_SCALE = ("traffic", "arrivals", "trace", "rate_scale")


def scaled_trace(scenario: Scenario, factor: float) -> Scenario:
    """A scenario that was read from a file and plays a trace, with `rate_scale` times `factor`; all else stays.

    The kept requests of a smaller factor are among those of a larger one. Raises InputError where so much is not
    supported, or no request is left.
    """
    assert scenario.source is not None
    document = parse(scenario.text, scenario.source.name)
    given = value_at(document, RATE_SCALE)
    rate_scale = float((given["mid"] if isinstance(given, dict) else given) or 1.0) * factor
    changed = override(document, {".".join(RATE_SCALE): rate_scale})
    made = build(changed, scenario.source.name, scenario.source.parent)
    if made.duration_s > scenario.duration_s:  # thinned, its last request came earlier than that of the whole trace
        changed = override(changed, {"duration": duration_text(scenario.duration_s)})
        made = build(changed, scenario.source.name, scenario.source.parent)
    service_time = made.service_time if isinstance(scenario.service_time, FromTrace) else scenario.service_time
    return dataclasses.replace(scenario, arrivals=made.arrivals, service_time=service_time, request=made.request)
