"""What a run shows, in sentences computed from its numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from planner.model import FloatArray, Outcome, Slo, VerdictWord
from planner.promise import main_bound
from planner.report import vocabulary
from planner.report.data import RunReport
from planner.report.numbers import bound, count, estimate, instant, interval, percent, plural, time
from planner.report.timeline import short_spans
from planner.run_promise import RunPromise, hold


@dataclass(frozen=True, kw_only=True)
class Promise:
    """The SLO's verdict in words. tone: pass, fail, undecided or none, for its colour."""

    tone: str
    answer: str
    sentences: tuple[str, ...]


def findings(report: RunReport) -> list[str]:
    """Three to five sentences: the 503s, the replicas, the latency, the prediction, and what would help."""
    sentences = (_errors(report), _replicas(report), _latency(report), _prediction(report), _lever(report))
    return [sentence for sentence in sentences if sentence]


def promise(report: RunReport) -> Promise:
    """Is the SLO kept? By the simulation of many runs if there is one, and in this run."""
    slo = report.scenario.slo
    if slo is None:
        return Promise(tone="none", answer="No promise", sentences=("The scenario sets no SLO.",))
    held = hold(slo, report.failures, predicts_504=report.verdict is VerdictWord.PASS)
    seen = _seen_against_promise(slo, held)
    judged = (report.simulation or {}).get("slo")
    if judged:
        doubt = () if report.verdict is VerdictWord.PASS else (_DOUBT,)
        sentences = (*seen, _simulated_against_promise(report), *doubt)
        if held.broken_unpredicted:
            return Promise(tone="fail", answer="No", sentences=(*sentences, _UNPREDICTED))
        word = VerdictWord(judged["verdict"])
        answer = {VerdictWord.PASS: "Yes", VerdictWord.FAIL: "No"}.get(word, "Undecided")
        return Promise(tone=str(word), answer=answer, sentences=sentences)
    if held.kept is None or report.verdict is VerdictWord.INVALID:
        return Promise(tone="invalid", answer="Unknown", sentences=(*seen, "An invalid run decides no promise."))
    once = "One run shows what can happen, not how often: surgeproof simulate says that."
    answer = "Yes, in this run" if held.kept else "No, not in this run"
    return Promise(tone="pass" if held.kept else "fail", answer=answer, sentences=(*seen, once))


_DOUBT = "The run did not confirm the model, so the simulated numbers are to be read with care."
_UNPREDICTED = "Failures that the simulation does not predict broke the promise, so the run has the last word."
_WITHOUT_BREAK = re.compile(r" (?=[%s](?:\W|$))")


def _seen_against_promise(slo: Slo, held: RunPromise) -> tuple[str, ...]:
    if held.kept is None:
        return (f"No request was answered; promised are at most {bound(main_bound(slo).largest)} of failures.",)
    return tuple(_WITHOUT_BREAK.sub("\u00a0", sentence) for sentence in held.sentences)


def _simulated_against_promise(report: RunReport) -> str:
    """What many simulated runs say of each part of the promise, in one sentence."""
    document, slo = report.simulation, report.scenario.slo
    assert document is not None
    assert slo is not None
    parts = ["{} of the requests get 503 ({})".format(*estimate(document["fraction_503"], percent))]
    if document.get("fraction_504", {}).get("value", 0) > 0:
        parts.append("{} get 504 ({})".format(*estimate(document["fraction_504"], percent)))
    share = document["fraction_of_runs_within_slo"]
    if share is not None and slo.min_fraction_of_runs is not None:
        kept = "{} of the runs keep to that ({}; promised are {})"
        parts.append(kept.format(*estimate(share, percent), bound(slo.min_fraction_of_runs)))
    if document["latency_p99_s"] is not None and slo.p99_latency_s is not None:
        parts.append("the p99 latency of 200 answers is {} ({})".format(*estimate(document["latency_p99_s"], time)))
        if document.get("fraction_504", {}).get("value", 0) > 0:
            whole = document["latency_p99_with_504_s"]["value"]
            parts.append(
                f"with the 504s as slower than any answer it is {'among these' if whole is None else time(whole)}"
            )
    return f"In {plural(document['replications'], 'simulated run')} of the scenario: {', '.join(parts)}."


def _p99_s(report: RunReport) -> float | None:
    p99: float | None = report.summary["observed"]["latency_from_schedule_s"]["p99"]
    return p99


