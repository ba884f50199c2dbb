"""The figures of a report, each as an image with its title and how to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from planner.model import Outcome
from planner.report import vocabulary
from planner.report.data import RunReport
from planner.report.figures import comparison, over_time
from planner.report.figures.style import LABELS_IN, data_uri, legend_above, panels, styled
from planner.report.numbers import time
from planner.report.timeline import Timeline, cause_shares, rate_profile, short_spans, timeline

NARROWEST_SPAN = 300
"""A span shorter than this part of the run would be a hairline."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One figure of the page. uri: the image itself. how_to_read: one or two sentences, also its alternative text."""

    key: str
    title: str
    uri: str
    how_to_read: str


def pictures(report: RunReport) -> dict[str, Picture]:
    """Every figure that this run has data for, by key."""
    with styled():
        makers = (_run, _cumulative, _intervals, _alternatives, _causes, _latency)
        return {picture.key: picture for make in makers for picture in make(report)}


def _run(report: RunReport) -> Iterator[Picture]:
    scenario, run = report.scenario, timeline(report)
    all_spans = short_spans(report.replicas, report.seen_until_s)
    spans = [(start, end) for start, end in all_spans if end - start >= scenario.duration_s / NARROWEST_SPAN]
    draws: list[tuple[float, Callable[[Axes], object]]] = [
        (1.5, lambda ax: over_time.draw_traffic(ax, run, rate_profile(scenario))),
        (1.7, lambda ax: over_time.draw_replicas(ax, report, run.edges_s)),
        (1.2, lambda ax: over_time.draw_503s(ax, run)),
        (1.7, lambda ax: over_time.draw_latency(ax, report, run.edges_s)),
    ]
    if report.replicas is None and report.over_time is None:
        del draws[1]
    figure, axes = panels([height for height, _ in draws], share_x=True)
    for i, (ax, (_, draw)) in enumerate(zip(axes, draws, strict=True)):
        draw(ax)
        over_time.shade(ax, spans, "fewer ready than desired" if i == 0 else None)
        over_time.time_axis(ax, scenario.duration_s, scenario.warm_up_s, label=i == len(draws) - 1)
        over_time.mark_early_end(ax, report)
        legend_above(ax)
    how_to_read = _run_in_words(report, run, spans, all_are_drawn=len(spans) == len(all_spans))
    yield Picture(key="run", title="The run on one time axis", uri=data_uri(figure), how_to_read=how_to_read)


def _run_in_words(report: RunReport, run: Timeline, spans: Sequence[object], *, all_are_drawn: bool) -> str:
    replicas = "" if report.replicas is None and report.over_time is None else "how many replicas there were for it, "
    many = len(report.requests) > over_time.MOST_POINTS
    waited = "how long answers took" if many else "how long each request waited for its answer"
    words = f"From top to bottom: what was sent, {replicas}how many requests per second got 503, and {waited}."
    if spans:
        shorter = f" (spans under {time(report.scenario.duration_s / NARROWEST_SPAN)} are left out)"
        words += " In the grey spans fewer replicas were ready than the autoscaler wanted"
        words += "." if all_are_drawn else f"{shorter}."
    if run.bin_s != 1:
        words += f" Rates are averages over {time(run.bin_s)}."
    if report.scenario.warm_up_s:
        words += " The hatched warm-up is in no statistic."
    if report.seen_until_s < report.scenario.duration_s:
        words += f" The replay ended after {time(report.seen_until_s)}: nothing was seen where the page is crossed out."
    return words


def _cumulative(report: RunReport) -> Iterator[Picture]:
    figure, (ax,) = panels([2.2])
    over_time.draw_cumulative(ax, report)
    over_time.time_axis(ax, report.scenario.duration_s, report.scenario.warm_up_s)
    over_time.mark_early_end(ax, report)
    legend_above(ax)
    band = (
        " Where the model is right, the line stays in or close to the band, in which "
        f"{over_time.band_name(report)} lie at any one time."
        if report.over_time is not None
        else " Nothing was predicted for this run."
    )
    yield Picture(
        key="cumulative",
        title="503s so far, observed and predicted" if report.over_time is not None else "503s so far",
        uri=data_uri(figure),
        how_to_read=f"The line climbs whenever requests get 503; its end is the total.{band}",
    )


