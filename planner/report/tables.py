"""The report's tables of results: rows of text, made of the documents alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from planner.model import Outcome
from planner.report import vocabulary
from planner.report.data import RunReport
from planner.report.numbers import bound, count, estimate, interval, percent, plain, plural, time
from planner.report.timeline import cause_shares

ACHIEVED_AT_LEAST, LATE_AT_MOST, SEND_ERROR_P99_AT_MOST_S = 0.99, 0.01, 0.050
"""What makes a generator valid, as the replay judges it (a test holds the two together)."""


class Row(NamedTuple):
    """One line of a table. note: what the value means or is to be held against."""

    label: str
    value: str
    note: str = ""


def key_figures(report: RunReport) -> list[Row]:
    """The numbers that a reader takes along."""
    seen, predicted = report.validation["observed"], report.predicted_503
    figures = [
        Row(
            "503s observed",
            percent(report.fraction_503),
            f"{count(seen['answers_503'])} of {plural(seen['requests'], 'answered request')}",
        )
    ]
    if predicted is not None:
        single = interval(percent(predicted["prediction_low"]), percent(predicted["prediction_high"]))
        figures.append(Row("503s predicted", percent(predicted["value"]), f"mean; single runs {single}"))
    failed = report.failures
    if failed.n_504 or failed.n_other:
        kinds = f"{count(failed.n_503)} 503s, {count(failed.n_504)} 504s, {count(failed.n_other)} in other ways"
        if (expected := report.validation["predicted"].get("fraction_failed")) is not None:
            single = interval(percent(expected["prediction_low"]), percent(expected["prediction_high"]))
            kinds += f"; predicted {percent(expected['value'])}, single runs {single}"
        figures.append(Row("failed", percent(failed.fraction(failed.n_failed)), kinds))
    p99_s = report.summary["observed"]["latency_from_schedule_s"]["p99"]
    if p99_s is not None:
        figures.append(Row("p99 latency", time(p99_s), "one 200 answer in a hundred took longer"))
    if report.replicas is not None and (report.replicas.ready >= 0).all():
        ready = report.replicas.ready
        figures.append(Row("ready replicas", f"{ready.min()} to {ready.max()}", f"{ready[0]} of them at the start"))
    return figures


def statistics_rows(report: RunReport) -> list[tuple[str, str, str, str, str, bool]]:
    """Name, observed, prediction interval, p, meaning, inside: one row for each statistic of the verdict."""
    rows = []
    for s in report.validation["statistics"]:
        words = vocabulary.statistic(s["name"])
        form = {"fraction_503": percent, "fraction_504": percent, "mean_service_time_s": time}.get(s["name"], plain)
        ends = interval(form(s["low"]), form(s["high"]))
        rows.append((words.name, form(s["value"]), ends, f"{s['p_value']:.3f}", words.meaning, bool(s["inside"])))
    return rows


def latency_rows(report: RunReport) -> list[tuple[str, ...]]:
    """From the planned and from the actual send: p50, p90, p99, max."""
    observed = report.summary["observed"]
    return [
        (title, *(time(observed[name][q]) for q in ("p50", "p90", "p99", "max")))
        for title, name in (
            ("from the planned send", "latency_from_schedule_s"),
            ("from the actual send", "latency_from_send_s"),
        )
    ]


def cause_rows(report: RunReport) -> list[tuple[str, str, str, str]]:
    """Cause, predicted and observed share of the 503s, meaning: of every cause that is worth a row."""
    return [
        (vocabulary.CAUSES[cause], percent(predicted), percent(observed), vocabulary.CAUSE_MEANINGS[cause])
        for cause, predicted, observed in cause_shares(report)
    ]


def generator_rows(report: RunReport) -> list[Row]:
    """How well the load generator kept to the plan."""
    g = report.validation["generator"]
    return [
        Row("Sent of planned", percent(g["achieved_fraction"]), f"at least {bound(ACHIEVED_AT_LEAST)} for a verdict"),
        Row("Send error, median", time(g["send_error_p50_s"]), "actual minus planned send time"),
        Row("Send error, p99", time(g["send_error_p99_s"]), f"at most {time(SEND_ERROR_P99_AT_MOST_S)} for a verdict"),
        Row("Send error, largest", time(g["send_error_max_s"]), ""),
        Row("More than 50 ms late", percent(g["late_fraction"]), f"at most {bound(LATE_AT_MOST)} for a verdict"),
        Row("Most requests in flight", plain(g["max_in_flight"]), "out at one time, waiting for their answers"),
    ]


OUTCOMES = {
    Outcome.OK: ("200", "answered by a replica"),
    Outcome.STATUS_503: ("503", "waited in vain for a free replica"),
    Outcome.STATUS_504: ("504", "the answer took longer than the scoring timeout"),
    Outcome.BAD_RESPONSE: ("200 with a wrong body", "answered, but not as the endpoint should"),
    Outcome.STATUS_429: ("429", "refused: too many requests"),
    Outcome.OTHER_4XX: ("other 4xx", "refused as a faulty request"),
    Outcome.OTHER_5XX: ("other 5xx", "the endpoint failed"),
    Outcome.OTHER_STATUS: ("another status", "neither 2xx, 4xx nor 5xx"),
    Outcome.TIMEOUT: ("client timeout", "no answer within the client's own, longer limit"),
    Outcome.CONNECTION_ERROR: ("connection error", "no connection, or one that broke"),
    Outcome.IN_FLIGHT_AT_STOP: ("in flight at the stop", "without an answer when the run was stopped"),
    Outcome.UNRESOLVED: ("unresolved", "sent, but nobody knows the answer"),
    Outcome.SKIPPED_LATE: ("skipped", "not sent, since it would have left far too late"),
    Outcome.DROPPED_MAX_INFLIGHT: ("dropped", "not sent, since too many were in flight"),
    Outcome.NOT_REACHED: ("not reached", "not sent, since the run ended before their time"),
    Outcome.UNACCOUNTED: ("unaccounted", "nobody knows what became of them"),
}


def book_rows(report: RunReport, *, sent: bool) -> tuple[list[Row], str]:
    """The books of the requests that were sent, or of those that were not; and the names of the entries that are 0."""
    books = report.validation["books"]
    rows, zeros = [], []
    for outcome, (name, meaning) in OUTCOMES.items():
        if outcome.was_sent is sent:
            number = books[outcome.name.lower()]
            if number:
                rows.append(Row(name, count(number), meaning))
            else:
                zeros.append(name)
    return rows, ", ".join(zeros)


def simulation_rows(report: RunReport) -> list[Row]:
    """The estimates of `simulate`: value and interval."""
    document = report.simulation
    if document is None:
        return []
    forms: tuple[tuple[str, str, Any], ...] = (
        ("Requests that get 503", "fraction_503", percent),
        ("Requests that get 504", "fraction_504", percent),
        ("Requests that fail (not answered 200)", "fraction_failed", percent),
        ("Runs within the promised share", "fraction_of_runs_within_slo", percent),
        ("Latency p50 of 200 answers", "latency_p50_s", time),
        ("Latency p99 of 200 answers", "latency_p99_s", time),
        ("Ready replicas, average over time", "mean_replicas", plain),
        ("Replica-hours, paid time of all replicas", "replica_hours", plain),
    )
    return [Row(name, *estimate(document[key], form)) for name, key, form in forms if document.get(key) is not None]


def changes(report: RunReport) -> dict[str, str]:
    """The one-setting changes by what the run says of them: cannot_tell_apart, explanations, told_apart."""
    return {
        name: "; ".join(
            f"{vocabulary.change(c)} (503s: {percent(c['fraction_503'])})" for c in report.validation.get(name, [])
        )
        for name in ("cannot_tell_apart", "explanations", "told_apart")
    }


def judged_differently(report: RunReport) -> list[Row]:
    """Settings in which the scenario that the run was judged by differs from the one it was made with."""
    from planner.documents import scenario_document

    judged, own = report.validation.get("scenario"), scenario_document(report.scenario)
    if not judged:
        return []
    pairs = [(name, judged.get(name), own[name]) for name in ("arrivals", "service_time", "cold_start")]
    pairs += [(name, judged["settings"].get(name), value) for name, value in own["settings"].items()]
    return [Row(name, str(theirs), f"the run was made with {ours}") for name, theirs, ours in pairs if theirs != ours]


def provenance_rows(report: RunReport) -> list[Row]:
    """What made the run and this page."""
    summary, made = report.summary, report.summary["provenance"]
    packages = ", ".join(f"{name} {version}" for name, version in made["packages"].items() if version)
    rows = [
        Row("Surgeproof", made["surgeproof"]),
        Row("Seed", str(made["seed"]), "the same seed gives the same requests"),
        Row("Schedule, SHA-256", summary.get("schedule_sha256") or "unknown", "of the planned requests"),
        Row("Endpoint", summary.get("url") or "unknown"),
        Row("Started", summary.get("started_at") or "not started"),
        Row("Ended", str(summary.get("ended")), summary.get("message") or ""),
        Row("Python", f"{made['python']} on {made['platform']}"),
        Row("Packages", packages),
    ]
    if report.predicted_503 is not None:
        rows.append(Row("Simulated for the verdict", plural(report.predicted_503["replications"], "run")))
    if report.simulation is not None:
        rows.append(Row("Simulated for the scenario", plural(report.simulation["replications"], "run")))
    return rows