def _errors(report: RunReport) -> str:
    seen = report.validation["observed"]
    if not seen["requests"]:
        return "No request was answered."
    other = _other_failures(report)
    if not seen["answers_503"]:
        return f"None of the {plural(seen['requests'], 'request')} got HTTP 503{other}."
    sent = np.sort(report.requests.sent_s[report.with_outcome(Outcome.STATUS_503)])
    share = f"{count(seen['answers_503'])} of {plural(seen['requests'], 'request')} "
    share += f"({percent(report.fraction_503)}) got HTTP 503"
    if len(sent) < 2:
        return f"{share}{other}."
    first, last = instant(float(sent[0])), instant(float(sent[-1]))
    sentence = f"{share}, the first of them sent at {first}, the last at {last} after the start"
    width_s = _shortest_window(sent, 0.9)
    crowded = len(sent) >= 10 and width_s < 0.5 * (sent[-1] - sent[0])
    crowd = f"; 90\u00a0% of them within {time(width_s)}" if crowded else ""
    return f"{sentence}{crowd}{other}."


def _other_failures(report: RunReport) -> str:
    """The requests that failed otherwise than by 503, as the rest of a sentence."""
    seen = report.failures
    counts = [(seen.n_504, "got HTTP 504"), (seen.n_other, "failed in other ways")]
    said = [f"{count(n)} ({percent(seen.fraction(n))}) {what}" for n, what in counts if n]
    return f"; {' and '.join(said)}" if said else ""


def _shortest_window(times_s: FloatArray, share: float) -> float:
    """Length of the shortest window that holds a share of the sorted times."""
    k = int(np.ceil(share * len(times_s)))
    return float(np.min(times_s[k - 1 :] - times_s[: len(times_s) - k + 1]))


def _replicas(report: RunReport) -> str | None:
    log = report.replicas
    if log is None or np.all(log.ready < 0):
        return None
    known = log.ready[log.ready >= 0]
    moved = f"{plural(int(known[0]), 'replica')} {'was' if known[0] == 1 else 'were'} ready at the start"
    moved += f", up to {known.max()} later" if known.max() > known[0] else ", and never more"
    spans = short_spans(log, report.seen_until_s)
    if not spans:
        return f"{moved}; at no time were fewer ready than the autoscaler wanted."
    start, end = max(spans, key=lambda span: span[1] - span[0])
    if len(spans) == 1:
        when = f"From {instant(start)} to {instant(end)} fewer were ready than the autoscaler wanted"
    else:
        short_s = sum(stop - begin for begin, stop in spans)
        longest = f"the longest time from {instant(start)} to {instant(end)}"
        when = f"{len(spans)} times, {time(short_s)} in all, fewer were ready than the autoscaler wanted, {longest}"
    finished = report.requests.finish_s[report.with_outcome(Outcome.STATUS_503)]
    finished = finished[np.isfinite(finished)]
    if not len(finished):
        return f"{moved}. {when}."
    inside = sum(int(np.sum((finished >= begin) & (finished < stop))) for begin, stop in spans)
    how_many = "all" if inside == len(finished) else f"{count(inside)} of the"
    return f"{moved}. {when}; {how_many} {plural(len(finished), '503')} fell into such a time."


def _latency(report: RunReport) -> str | None:
    latency = report.summary["observed"]["latency_from_schedule_s"]
    if latency["p50"] is None:
        return "No request was answered with 200."
    return (
        f"Half of the 200 answers came within {time(latency['p50'])} and 99\u00a0% within {time(latency['p99'])} "
        "of the time at which the request was due."
    )


def _prediction(report: RunReport) -> str | None:
    predicted = report.predicted_503
    if predicted is None:
        return None
    single = interval(percent(predicted["prediction_low"]), percent(predicted["prediction_high"]))
    confidence = percent(report.validation["predicted"]["prediction_confidence"])
    return (
        f"Given the same requests, the model expects {percent(predicted['value'])} of 503s on average, and in "
        f"{confidence} of single runs {single}."
    )


def _lever(report: RunReport) -> str | None:
    """The change that the model expects to help most; only where the run does not contradict the model."""
    document, predicted = report.validation, report.predicted_503
    changes = [*document["cannot_tell_apart"], *document.get("told_apart", [])]
    if report.verdict is VerdictWord.FAIL or predicted is None or predicted["value"] == 0 or not changes:
        return None
    best = min(changes, key=lambda c: float(c["fraction_503"]))
    if best["fraction_503"] > 0.9 * predicted["value"]:
        return "None of the single changes that were simulated on the same requests would lower the 503s by a tenth."
    return (
        f"Of the single changes that were simulated on the same requests, {vocabulary.change(best)} would lower the "
        f"503s most: to {percent(best['fraction_503'])}."
    )
