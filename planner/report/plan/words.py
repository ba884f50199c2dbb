"""A plan's document in words: the same in the terminal and in the report. Made of the document alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from planner.azureml import shown_name
from planner.model import Api, Autoscaler, Slo
from planner.percent import percent
from planner.plan.settings import Setting
from planner.promise import main_bound
from planner.report.numbers import plain, plural, time
from planner.report.settings import promise_parts

Document = Mapping[str, Any]

HEADLINES = {
    "feasible": "The promise can be kept.",
    "infeasible": "Nothing that was allowed keeps the promise.",
    "undecided": "Undecided.",
}

LIMITS = {
    "max_replicas": "What stands in the way is the largest number of replicas allowed: a higher maximum may help.",
    "min_replicas": "What stands in the way is the largest minimum allowed: a higher one may help.",
    "cold_start": "What stands in the way is the cold start: the replicas asked for come too late, however many.",
    "service_time": "What stands in the way is the service time: an answer takes longer than promised even where "
    "nothing waits, so replicas do not help.",
    "scoring_timeout": "What stands in the way is the scoring timeout: the service time alone is above it too often. A "
    "longer timeout or a faster model helps, replicas do not.",
}

ENDS = {
    "budget": "The budget ended the search before it was decided.",
    "interrupt": "The search was interrupted: this is what was known by then.",
    "empty": "Proved bounds alone discard every setting; nothing had to be simulated.",
}


class Rejecter(NamedTuple):
    """What a setting was discarded by. name: for a table. meaning: how sure that is."""

    name: str
    meaning: str


REJECTERS = {
    "bound": Rejecter("a proved bound", "no setting like it can keep the promise, or be cheap enough"),
    "screening": Rejecter("screening", "predicted from the settings that were simulated"),
    "simulation": Rejecter("simulation", "its own replications, on the same random numbers as the others"),
    "same_runs": Rejecter("the same runs", "no replication of it differs from one of a cheaper setting"),
    "budget": Rejecter("the budget", "not looked at closely enough before the end: not proved worse"),
}


def rejecter(by: str) -> Rejecter:
    """The words for what discarded a setting; one that is not known here keeps its name."""
    return REJECTERS.get(by) or Rejecter(by.replace("_", " "), "")


class RejectedGroup(NamedTuple):
    """The settings that were discarded by one thing, with one of them and its reason."""

    by: Rejecter
    size: int
    example: str
    reason: str


def is_fixed(document: Document) -> bool:
    """Whether there is no autoscaler: then a setting is a number of replicas."""
    return bool(document["scenario"]["settings"]["autoscaler"] == Autoscaler.FIXED)


def setting_of(entry: Document) -> Setting:
    """The setting that an entry of the document is about."""
    return Setting(
        entry["autoscale_min_replicas"],
        entry["autoscale_max_replicas"],
        entry["autoscale_target_utilization"],
        entry["replica_max_concurrent_requests"],
        entry.get("worker_count", 1),
    )


def setting_text(document: Document, entry: Document) -> str:
    """min 17, max 28, target 80 %; or 24 replicas."""
    return setting_of(entry).text(Autoscaler(document["scenario"]["settings"]["autoscaler"]))


def is_recommended(document: Document, entry: Document) -> bool:
    chosen = document["recommended"]
    return chosen is not None and setting_of(entry) == setting_of(chosen)


def setting_columns(document: Document, *, with_sizes: bool) -> list[str]:
    """The heads of the columns that tell settings apart."""
    return [*(["replicas"] if is_fixed(document) else ["min", "max", "target"]), *(_SIZES if with_sizes else ())]


def setting_cells(document: Document, entry: Document, *, with_sizes: bool) -> list[str]:
    """One setting in these columns."""
    setting = setting_of(entry)
    scale = [str(setting.min_replicas)]
    if not is_fixed(document):
        scale += [str(setting.max_replicas), f"{setting.target_percent} %"]
    return [*scale, *([str(setting.max_concurrent), str(setting.worker_count)] if with_sizes else ())]


_SIZES = ("at a time", "workers")


def changed_settings(document: Document) -> list[tuple[str, str, str]]:
    """Name, the scenario's value, the plan's: of what was searched; the size of a replica only where it changes."""
    now, entry = document["scenario"]["settings"], document["recommended"]
    if is_fixed(document):
        names = {"autoscale_min_replicas": "replicas"}
    else:
        names = {key: shown_name(key, _names(document)) for key in now if key in _SCALING}
    names |= {key: shown_name(key, _names(document)) for key in _REPLICA if now[key] != entry[key]}
    unit = {"autoscale_target_utilization": " %"}
    return [(text, f"{now[n]}{unit.get(n, '')}", f"{entry[n]}{unit.get(n, '')}") for n, text in names.items()]


def _names(document: Document) -> Api:
    """Whose names the scenario uses; a plan that is older than this says nothing, and was shown under v1's."""
    return Api(document["scenario"]["settings"].get("names", Api.V1))


