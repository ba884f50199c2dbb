"""The verdict on a pair of runs: `different`, `no difference seen` or `cannot tell`, each with its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from planner.percent import percent

DIFFERENT, NO_DIFFERENCE, CANNOT_TELL = "different", "no difference seen", "cannot tell"

FAR = 3.0
"""Where the model does not hold for run A, its chance interval may be too narrow; one so many times as wide decides.
A guess: the spread of a clustered count grows with the root of its mean, so it covers nine times the 503s."""

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A number of both runs. chance: where b - a (or the distance) lies if both have A's settings.

    predicted: where it lies if each has its own. Both are None where nothing was simulated.
    """

    name: str
    a: float | None
    b: float | None
    distance: float | None = None
    """Where what is judged is not b - a, but how far two curves are from each other."""
    chance: Interval | None = None
    predicted: Interval | None = None
    predicted_median: float | None = None

    def within(
        self, chance: Interval | None, predicted: Interval | None = None, median: float | None = None
    ) -> Difference:
        return replace(self, chance=chance, predicted=predicted, predicted_median=median)

    @property
    def value(self) -> float | None:
        if self.distance is not None:
            return self.distance
        return None if self.a is None or self.b is None else self.b - self.a

    def is_outside(self, widened: float = 1.0) -> bool:
        """Whether it is more than chance makes, the interval so many times as wide."""
        if self.value is None or self.chance is None:
            return False
        low, high = self.chance
        if self.distance is not None:
            return self.distance > widened * high
        middle, half = (low + high) / 2, (high - low) / 2
        return abs(self.value - middle) > widened * half

    def document(self, *, predicted: bool = True) -> dict[str, Any]:
        low, high = self.chance or (None, None)
        found = {"a": self.a, "b": self.b, "difference": self.value, "chance_low": low, "chance_high": high}
        if predicted:
            low, high = self.predicted or (None, None)
            found |= {"predicted_low": low, "predicted_high": high, "predicted_median": self.predicted_median}
        return found


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that the verdict rests on. alike: both scenarios have the same endpoint.

    has_504: a run or a simulated one saw some, so that they are judged. fraction_failed is only told.
    """

    fraction_503: Difference
    fraction_504: Difference
    fraction_failed: Difference
    error_rate: float
    same_requests: bool
    has_504: bool = False
    alike: bool = True
    simulated: int = 0
    model_holds: dict[str, dict[str, Any]] | None = None
    ready: Difference | None = None
    service_time: Difference | None = None

    @property
    def judged(self) -> list[Difference]:
        """What a model that does not hold makes doubtful."""
        found = [self.fraction_503, self.fraction_504 if self.has_504 else None, self.ready]
        return [d for d in found if d is not None]


def conclude(evidence: Evidence, blocked: list[str], empty: list[str], doubts: list[str]) -> tuple[str, list[str]]:
    """The word and its reasons. blocked: why nothing was simulated. empty: names of runs without an answer."""
    if empty:
        names = " and ".join(empty)
        return CANNOT_TELL, [f"{names}: no request that counts has an answer, so there is nothing to compare.", *doubts]
    if blocked:
        return CANNOT_TELL, [_plain_sentence(evidence.fraction_503), *blocked, *doubts]
    assert evidence.model_holds is not None
    holds = evidence.model_holds["a"]["holds"]
    widened = 1.0 if holds else FAR
    outside = [d for d in evidence.judged if d.is_outside(widened)]
    if evidence.service_time is not None and evidence.service_time.is_outside():
        outside.append(evidence.service_time)
    reasons = [_chance_sentence(evidence)]
    if not evidence.alike:
        reasons.append(_prediction_sentence(evidence.fraction_503))
    reasons += [_other_sentence(d) for d in outside if d is not evidence.fraction_503]
    reasons += _model_sentences(evidence)
    return _word(evidence, outside, holds), reasons + doubts


def _word(evidence: Evidence, outside: list[Difference], holds: bool) -> str:
    if outside:
        return DIFFERENT
    if not holds and any(d.is_outside() for d in evidence.judged):
        return CANNOT_TELL
    return CANNOT_TELL if not evidence.alike and _fits_both(evidence.fraction_503) else NO_DIFFERENCE


def _fits_both(fraction: Difference) -> bool:
    """Whether no effect and an effect that usually shows would both have looked like this."""
    assert fraction.chance is not None
    assert fraction.predicted is not None
    assert fraction.predicted_median is not None
    shows = not fraction.chance[0] <= fraction.predicted_median <= fraction.chance[1]
    return shows and _is_as_predicted(fraction) and not fraction.is_outside()


def _is_as_predicted(fraction: Difference) -> bool:
    assert fraction.predicted is not None
    assert fraction.value is not None
    return fraction.predicted[0] <= fraction.value <= fraction.predicted[1]


def _plain_sentence(fraction: Difference) -> str:
    assert fraction.a is not None
    assert fraction.b is not None
    a, b = percent(fraction.a), percent(fraction.b)
    return f"503s: {a} in run A, {b} in run B, a difference of {_points(fraction.b - fraction.a)}."


def _chance_sentence(evidence: Evidence) -> str:
    fraction = evidence.fraction_503
    assert fraction.chance is not None
    whose = "equal settings" if evidence.alike else "the settings of run A in both"
    traffic = "" if evidence.same_requests else ", each on the requests that it sent (they differ)"
    side = "more than chance alone makes" if fraction.is_outside() else "no more than chance alone makes"
    nothing = " Neither run saw a 503." if fraction.a == fraction.b == 0 else ""
    return (
        f"{_plain_sentence(fraction)} That is {side}: with {whose}{traffic} it lies between "
        f"{_points(fraction.chance[0])} and {_points(fraction.chance[1])} in {percent(1 - evidence.error_rate)} of "
        f"simulated pairs.{nothing}"
    )


def _prediction_sentence(fraction: Difference) -> str:
    assert fraction.predicted is not None
    assert fraction.predicted_median is not None
    low, high = fraction.predicted
    word = "as" if _is_as_predicted(fraction) else "not as"
    hidden = ""
    if fraction.chance is not None and fraction.chance[0] <= fraction.predicted_median <= fraction.chance[1]:
        hidden = "; that effect is too small to be told from chance in most pairs of such runs"
    elif _fits_both(fraction):
        hidden = "; no effect would have looked like this as well"
    return (
        f"It is {word} the model predicts for the change of settings: {_points(fraction.predicted_median)} "
        f"({_points(low)} to {_points(high)}){hidden}."
    )


def _other_sentence(d: Difference) -> str:
    assert d.a is not None
    assert d.b is not None
    assert d.value is not None
    assert d.chance is not None
    if d.name == "fraction_504":
        return (
            f"504s: {percent(d.a)} in run A, {percent(d.b)} in run B, a difference of {_points(d.value)}; chance alone "
            f"makes between {_points(d.chance[0])} and {_points(d.chance[1])}."
        )
    if d.name == "ready_replicas":
        return (
            f"The ready replicas are {d.value:.3g} apart on average ({d.a:.3g} in run A, {d.b:.3g} in run B), chance "
            f"alone makes at most {d.chance[1]:.3g}."
        )
    return (
        f"The mean service time is {d.a:.4g} s in run A and {d.b:.4g} s in run B, a difference of {d.value:+.3g} s "
        f"where chance makes {d.chance[1]:.3g} s at most; each run was simulated with its own service times."
    )


def _model_sentences(evidence: Evidence) -> list[str]:
    assert evidence.model_holds is not None
    found = []
    for which, own in (("A", evidence.model_holds["a"]), ("B", evidence.model_holds["b"])):
        if own["holds"]:
            continue
        what, end = ("503s", "") if not own["holds_503"] else ("504s", "_504")
        found.append(
            f"The model does not hold for run {which}: its fraction of {what} lies outside all {evidence.simulated} "
            f"simulated runs of its scenario ({percent(own[f'low{end}'])} to {percent(own[f'high{end}'])})"
            + (f"; a difference counts only beyond {FAR:g} times the chance interval." if which == "A" else ".")
        )
    return found


def _points(difference: float) -> str:
    """A difference of fractions in percentage points."""
    return f"{100 * difference:+.3g} points"
