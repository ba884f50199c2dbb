"""How `surgeproof selftest` looks: what is being tried on stderr, the table and the verdict on stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from planner.cli.output import console, print_indented, print_table
from planner.percent import percent


@contextmanager
def live_status() -> Iterator[Callable[[str], None]]:
    """One line on stderr that changes; lines where stderr is no terminal."""
    with console.status("selftest", refresh_per_second=4) as status:
        show = status.update if console.is_terminal else partial(console.print, soft_wrap=True)
        yield lambda text: show(f"selftest: {text}")


def show(document: dict[str, Any]) -> None:
    print_table(
        (
            "per second",
            "send error ms\np50 / p99 / max",
            "at the server ms\np50 / p99",
            "bare timer ms\np50 / p99",
            "sent",
            "late",
            "CPU of\nthe worker",
            "run",
        ),
        [_cells(row) for row in sorted(document["rows"], key=lambda row: float(row["rate_rps"]))],
    )
    print(verdict(document))
    for rate_rps, doubt in _doubts(document):
        print_indented(f"At {rate_rps:,.0f} per second: {doubt}")
    print_indented(f"({document['criteria']})")


def verdict(document: dict[str, Any]) -> str:
    """One sentence on the rate that can be trusted, one on where runs become invalid."""
    trusted, collapse, processes = document["trusted_rps"], document["collapse_rps"], document["processes"]
    if not document["rows"]:
        return "Stopped before the first rate was measured: nothing can be said."
    if trusted is None:
        first = "This machine can be trusted to none of these rates."
    else:
        share = f" ({trusted:,.0f} with {processes} worker processes)" if processes > 1 else ""
        first = (
            f"This machine can be trusted to {trusted / processes:,.0f} requests per second per worker process{share}."
        )
    if collapse is None:
        highest = max(row["rate_rps"] for row in document["rows"])
        second = f"No run was invalid, up to {highest:,.0f} per second."
    else:
        second = f"Runs are invalid from {collapse:,.0f} per second on."
    return f"{first} {second}" + (" Stopped by Ctrl-C: higher rates were not tried." if document["interrupted"] else "")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    send, arrival, timer = row["send_error"], row["arrival_error"], row["timer"]
    return (
        f"{row['rate_rps']:,.0f}",
        " / ".join(_ms(send[name]) for name in ("p50_s", "p99_s", "max_s")),
        " / ".join(_ms(arrival[name]) for name in ("p50_s", "p99_s")),
        " / ".join(_ms(timer[name]) for name in ("p50_s", "p99_s")),
        _percent(row["achieved_fraction"]),
        _percent(row["late_fraction"]),
        "–" if row["worker_cores"] is None else f"{row['worker_cores']:.0%}",
        "invalid" if not row["valid"] else "trusted" if row["trusted"] else "valid",
    )


def _doubts(document: dict[str, Any]) -> Iterator[tuple[float, str]]:
    """Of each rate that is not trusted, the first reason."""
    latest = {row["rate_rps"]: row for row in document["rows"]}
    for rate_rps in sorted(latest):
        if doubts := latest[rate_rps]["doubts"]:
            yield rate_rps, doubts[0]


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1e3:.2f}" if seconds < 0.01 else f"{seconds * 1e3:,.0f}"


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else percent(fraction)
