"""How `surgeproof replay` looks: the live line on stderr and the tables at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from planner.cli.options import Output
from planner.cli.output import console, emit_json, print_indented, print_table
from planner.percent import percent

if TYPE_CHECKING:
    from loadtest.judged_replay import JudgedReplay
    from loadtest.replay.conclude import ReplayResult
    from loadtest.replay.plan import Plan
    from loadtest.replay.progress import Progress
    from loadtest.replay.session import OnProgress
    from planner.scenario import Scenario


@contextmanager
def live_progress() -> Iterator[OnProgress]:
    """A progress bar on stderr with what the run looks like now; nothing where stderr is no terminal."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = [BarColumn(bar_width=20)] if console.width >= 100 else []
    columns = (TextColumn("{task.description}"), *bar, TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
        task = display.add_task("replay: starting Locust", total=None)

        def on_progress(progress: Progress) -> None:
            display.update(
                task,
                description=describe(progress),
                total=progress.duration_s,
                completed=min(max(progress.elapsed_s, 0.0), progress.duration_s),
            )

        yield on_progress


def say_plan(plan: Plan) -> None:
    """What another machine is about to get, before the first request; and where to send workers elsewhere."""
    schedule, options = plan.schedule, plan.options
    if not plan.is_loopback:
        console.print(
            f"Sends {len(schedule)} requests to {plan.endpoint.host} in {schedule.duration_s:g} s, "
            f"at most {schedule.peak_rate_rps:.0f} in one second. Ctrl-C stops it.",
            markup=False,
        )
    if options.expect_workers:
        host, port = options.master_bind
        console.print(f"Waiting for {options.expect_workers} workers at {host}:{port}.", markup=False)


def describe(progress: Progress) -> str:
    """One line: sent, 503s, what failed where that is more, p99 latency, lateness, ready replicas."""
    if progress.elapsed_s < 0:
        return f"replay: starts in {-progress.elapsed_s:.0f} s"
    parts = [
        f"sent {progress.sent}/{progress.planned}",
        f"503 {_percent(progress.fraction_503)}",
        *(
            [f"failed {_percent(progress.fraction_failed)}"]
            if progress.fraction_failed != progress.fraction_503
            else []
        ),
        f"p99 {_ms(progress.latency_p99_s)}",
        f"late {_ms(progress.send_error_p99_s)}",
    ]
    if progress.ready_replicas is not None:
        parts.append(f"ready {progress.ready_replicas}")
    return " · ".join(parts)


def finish(judged: JudgedReplay, output: Output) -> int:
    """Show a replay that is over; returns the command's exit code."""
    show(judged.result, output, judged.says)
    return judged.result.exit_code


def show_dry_run(scenario: Scenario, output: Output) -> None:
    """What would be sent."""
    from loadtest.dry_run import describe_schedule, show
    from loadtest.replay.plan import build_plan

    document = describe_schedule(scenario, build_plan(scenario)[0])
    if output is Output.JSON:
        emit_json(document)
    else:
        show(document)


def show(result: ReplayResult, output: Output, thresholds: Sequence[str] = ()) -> None:
    """The document or the tables on stdout, the message on stderr, the folder last."""
    if output is Output.JSON:
        emit_json(result.document)
    else:
        _print_tables(result.document)
        for sentence in thresholds:
            print_indented(sentence)
    if result.message:
        console.print(result.message, markup=False)
    for warning in result.document["warnings"]:
        console.print(f"Warning: {warning}", markup=False)
    if output is Output.JSON:
        console.print(f"Run folder: {result.folder.path}", markup=False, soft_wrap=True)
    else:
        print(f"Run folder: {result.folder.path}")


def _print_tables(document: dict[str, Any]) -> None:
    books, observed, generator = document["books"], document["observed"], document["generator"]
    outcomes = [(name.replace("_", " "), n) for name, n in books.items() if type(n) is int and n]
    print(f"Replay of {document['scenario']} against {document['url']}\n")
    print_table(("Requests", "count"), outcomes)
    rows = [
        (title, *(_ms(observed[name][q]) for q in ("p50", "p90", "p99", "max")))
        for title, name in (("from the send", "latency_from_send_s"), ("from the plan", "latency_from_schedule_s"))
    ]
    print_table(("Latency of 200 answers", "p50", "p90", "p99", "max"), rows)
    if retries := document["retries"]:
        ends = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in retries["outcomes"].items())
        rows = [
            ("retries (not in the counts above)", f"{retries['attempts']} of {retries['requests_retried']} requests"),
            ("how they ended", ends or "–"),
            ("503s for a client that retries", _percent(retries["fraction_503_for_a_client_that_retries"])),
            ("failed for a client that retries", _percent(retries["fraction_failed_for_a_client_that_retries"])),
        ]
        print_table(("Retries", ""), rows)
    errors = " / ".join(_ms(generator[f"send_error_{q}_s"]) for q in ("p50", "p99", "max"))
    print_table(
        ("Kept to the plan", ""),
        [
            ("observed 503s", _percent(observed["fraction_503"])),
            ("failed in all (not answered 200)", _percent(observed["fraction_failed"])),
            ("send error p50 / p99 / max", errors),
            ("more than 50 ms late", _percent(generator["late_fraction"])),
            ("sent of planned", _percent(generator["achieved_fraction"])),
            ("most in flight", generator["max_in_flight"]),
            ("generator", "valid" if generator["valid"] else "invalid"),
        ],
    )


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else percent(fraction)


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"
