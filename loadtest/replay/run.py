"""Replays a scenario against a scoring URL and writes the run folder: the parent's side, without gevent."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtest.replay.conclude import ReplayResult, conclude
from loadtest.replay.credential_settings import CredentialSettings
from loadtest.replay.credentials import Credentials
from loadtest.replay.interrupts import interrupts_restored
from loadtest.replay.plan import Plan, ReplayOptions, prepare
from loadtest.replay.session import OnProgress, Session
from planner.scenario import Scenario


def replay(
    scenario: Scenario,
    url: str,
    *,
    out: Path | None = None,
    options: ReplayOptions | None = None,
    on_plan: Callable[[Plan], object] = lambda plan: None,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> ReplayResult:
    """Send the scenario's requests to `url` at their times and write the run folder.

    on_plan: told of the plan before anything is sent. changes: fields of `ReplayOptions` by name.

    Refuses (InputError) before the first request; afterwards everything
    measured is kept and the result says how it ended, Ctrl-C included (exit code 130).
    """
    options = replace(options or ReplayOptions(), **changes)
    settings = options.credentials or CredentialSettings.from_environment(os.environ)
    credentials = Credentials(settings, os.environ)
    with interrupts_restored(), credentials:
        plan = prepare(scenario, url, options, credentials, out)
        on_plan(plan)
        try:
            Session(plan, credentials, on_progress or (lambda _: None)).perform()
        finally:
            plan.journal.close()
        return conclude(plan.folder, scenario, plan.journal.entries, secrets=plan.secrets(credentials))
