"""How `surgeproof compare` works and looks in a terminal: on all cores, with a progress bar, as text tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from planner.cli.output import print_indented, print_table
from planner.percent import percent


def compared(run_a: Path, run_b: Path, out: Path | None) -> dict[str, Any]:
    """The document, which is also written to `out`."""
    from loadtest.results.comparison import compare_runs, simulations
    from planner.cli.progress import progress
    from planner.cli.simulation import prepare_simulator
    from planner.executors import executor_for
    from planner.writing import check_writable, write_whole

    if out is not None:
        check_writable(out, "--out")
    total = simulations(run_a, run_b)
    prepare_simulator()
    with executor_for(None) as executor, progress("simulating both runs", total) as advance:
        document = compare_runs(run_a, run_b, executor=executor, on_done=advance)
    if out is not None:
        text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
        write_whole(out, (text + "\n").encode())
    return document


def show(document: dict[str, Any]) -> None:
    a, b = document["a"], document["b"]
    print(f"A: {a['run']}\nB: {b['run']}\n")
    _show_plan(document)
    names = [name for name in a["books"] if a["books"][name] or b["books"].get(name)]
    rows = [(name.replace("_", " "), a["books"][name], b["books"].get(name, 0)) for name in names]
    print_table(("Requests", "A", "B"), rows)
    _show_503s(document)
    _show_latency(document["latency"])
    kept = [(title, *(_generator(run["generator"], key) for run in (a, b))) for key, title in _GENERATOR.items()]
    print_table(("Kept to the plan", "A", "B"), kept)
    for reason in document["reasons"]:
        print_indented(reason)
    print(f"Verdict: {document['verdict']}")


def _show_plan(document: dict[str, Any]) -> None:
    a, b = document["a"], document["b"]
    rows: list[tuple[str, ...]] = [
        ("requests", a["schedule_sha256"][:12], "the same" if document["same_requests"] else b["schedule_sha256"][:12]),
        *((s["setting"], _said(s["before"]), _said(s["after"])) for s in document["settings"]),
    ]
    rows += [
        (name, _said(a[key]), _said(b[key]))
        for key, name in (("url", "endpoint"), ("is_lab", "is a lab"), ("surgeproof", "surgeproof"), ("ended", "ended"))
        if a[key] != b[key]
    ]
    print_table(("What differs in the plan", "A", "B"), rows)
    if not document["settings"]:
        print_indented("No setting differs.")


def _show_503s(document: dict[str, Any]) -> None:
    fraction, ready, service = (document[key] for key in ("fraction_503", "ready_replicas", "service_time_mean_s"))
    rows = [_fraction_row("requests that got 503", fraction, document)]
    failed = document["fraction_failed"]
    if any(failed[key] != fraction[key] for key in ("a", "b")):
        rows.append(_fraction_row("requests that got 504", document["fraction_504"], document))
        rows.append(_fraction_row("requests that failed (not 200)", failed, document))
    if service is not None:
        row = (_seconds(service["a"]), _seconds(service["b"]), _milliseconds(service["difference"]))
        rows.append(("mean service time", *row, _range(service, "chance", _milliseconds), ""))
    if ready is not None:
        apart = f"{ready['mean_distance']:.2g} apart"
        most = "–" if ready["chance_high"] is None else f"at most {ready['chance_high']:.2g}"
        rows.append(("ready replicas, mean", f"{ready['mean_a']:.3g}", f"{ready['mean_b']:.3g}", apart, most, ""))
    interval = f"by chance, {percent(document['confidence'])}"
    print_table(("", "A", "B", "difference", interval, "predicted for the change"), rows)


def _fraction_row(name: str, fraction: dict[str, Any], document: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        *(_percent(fraction[key]) for key in ("a", "b")),
        _points(fraction["difference"]),
        _range(fraction, "chance", _points),
        _range(fraction, "predicted", _points) if document["settings"] else "",
    )


def _show_latency(latency: dict[str, Any]) -> None:
    rows = []
    for key, title in (("from_send_s", "from the send"), ("from_schedule_s", "from the plan")):
        for word in ("p50", "p90", "p99", "max"):
            row = latency[key][word]
            cells = (_seconds(row["a"]), _seconds(row["b"]), _milliseconds(row["difference"]))
            rows.append((f"{title}, {word}", *cells, _range(row, "chance", _milliseconds)))
    print_table(("Latency of 200 answers", "A", "B", "difference", "by chance, if the model holds"), rows)
    if why := latency["from_schedule_s"]["why_no_chance"]:
        print_indented(f"From the plan: no interval, {why}.")


_GENERATOR = {
    "valid": "generator",
    "achieved_fraction": "sent of planned",
    "late_fraction": "more than 50 ms late",
    "send_error_p50_s": "send error p50",
    "send_error_p99_s": "send error p99",
}


def _generator(generator: dict[str, Any], key: str) -> str:
    value = generator.get(key)
    if key == "valid":
        return "valid" if value else "invalid"
    return _percent(value) if key.endswith("fraction") else _seconds(value)


def _range(row: dict[str, Any], prefix: str, form: Any) -> str:
    low, high = row[f"{prefix}_low"], row[f"{prefix}_high"]
    return "–" if low is None else f"{form(low)} to {form(high)}"


def _percent(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.3g} points"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value * 1e3:.4g} ms" if value < 10 else f"{value:.4g} s"


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value * 1e3:+.3g} ms"


def _said(value: Any) -> str:
    return "none" if value is None else str(value)
