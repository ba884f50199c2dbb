"""The form of values that may be uncertain: plain, or an interval `{low: 80ms, mid: 120ms, high: 200ms}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Discriminator, Tag, model_validator
from pydantic_core import PydanticCustomError

from planner.scenario_file.values import PositiveSeconds, Rps, Scale, Seconds, Strict

KEYS = ("low", "mid", "high")

OUT_OF_ORDER = "out_of_order"
"""The error of an interval whose values are; its context holds `disorder`: (key, the sentence about it, other key)."""


class Interval(Strict):
    """An uncertain value. `plan` looks at all of it, every other command at mid."""

    low: Any
    mid: Any
    high: Any

    @model_validator(mode="after")
    def _in_order(self) -> Interval:
        disorder = []
        if self.mid < self.low:
            disorder.append(("mid", "must be at least low", "low"))
        if self.high < self.mid:
            disorder.append(("high", "must be at least mid", "mid"))
        if not disorder and self.high == self.low:
            disorder.append(("high", "must be above low", "low"))
        if disorder:
            raise PydanticCustomError(OUT_OF_ORDER, "must have low <= mid <= high", {"disorder": disorder})
        return self


class SecondsInterval(Interval):
    __doc__ = Interval.__doc__
    low: Seconds
    mid: Seconds
    high: Seconds


class PositiveSecondsInterval(Interval):
    __doc__ = Interval.__doc__
    low: PositiveSeconds
    mid: PositiveSeconds
    high: PositiveSeconds


class RpsInterval(Interval):
    __doc__ = Interval.__doc__
    low: Rps
    mid: Rps
    high: Rps


class ScaleInterval(Interval):
    __doc__ = Interval.__doc__
    low: Scale
    mid: Scale
    high: Scale


PLAIN_VALUE = "PlainValue"


def _tagged(interval: type[Interval]) -> Callable[[Any], str]:
    return lambda value: interval.__name__ if isinstance(value, dict) else PLAIN_VALUE


UncertainSeconds = Annotated[
    Annotated[Seconds, Tag(PLAIN_VALUE)] | Annotated[SecondsInterval, Tag("SecondsInterval")],
    Discriminator(_tagged(SecondsInterval)),
]
UncertainPositiveSeconds = Annotated[
    Annotated[PositiveSeconds, Tag(PLAIN_VALUE)] | Annotated[PositiveSecondsInterval, Tag("PositiveSecondsInterval")],
    Discriminator(_tagged(PositiveSecondsInterval)),
]
UncertainRps = Annotated[
    Annotated[Rps, Tag(PLAIN_VALUE)] | Annotated[RpsInterval, Tag("RpsInterval")],
    Discriminator(_tagged(RpsInterval)),
]
UncertainScale = Annotated[
    Annotated[Scale, Tag(PLAIN_VALUE)] | Annotated[ScaleInterval, Tag("ScaleInterval")],
    Discriminator(_tagged(ScaleInterval)),
]
