"""A replay that plain Locust has started: what `surgeproof replay` does around its processes, inside Locust's own."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, TypeVar

from gevent.event import Event

from loadtest.replay.conclude import ReplayResult, conclude
from loadtest.replay.coordinator import Coordinator
from loadtest.replay.credential_settings import CredentialSettings
from loadtest.replay.credentials import Credentials
from loadtest.replay.plan import Plan, ReplayOptions, prepare
from loadtest.replay.start import Start
from planner.errors import InputError, SurgeproofError

STOP_WITHIN_S = 20.0

T = TypeVar("T", int, float)

logger = logging.getLogger("surgeproof")


def add_options(parser: Any) -> None:
    """Locust's command line and web UI ask for these beside their own."""
    for name, help, kind in (
        ("scenario", "Scenario to replay: a path, or the name of a shipped one", str),
        ("url", "The full scoring URL", str),
        ("allow-host", "The host that may be loaded though it is not this machine", str),
        ("max-requests", "Send no more than this; needed with --allow-host", int),
        ("max-rps", "Refuse a plan that sends more than this in any second", float),
        ("out", "Folder to write to (default: runs/NAME-TIME)", str),
    ):
        variable = f"SURGEPROOF_{name.upper().replace('-', '_')}"
        # Of a group's own options the web UI learns nothing.
        parser.add_argument(f"--{name}", env_var=variable, type=kind, default=None, help=help)


class PlainReplay:
    """One replay at a time; the web UI may start another when it is over."""

    def __init__(self, environment: Any, runner: Any, coordinator: Coordinator, *, has_web_ui: bool) -> None:
        self._environment = environment
        self._runner = runner
        self._coordinator = coordinator
        self._has_web_ui = has_web_ui
        self._over = Event()
        self._over.set()

    def perform(self) -> None:
        """From the options to the run folder; then Locust's test ends, and its process too unless it has a web UI."""
        self._over.clear()
        exit_code = 2
        try:
            result = self._replay()
            exit_code = result.exit_code
            _say(result)
        except SurgeproofError as error:
            exit_code = error.exit_code
            for problem in str(error).splitlines():
                logger.error(problem)
        finally:
            self._over.set()
            self._environment.process_exit_code = exit_code
        if self._has_web_ui:
            self._runner.stop()
        else:
            self._runner.quit()

    def stop(self) -> None:
        """Locust's test is to end: what was measured is written first."""
        if not self._over.is_set():
            self._coordinator.stop()
            self._over.wait(STOP_WITHIN_S)

    def _replay(self) -> ReplayResult:
        from planner.scenario_file import load

        given = self._environment.parsed_options
        if not given.scenario or not given.url:
            raise InputError("give --scenario and --url (or SURGEPROOF_SCENARIO and SURGEPROOF_URL)")
        options = ReplayOptions(
            allow_hosts=[given.allow_host] if given.allow_host else [],
            max_requests=_number(given.max_requests, "--max-requests", int),
            max_rps=_number(given.max_rps, "--max-rps", float),
        )
        with Credentials(CredentialSettings.from_environment(os.environ), os.environ) as credentials:
            out = Path(given.out) if given.out else None
            plan = prepare(load(given.scenario), given.url, options, credentials, out)
            self._run(plan, credentials)
            result = conclude(plan.folder, plan.scenario, plan.journal.entries, secrets=plan.secrets(credentials))
        self._coordinator.release()
        return result

    def _run(self, plan: Plan, credentials: Credentials) -> None:
        start = Start(plan)

        def start_at(armed: list[dict[str, Any]]) -> int:
            plan.journal.add("armed", armed)
            return start.begin(credentials.authorization)

        try:
            self._coordinator.perform(plan.orders, start_at, lambda about: plan.journal.add("worker_ended", about))
        finally:
            start.finish()
            plan.journal.close()


def _number(given: Any, option: str, kind: type[T]) -> T | None:
    """Locust's web UI gives text, empty where nothing was entered."""
    try:
        return None if given in (None, "") else kind(given)
    except ValueError:
        raise InputError(f"{option} {given}: must be a number") from None


def _say(result: ReplayResult) -> None:
    if result.message:
        logger.warning(result.message)
    for warning in result.document["warnings"]:
        logger.warning(warning)
    observed, generator = result.document["observed"], result.document["generator"]
    logger.info("503 fraction %s, generator %s", observed["fraction_503"], "valid" if generator["valid"] else "invalid")
    logger.info("Run folder: %s", result.folder.path)
