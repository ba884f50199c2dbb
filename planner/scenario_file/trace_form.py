"""The form of `traffic.arrivals.trace`: which trace a scenario plays, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from planner.scenario_file.interval_form import UncertainScale
from planner.scenario_file.values import (
    Methods,
    PositiveNumber,
    PositiveTraceSeconds,
    Scale,
    Statuses,
    Strict,
    TraceFormat,
    TraceStart,
    UrlPaths,
)


class Gamma(Strict):
    cv: PositiveNumber = Field(description="Burstiness: standard deviation of the gaps over their mean. 1 is Poisson.")


class GammaArrivals(Strict):
    gamma: Gamma


ArrivalWord = Literal["regular", "poisson"]
UNKNOWN_STEP_ARRIVALS = "unknown_step_arrivals"
StepArrivals = Annotated[
    Annotated[ArrivalWord, Tag("ArrivalWord")] | Annotated[GammaArrivals, Tag("GammaArrivals")],
    Discriminator(
        lambda value: "ArrivalWord" if isinstance(value, str) else "GammaArrivals" if isinstance(value, dict) else None,
        custom_error_type=UNKNOWN_STEP_ARRIVALS,
        custom_error_message="unknown",
    ),
]
"""How requests come within a step of a rate."""


class TraceSlice(Strict):
    file: str = Field(description="CSV, Parquet or access log (.log); a relative path is relative to this file.")
    format: TraceFormat | None = Field(None, description="Default: found in the file's content.")
    path: UrlPaths | None = Field(
        None, description="Of a log, only requests for exactly this path, or one of these, the query left out."
    )
    method: Methods | None = Field(None, description="Of a log, only requests with this method, or with one of these.")
    status: Statuses | None = Field(None, description="Of a log, only requests with this status, or with one of these.")
    stamps: Literal["start", "end"] | None = Field(
        None, description="Which moment of a request its stamp names. Default: as the format has it."
    )
    from_: TraceStart = Field(
        0.0,
        alias="from",
        description="Start of the slice: a duration after the first request, a time of day (the first occurrence) or "
        "an ISO 8601 time, in the offset of the trace.",
    )
    for_: PositiveTraceSeconds | None = Field(
        None, alias="for", description="Length of the slice in the trace's own time."
    )
    rate_scale: UncertainScale = Field(1.0, description="Below 1 thins, above 1 adds jittered copies.")
    time_scale: Scale = Field(1.0, description="0.5 plays twice as fast.")
    one_second_stamps: Literal["spread", "start_of_second"] = Field(
        "spread", description="What to do with stamps that were cut to whole seconds."
    )
    bin: PositiveTraceSeconds | None = Field(
        None, description="Width of each bin of counts, or of the last step of a rate. Default: found in the stamps."
    )
    spread: Literal["uniform", "even"] = Field(
        "uniform", description="How requests are spread inside a whole second or a bin of counts."
    )
    arrivals: StepArrivals | None = Field(
        None, description="Of a file of rates: how requests come within a step. Default: poisson."
    )
    dates: Literal["day_first", "month_first"] | None = Field(
        None, description="Of dates such as 04/05/2026. Default: found in the file, refused where no row shows it."
    )