_SCALING = ("autoscale_min_replicas", "autoscale_max_replicas", "autoscale_target_utilization")
_REPLICA = ("replica_max_concurrent_requests", "worker_count")


def replicas_text(entry: Document) -> str:
    """17 to 28, or 24."""
    low, high = entry["autoscale_min_replicas"], entry["autoscale_max_replicas"]
    return str(low) if low == high else f"{low} to {high}"


def length(document: Document) -> str:
    """What a run's replica-hours and cost are for."""
    return time(document["scenario"]["duration_s"])


def price(document: Document) -> str | None:
    """What a replica-hour was said to cost."""
    per_hour = document["cost"]["price_per_replica_hour"]
    return None if per_hour is None else f"Costs are at {per_hour:g} a replica-hour."


Form = Callable[[Any], str]


def either(value: Any, form: Form, estimate: Callable[[Any, Form], str] | None = None) -> str:
    """A cell of an estimate, of an exact number, or of nothing."""
    if value is None:
        return ""
    return estimate(value, form) if estimate is not None and isinstance(value, Mapping) else form(value)


def promised(document: Document) -> list[str]:
    """The promise, part by part."""
    return promise_parts(slo_of(document))


def slo_of(document: Document) -> Slo:
    """The promise; a plan of an older version knows fewer of its parts."""
    return Slo(**{f.name: document["slo"].get(f.name, f.default) for f in fields(Slo)})


def main_failure(document: Document) -> tuple[str, str, float]:
    """What figures show: the key of its fraction, its name and its bound."""
    main = main_bound(slo_of(document))
    return str(main.failure), FAILURES[str(main.failure)], main.largest


FAILURES = {"fraction_503": "503s", "fraction_504": "504s", "fraction_failed": "failed"}
"""Key of a fraction in an entry, and its name in a column."""


def failures_shown(document: Document) -> list[tuple[str, str]]:
    """Keys and names of the columns: 503s; the others where a setting shown has 504s, or the promise is on them."""
    slo, entries = slo_of(document), [*(row.entry for row in compared(document)), *rules(document)]
    has_504 = any(_value(entry.get("fraction_504")) > 0 for entry in entries)
    shown = has_504 or slo.max_fraction_failed is not None or slo.max_fraction_504 is not None
    is_known = all(entry.get("fraction_504") is not None for entry in (row.entry for row in compared(document)))
    return list(FAILURES.items()) if shown and is_known else [("fraction_503", "503s")]


def _value(estimate: Any) -> float:
    return float(estimate["value"]) if isinstance(estimate, Mapping) else 0.0


def promise(document: Document) -> str:
    """The promise in one sentence, and whether anybody made it."""
    sentence = f"{'; '.join(promised(document))}."
    if document["slo"]["is_assumed"]:
        return f"The scenario promises nothing (it has no slo); assumed: {sentence}"
    return f"Promised: {sentence}"


def headline(document: Document) -> str:
    """The verdict, with what is recommended."""
    entry, said = document["recommended"], HEADLINES[document["verdict"]]
    if entry is None:
        return said
    name = setting_text(document, entry)
    if document["verdict"] == "feasible":
        return f"{said} Cheapest: {name}."
    return f"{said} The best that is known: {name}."


def certainty(document: Document) -> str | None:
    """How sure the recommendation is the right one; None where there is none, or nobody knows."""
    probability = document["probability_near_cheapest"]
    if document["recommended"] is None or probability is None:
        return None
    return (
        f"With a probability of {percent(probability)} it keeps the promise and costs at most 2 %, or one replica, "
        "more than the cheapest setting that does."
    )


def freshness(document: Document) -> str | None:
    """Where the estimates of the recommended setting come from."""
    entry = document["recommended"]
    if entry is None:
        return None
    if document.get("same_in_every_run"):
        return str(document["same_in_every_run"])
    runs = f"{entry['replications']:,} replications"
    if entry["is_fresh"]:
        return f"Its estimates come from {runs} that had no part in choosing it."
    return f"Its estimates come from the {runs} that also chose it, which may flatter it a little."


def limit(document: Document) -> str | None:
    """What keeps every setting from the promise."""
    name = document["binding_limit"]
    return None if name is None else LIMITS.get(name, f"What stands in the way: {name.replace('_', ' ')}.")


def file_limits(document: Document) -> str | None:
    """What became of the limits that the scenario file sets."""
    return " ".join(_file_limit(limit, _names(document)) for limit in document.get("limits", ())) or None


