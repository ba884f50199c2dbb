"""From a scenario and a URL to a run folder that a replay can start from. Refuses before the first request."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loadtest.lab.here import is_lab_here
from loadtest.observe.target import ClusterTarget
from loadtest.payloads import (
    Payloads,
    build_payloads,
    content_type_warning,
    resolve_headers,
    secrets_of,
    write_payloads,
)
from loadtest.replay.credential_settings import CredentialSettings
from loadtest.replay.credentials import Credentials
from loadtest.replay.endpoint import Endpoint, check_allowed, check_reachable, is_loopback, parse_url, resolve
from loadtest.replay.journal import RUN_ID_KEY, Journal
from loadtest.replay.messages import PAYLOADS_FILE
from loadtest.replay.orders import Orders
from loadtest.replay.retry import RetryPolicy
from loadtest.replay.settings import CLIENT_SLACK_S, MAX_IN_FLIGHT, ErrorLimit, ReplaySettings
from loadtest.runfolder import RunFolder, create_run_folder
from loadtest.schedule import Schedule, build_schedule, write_schedule
from planner.errors import InputError
from planner.scenario import Scenario

if TYPE_CHECKING:
    from loadtest.observe.observer import Connection

MAX_WARM_SOCKETS = 512


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """What the user may say about a replay beside the scenario and the URL.

    processes: workers on this machine. expect_workers: workers on others, which connect to master_bind (HOST:PORT).
    max_requests and max_rps are limits of safety; retry: None sends each request once.
    """

    processes: int = 1
    expect_workers: int = 0
    master_bind: tuple[str, int] = ("127.0.0.1", 0)
    allow_hosts: Collection[str] = ()
    max_requests: int | None = None
    max_rps: float | None = None
    max_in_flight: int = MAX_IN_FLIGHT
    retry: RetryPolicy | None = None
    errors: ErrorLimit = field(default_factory=ErrorLimit)
    credentials: CredentialSettings | None = None
    """None: whatever the environment offers."""
    cluster: ClusterTarget | None = None
    """Whose replicas are watched beside the replay."""
    is_lab: bool = False
    """The endpoint is a Surgeproof lab on this machine; a lab that has left its note here need not be named so."""

    @property
    def workers(self) -> int:
        return self.processes + self.expect_workers


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run that can start: its folder holds scenario, schedule, payloads and a journal that begins with the plan."""

    scenario: Scenario
    endpoint: Endpoint
    is_loopback: bool
    is_lab: bool
    schedule: Schedule
    folder: RunFolder
    journal: Journal
    orders: Orders
    options: ReplayOptions
    header_secrets: Collection[str]
    cluster: Connection | None = None

    def secrets(self, credentials: Credentials) -> list[str]:
        """What must not stay in a log of the run."""
        return [*credentials.secrets(), *self.header_secrets, *self.endpoint.secrets]


def prepare(
    scenario: Scenario, url: str, options: ReplayOptions, credentials: Credentials, out: Path | None = None
) -> Plan:
    """Check everything that can be checked, then make the run folder."""
    endpoint = parse_url(url)
    schedule, payloads = build_plan(scenario)
    resolve_headers(payloads, os.environ)
    loopback = is_loopback(resolve(endpoint))
    check_allowed(
        endpoint,
        loopback=loopback,
        allow_hosts=options.allow_hosts,
        max_requests=options.max_requests,
        max_rps=options.max_rps,
        planned=len(schedule),
        peak_rate_rps=schedule.peak_rate_rps,
    )
    can_be_lab = loopback and not endpoint.is_tls
    if options.is_lab and not can_be_lab:
        raise InputError(f"--lab: {endpoint.shown} is no lab; a lab is on this machine and its URL begins with http://")
    address = check_reachable(endpoint)
    is_lab = options.is_lab or (can_be_lab and is_lab_here(address, endpoint.port))
    cluster = None
    if options.cluster is not None:
        from loadtest.observe.observer import connect  # the Kubernetes client takes half a second

        cluster = connect(options.cluster)
    folder = create_run_folder(scenario.name, out)
    settings = ReplaySettings(
        url=url,
        timeout_s=client_timeout_s(scenario),
        warm_sockets=warm_sockets(schedule, scenario),
        max_in_flight=options.max_in_flight,
        max_requests=options.max_requests,
        max_rps=options.max_rps,
        retry=options.retry,
        errors=options.errors,
    )
    _write_inputs(folder, scenario, schedule, payloads)
    orders = Orders(
        run_id=secrets.token_hex(8),
        folder=folder.path,
        settings=settings,
        schedule_sha256=schedule.sha256,
        payloads_sha256=payloads.sha256,
    )
    journal = Journal(folder.path)
    journal.add("plan", _entry(orders, endpoint, options, payloads, loopback, credentials, scenario.duration_s))
    return Plan(
        scenario=scenario,
        endpoint=endpoint,
        is_loopback=loopback,
        is_lab=is_lab,
        schedule=schedule,
        folder=folder,
        journal=journal,
        orders=orders,
        options=options,
        header_secrets=secrets_of(payloads, os.environ),
        cluster=cluster,
    )


def build_plan(scenario: Scenario) -> tuple[Schedule, Payloads]:
    """When each request is sent and what it carries."""
    schedule = build_schedule(scenario)
    payloads = build_payloads(scenario, len(schedule))
    return replace(schedule, payload_id=payloads.payload_id), payloads


def client_timeout_s(scenario: Scenario) -> float:
    """Long enough that the front end's own 504 always comes first."""
    deployment = scenario.deployment
    return deployment.max_request_wait_s + deployment.scoring_timeout_s + CLIENT_SLACK_S


def warm_sockets(schedule: Schedule, scenario: Scenario) -> int:
    """Connections worth opening beforehand: the most requests that are out at once if each waits its full limit."""
    longest_s = schedule.service_time_s + scenario.deployment.max_request_wait_s + scenario.deployment.router_overhead_s
    ends_s = np.sort(schedule.scheduled_s + np.minimum(longest_s, scenario.deployment.scoring_timeout_s))
    out = np.arange(1, len(schedule) + 1) - np.searchsorted(ends_s, schedule.scheduled_s, side="right")
    return int(np.clip(out.max(initial=0), 4, MAX_WARM_SOCKETS))


def _write_inputs(folder: RunFolder, scenario: Scenario, schedule: Schedule, payloads: Payloads) -> None:
    from planner.scenario_file import save_copy

    try:
        save_copy(scenario, folder.path)
        write_schedule(folder.schedule, schedule)
        write_payloads(folder.path / PAYLOADS_FILE, payloads)
    except OSError as error:
        raise InputError(f"{folder.path}: the run folder cannot be written ({error.strerror or error})") from None


def _entry(
    orders: Orders,
    endpoint: Endpoint,
    options: ReplayOptions,
    payloads: Payloads,
    loopback: bool,
    credentials: Credentials,
    duration_s: float,
) -> dict[str, Any]:
    """What the journal keeps of the plan; of the URL only what may be shown."""
    return {
        RUN_ID_KEY: orders.run_id,
        "url": endpoint.shown,
        "is_loopback": loopback,
        "settings": orders.settings.to_document() | {"url": endpoint.shown},
        "processes": options.processes,
        "expect_workers": options.expect_workers,
        "payloads": {"source": payloads.source, "count": payloads.count, "sha256": payloads.sha256},
        "payloads_warning": content_type_warning(payloads),
        "credentials": str(credentials.kind),
        "credentials_warning": credentials.warning(duration_s),
    }
