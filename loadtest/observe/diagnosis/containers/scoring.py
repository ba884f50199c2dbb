"""Exceptions in run(): 500s of the model, which no capacity would mend."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.logs import Where, raised_in
from loadtest.observe.diagnosis.snapshot import CURRENT, Snapshot
from loadtest.observe.diagnosis.words import Cause

RUN_RECENT_S = 3600.0
"""Exceptions of longer ago are not told."""


def run_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """From the newest lines of the present logs, so the number is the least that there were."""
    by_pod = {
        pod: [
            raised
            for raised in raised_in(log)
            if raised.where is Where.RUN and snapshot.is_recent(raised.at, RUN_RECENT_S)
        ]
        for (pod, which), log in snapshot.logs.items()
        if which == CURRENT
    }
    pods = tuple(pod for pod, raised in by_pod.items() if raised)
    if not pods:
        return
    every = [raised for pod in pods for raised in by_pod[pod]]
    kinds = [raised.sentence for raised in every]
    often = max(dict.fromkeys(kinds), key=kinds.count)
    told = next(raised for raised in reversed(every) if raised.sentence == often)
    others = [f"also: {kind}, so often: {kinds.count(kind)}" for kind in dict.fromkeys(kinds) if kind != often][:4]
    yield Finding(
        cause=Cause.RUN_RAISED,
        pods=pods,
        evidence=(
            f"{often}, so often in the newest lines of the logs: {kinds.count(often)}",
            *others,
            "the scoring server answers these with 500 (x-ms-run-function-failed: True): errors of the model, no "
            "capacity problem",
            told.traceback,
        ),
        measured={
            "times": len(every),
            "exception": told.exception[:300],
            "file": told.file,
            "line": told.line,
        },
    )
