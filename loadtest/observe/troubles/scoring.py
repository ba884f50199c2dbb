"""Exceptions in run(): 500s of the model, which no capacity would mend."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.observe.troubles.findings import Cause, Finding
from loadtest.observe.troubles.snapshot import CURRENT, Snapshot
from loadtest.observe.troubles.tracebacks import INIT_FAILED, in_user_code, without_stamps


def run_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """From the present logs; of each pod its newest lines only, so the number is the least that there were."""
    for (pod, which), stamped in snapshot.logs.items():
        log = without_stamps(stamped)
        in_run = in_user_code(log) if which == CURRENT and INIT_FAILED not in log else []
        if in_run:
            last = in_run[-1]
            yield Finding(
                cause=Cause.RUN_RAISED,
                pods=(pod,),
                evidence=(
                    f"{last.sentence}, {len(in_run)} times in the newest lines of the log of {pod}",
                    "the scoring server answers these with 500 (x-ms-run-function-failed: True): no capacity problem",
                    last.text,
                ),
                measured={"times": len(in_run), "exception": last.exception, "file": last.file, "line": last.line},
            )
