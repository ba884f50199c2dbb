"""How `surgeproof observe` looks: a line for each thing that happens, and what is to be said at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planner.cli.options import Output
from planner.cli.output import console, emit_json, print_indented, print_table

Line = dict[str, Any]


class LineView:
    """Shows the lines of a `ClusterLog` as they come: on stdout, or on stderr where stdout is for the document."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._print: Callable[[str], object] = (
            (lambda text: console.print(text, markup=False, soft_wrap=True))
            if to_stderr
            else (lambda text: print(text, flush=True))
        )

    def show(self, line: Line) -> None:
        text = _WORDS[line["kind"]](line) if line["kind"] in _WORDS else None
        if text:
            self._print(f"{line['at'][11:23]}  {text}")


def show(document: dict[str, Any], output: Output) -> None:
    """The document, or its tables; the folder last."""
    if output is Output.JSON:
        emit_json(document)
        console.print(f"Folder: {document['run']}", markup=False, soft_wrap=True)
        return
    print()
    _show_launches(document["launches"])
    for gap in document["gaps"]:
        print_indented(
            f"Gap from {gap['from_s']:.1f} s to {gap['to_s']:.1f} s: changes of {', '.join(gap['resources'])} were not "
            f"seen as they happened ({gap['why']})."
        )
    for finding in document["findings"]:
        print_indented(f"{finding['cause']}: {'; '.join(finding['evidence'][:2])} Next: {finding['next_step']}")
    for sentence in [*document["missing_rights"], *document["problems"]]:
        print_indented(f"{sentence}.")
    print(f"Folder: {document['run']}")


def _show_launches(launches: list[dict[str, Any]]) -> None:
    ended = [launch for launch in launches if launch["cold_start_s"] is not None]
    if not ended:
        return
    names = ("schedule_s", "image_s", "container_s", "server_s", "init_s")
    rows = [
        (launch["pod"], *(_s(launch["phases"][name]) for name in names), _s(launch["cold_start_s"]), _how(launch))
        for launch in ended[-12:]
    ]
    print_table(("Launches", "scheduled", "image", "container", "server", "of it init()", "cold start", ""), rows)
    if len(ended) > len(rows):
        print_indented(f"The last {len(rows)} of {len(ended)} launches; cluster.jsonl has all.")


def _how(launch: dict[str, Any]) -> str:
    return "seen" if launch["live"] else "stamps, whole seconds"


def _s(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def _row(line: Line) -> str:
    counts = [f"{line[name]} {name}" for name in ("ready", "starting", "pending", "terminating", "lost") if line[name]]
    return f"replicas  {line['desired']} desired: {', '.join(counts) or 'none'}"


def _pod(line: Line) -> str:
    reason = f" ({line['reason']})" if line["reason"] else ""
    return f"pod       {line['pod']} {line['phase']}{reason}" + (f", node {line['node']}" if line["node"] else "")


def _event(line: Line) -> str | None:
    if line["before_the_run"]:
        return None
    return f"event     {line['object']} {line['reason']}: {' '.join(line['message'].split())[:200]}"


_WORDS: dict[str, Callable[[Line], str | None]] = {
    "cluster": lambda line: f"watching  Deployment {line['deployment']} in namespace {line['namespace']}",
    "clock": lambda line: (
        f"clock     the API server's is {line['difference_s']:+.3f} s off this machine's "
        f"(known to {line['uncertainty_s']:.3f} s)"
    ),
    "row": _row,
    "pod": _pod,
    "event": _event,
    "node": lambda line: f"node      {line['node']} {line['state']}",
    "hpa": lambda line: f"hpa       {line['hpa']}: min {line['min']}, max {line['max']}, desired {line['desired']}",
    "gap": lambda line: f"gap       {line['resource']}: {line['to_s'] - line['from_s']:.1f} s ({line['why']})",
    "missing_right": lambda line: f"rights    {line['sentence']}",
    "problem": lambda line: f"problem   {line['sentence']}",
    "findings": lambda line: "finding   " + "; ".join(f"{f['cause']}: {f['evidence'][0]}" for f in line["findings"]),
}