def _intervals(report: RunReport) -> Iterator[Picture]:
    statistics = report.validation["statistics"]
    if not statistics or report.predicted_503 is None:
        return
    figure, axes = panels([0.5] * len(statistics))
    for i, (ax, statistic) in enumerate(zip(axes, statistics, strict=True)):
        words = vocabulary.statistic(statistic["name"])
        predicted = report.validation["predicted"].get(statistic["name"])
        mean = None if predicted is None else predicted["value"]
        comparison.draw_interval(ax, statistic, mean=mean, scale=words.scale, label=f"{words.name}, {words.unit}")
        if i == 0:
            legend_above(ax)
    yield Picture(
        key="intervals",
        title="Observed values in their prediction intervals",
        uri=data_uri(figure),
        how_to_read="Each bar spans what single runs of the model give; a diamond inside its bar agrees with the "
        "model, one outside (vermillion) contradicts it.",
    )


def _alternatives(report: RunReport) -> Iterator[Picture]:
    document, observed = report.validation, report.fraction_503
    passing = [*document["cannot_tell_apart"], *document.get("explanations", [])]
    changes = [(vocabulary.change(c), c["fraction_503"], True) for c in passing]
    changes += [(vocabulary.change(c), c["fraction_503"], False) for c in document.get("told_apart", [])]
    if not changes or report.predicted_503 is None or observed is None:
        return
    changes.sort(key=lambda change: change[0])
    figure, (ax,) = panels([0.27 * len(changes) + 0.3], left_in=LABELS_IN)
    interval = (report.predicted_503["prediction_low"], report.predicted_503["prediction_high"])
    comparison.draw_alternatives(ax, changes, interval=interval, observed=observed)
    legend_above(ax)
    yield Picture(
        key="alternatives",
        title="The same run if one setting were different",
        uri=data_uri(figure),
        how_to_read="Each dot is the share of 503s that the model predicts for these requests after one change. "
        "Filled: with that change this run would have failed. Hollow: it would have passed, so the run cannot tell the "
        "change from the truth. A filled dot inside the blue band fails by when the 503s came or by the replicas.",
    )


def _causes(report: RunReport) -> Iterator[Picture]:
    rows = [(vocabulary.CAUSES[cause], predicted, observed) for cause, predicted, observed in cause_shares(report)]
    if not rows:
        return
    figure, (ax,) = panels([0.42 * len(rows) + 0.25], left_in=LABELS_IN)
    comparison.draw_causes(ax, rows)
    legend_above(ax)
    logged = "" if rows[0][2] is None else " The observed ones are read off the replica log at the instant of each 503."
    yield Picture(
        key="causes",
        title="Why requests got 503",
        uri=data_uri(figure),
        how_to_read="Each 503 has one cause, the first that holds at its instant; the bars of one colour add up to "
        f"100 %.{logged}",
    )


def _latency(report: RunReport) -> Iterator[Picture]:
    log = report.requests
    ok = report.with_outcome(Outcome.OK)
    if ok.sum() < 2:
        return
    figure, (ax,) = panels([2.2])
    latencies = [
        ("from the planned send", log.finish_s[ok] - log.scheduled_s[ok]),
        ("from the actual send", log.finish_s[ok] - log.sent_s[ok]),
    ]
    slo = report.scenario.slo
    comparison.draw_latency_tail(ax, latencies, None if slo is None else slo.p99_latency_s)
    legend_above(ax)
    yield Picture(
        key="latency",
        title="How long answers took",
        uri=data_uri(figure),
        how_to_read="Read across from 1 % to the line, then down: the time that one answer in a hundred exceeds. The "
        "two lines part only if the load generator was late; then the one from the planned send is what users would "
        "have felt.",
    )