def _file_limit(limit: Document, names: Api) -> str:
    said = f"The scenario's {shown_name(limit['setting'], names)} of {limit['value']:,}"
    option = f"--{limit['setting']}".replace("_", "-")
    if limit["is_kept"]:
        return f"{said} was kept as a limit: {option} lifts it."
    return f"{said} was no limit: {option} was given."


def ending(document: Document) -> str | None:
    """Why the search ended, where it did not end by deciding."""
    if document["interrupted"]:
        return ENDS["interrupt"]
    return ENDS.get(document["search"]["stopped_by"])


def effort(document: Document) -> str:
    """What was searched, and at what expense."""
    search = document["search"]
    sentence = (
        f"{plural(search['settings'], 'setting')} searched, {search['simulated']:,} of them simulated: "
        f"{plural(search['replications'], 'replication')}, {plural(search['requests'], 'request')}, "
        f"{search['seconds']:.3g} s."
    )
    times = times_exhaustive(document)
    return sentence + (f" Simulating every setting as closely would take {times} times the requests." if times else "")


def times_exhaustive(document: Document) -> str | None:
    """How many times the requests a search of everything would take; None where it is no more, or nobody knows."""
    everything, requests = document["search"]["exhaustive_requests"], document["search"]["requests"]
    return plain(everything / requests) if everything and requests and everything > requests else None


def rejected_groups(document: Document) -> list[RejectedGroup]:
    """The discarded settings by what discarded them, in the order of `REJECTERS`."""
    groups: dict[str, list[Document]] = {by: [] for by in REJECTERS}
    for entry in document["rejected"]:
        groups.setdefault(entry["by"], []).append(entry)
    return [
        RejectedGroup(rejecter(by), len(entries), setting_text(document, entries[0]), entries[0]["reason"])
        for by, entries in groups.items()
        if entries
    ]


class Compared(NamedTuple):
    """A setting beside the recommended one. kind: why it is shown."""

    kind: str
    entry: Document


def compared(document: Document) -> list[Compared]:
    """The recommended setting, its neighbours and the alternatives, each setting once."""
    named = [("recommended", document["recommended"])] if document["recommended"] is not None else []
    named += [("neighbour", entry) for entry in document["neighbours"]]
    named += [("alternative", entry) for entry in document["alternatives"]]
    return list(_once(named))


def _once(named: list[tuple[str, Document]]) -> Iterator[Compared]:
    seen = set()
    for kind, entry in named:
        if (key := setting_of(entry)) not in seen:
            seen.add(key)
            yield Compared(kind, entry)


def note(document: Document, row: Compared) -> str:
    """Why a setting was not taken; of the recommended one the verdict's reasons have said it."""
    is_said = row.kind == "recommended" and bool(document["reasons"])
    return "" if is_said else capital(row.entry["reason"])


def frontier(document: Document) -> list[Document]:
    """The frontier, cheapest first; the recommended setting as its fresh estimates have it."""
    return [document["recommended"] if is_recommended(document, entry) else entry for entry in document["frontier"]]


def has_other_sizes(document: Document) -> bool:
    """Whether requests per replica or workers differ among the settings shown, and so need a column."""
    shown = [*(row.entry for row in compared(document)), *document["frontier"]]
    return len({(setting_of(entry).max_concurrent, setting_of(entry).worker_count) for entry in shown}) > 1


def rules(document: Document) -> list[Document]:
    """The published rule at the busiest rate, and at the mean rate where that is another one."""
    rule = document["published_rule"]
    if rule is None:
        return []
    return [rule, *([rule["at_mean_rate"]] if rule.get("at_mean_rate") else [])]


def rule_rate(rule: Document) -> str:
    """Which of the scenario's rates the rule was asked about."""
    return {"mean": "mean rate", "only": "its rate"}.get(rule.get("rate", "busiest"), "busiest rate")


def survival(document: Document) -> list[str]:
    """How much more traffic, and how much more of a spike, the settings survive."""
    found = [(document["questions"] or {}).get(name) for name in ("highest_rate", "highest_spike")]
    return [
        " ".join(capital(answer[key]) for key in ("sentence", "caveat") if answer[key]) for answer in found if answer
    ]


def loss(document: Document) -> str | None:
    """What the loss of one replica would do."""
    answer = (document["questions"] or {}).get("lose_one_replica")
    return None if answer is None else capital(answer["sentence"])


def answers(document: Document) -> list[str]:
    """The what-if questions; after an interruption those that were reached."""
    remedies = (document["questions"] or {}).get("remedies") or ()
    lost = loss(document)
    return [*survival(document), *(capital(remedy["sentence"]) for remedy in remedies), *([lost] if lost else [])]


def capital(sentence: str) -> str:
    """As a sentence of its own."""
    is_name = "_" in sentence.partition(" ")[0]
    text = sentence if is_name else sentence[:1].upper() + sentence[1:]
    return text if text.endswith((".", ":", "!", "?")) else f"{text}."
