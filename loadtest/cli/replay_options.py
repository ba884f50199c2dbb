"""The options of `surgeproof replay` and what they mean together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.errors import InputError

if TYPE_CHECKING:
    from loadtest.replay.credential_settings import CredentialSettings
    from loadtest.replay.plan import ReplayOptions
    from loadtest.replay.retry import RetryPolicy
    from loadtest.replay.settings import ErrorLimit

_WHAT = "What is sent (in place of the scenario's own)"
_WHO = "Who sends it"
_KEY = "Credentials, unless in SURGEPROOF_ENDPOINT_KEY or _TOKEN"
_LIMITS = "Limits"
_RESULTS = "Results"

TraceOption = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FILE",
        help="Requests, counts, rates over time or an access log (docs/traces.md).",
        rich_help_panel=_WHAT,
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="What the trace is, such as ingress_nginx, where its content does not show it.",
        rich_help_panel=_WHAT,
    ),
]
PathOption = Annotated[
    list[str] | None,
    typer.Option(
        "--path", metavar="PATH", help="Of a log, only requests for this path; repeatable.", rich_help_panel=_WHAT
    ),
]
MethodOption = Annotated[
    list[str] | None,
    typer.Option(
        "--method", metavar="METHOD", help="Of a log, only such requests: POST; repeatable.", rich_help_panel=_WHAT
    ),
]
StatusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--status", metavar="STATUS", help="Of a log, only these: 200, or 2xx; repeatable.", rich_help_panel=_WHAT
    ),
]
StampsOption = Annotated[
    str | None,
    typer.Option(
        "--stamps", metavar="start|end", help="Which moment of a request its stamp names.", rich_help_panel=_WHAT
    ),
]
DatesOption = Annotated[
    str | None,
    typer.Option("--dates", metavar="day_first|month_first", help="Of 04/05/2026.", rich_help_panel=_WHAT),
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Where the part begins: 12:00, or 10m in.", rich_help_panel=_WHAT),
]
ForOption = Annotated[
    str | None, typer.Option("--for", metavar="TIME", help="How long it is, such as 10m.", rich_help_panel=_WHAT)
]
RateScaleOption = Annotated[
    str | None, typer.Option("--rate-scale", metavar="X", help="2: twice as many requests.", rich_help_panel=_WHAT)
]
TimeScaleOption = Annotated[
    str | None,
    typer.Option("--time-scale", metavar="X", help="0.5: the same requests in half the time.", rich_help_panel=_WHAT),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option("--processes", min=0, max=256, metavar="N", help="Workers on this machine.", rich_help_panel=_WHO),
]
ExpectWorkersOption = Annotated[
    int,
    typer.Option(
        "--expect-workers",
        min=0,
        max=1000,
        metavar="N",
        help="Workers on other machines (`surgeproof replay-worker` there).",
        rich_help_panel=_WHO,
    ),
]
MasterBindOption = Annotated[
    str | None,
    typer.Option(
        "--master-bind",
        metavar="HOST:PORT",
        help="Where workers on other machines connect; no secret is sent there.",
        rich_help_panel=_WHO,
    ),
]
KeyFileOption = Annotated[
    Path | None, typer.Option("--key-file", metavar="FILE", help="Holds the endpoint key.", rich_help_panel=_KEY)
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", help="Holds a token; read anew when it changes.", rich_help_panel=_KEY
    ),
]
AzureIdentityOption = Annotated[
    bool,
    typer.Option("--azure-identity", help="A token from Azure. Needs surgeproof\\[azure].", rich_help_panel=_KEY),
]
LabOption = Annotated[
    bool,
    typer.Option("--lab", help="The endpoint is a Surgeproof lab that has left no note on this machine."),
]
CaFileOption = Annotated[
    Path | None,
    typer.Option("--ca-file", metavar="FILE", help="A private CA, instead of the system's.", rich_help_panel=_KEY),
]
ClientCertOption = Annotated[
    Path | None,
    typer.Option("--client-cert", metavar="FILE", help="A client certificate (PEM).", rich_help_panel=_KEY),
]
ClientKeyOption = Annotated[
    Path | None,
    typer.Option("--client-key", metavar="FILE", help="Its key, if in a file of its own.", rich_help_panel=_KEY),
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="HOST",
        help="May be loaded though it is not this machine.",
        rich_help_panel=_LIMITS,
    ),
]
MaxRequestsOption = Annotated[
    int | None,
    typer.Option(
        "--max-requests",
        min=1,
        metavar="N",
        help="Send no more than this; needed with --allow-host.",
        rich_help_panel=_LIMITS,
    ),
]
MaxRpsOption = Annotated[
    float | None,
    typer.Option(
        "--max-rps",
        min=0.001,
        metavar="X",
        help="Refuse a plan that sends more than this in any second.",
        rich_help_panel=_LIMITS,
    ),
]
StopAtErrorsOption = Annotated[
    str | None,
    typer.Option(
        "--stop-at-errors",
        metavar="PERCENT",
        help="End the run when so many of the answers of 10 s are errors. 503s are none.  [default: 50%]",
        rich_help_panel=_LIMITS,
    ),
]
Count503sOption = Annotated[
    bool,
    typer.Option("--count-503s", help="503s are errors too for --stop-at-errors.", rich_help_panel=_LIMITS),
]
RetryOption = Annotated[
    int | None,
    typer.Option(
        "--retry",
        min=1,
        max=20,
        metavar="N",
        help="Ask again up to N times after a 503 or 429, as Retry-After says; counted apart.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, send nothing.")]
RecoverOption = Annotated[
    Path | None,
    typer.Option(
        "--recover",
        metavar="DIR",
        help="Write the results of a run whose processes were killed.",
        rich_help_panel=_RESULTS,
    ),
]
FailIfOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="CONDITION",
        help="Exit code 1 if it holds, such as 'fraction_503 > 0.1%'.",
        rich_help_panel=_RESULTS,
    ),
]
JunitOption = Annotated[
    Path | None,
    typer.Option("--junit", metavar="FILE", help="Also write the results as JUnit XML.", rich_help_panel=_RESULTS),
]


def words(given: list[str] | None) -> str | list[str] | None:
    """The values of an option that may be repeated; each may hold several, separated by commas."""
    listed = None if given is None else [word for value in given for word in value.split(",")]
    return paths(listed)


def paths(given: list[str] | None) -> str | list[str] | None:
    """The values of an option that may be repeated, each as it is: a path may hold commas."""
    return given[0] if given is not None and len(given) == 1 else given


def traffic_overrides(trace: Path | None, **given: str | list[str] | None) -> dict[str, object]:
    """The scenario's overrides that the options of this group ask for. given: key of a trace -> value."""
    values: dict[str, object] = {"file": None if trace is None else str(trace.absolute())}
    values |= {name.rstrip("_"): value for name, value in given.items()}
    return {f"trace.{name}": value for name, value in values.items() if value is not None}


def read_address(text: str, option: str, *, least_port: int = 1) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not least_port <= int(port) <= 65535:
        raise InputError(f"{option} {text}: must be HOST:PORT, such as 10.0.0.4:5557")
    return host.strip("[]"), int(port)


def error_limit(stop_at_errors: str | None, count_503s: bool) -> ErrorLimit:
    from loadtest.replay.settings import ErrorLimit
    from planner.units import fraction

    if stop_at_errors is None:
        return ErrorLimit(count_503s=count_503s, is_default=not count_503s)
    try:
        share = fraction(stop_at_errors if "%" in stop_at_errors else float(stop_at_errors))
    except ValueError as bound:
        raise InputError(f"--stop-at-errors {stop_at_errors}: {bound}") from None
    return ErrorLimit(max_fraction=share, count_503s=count_503s, is_default=False)


def retry_policy(retry: int | None) -> RetryPolicy | None:
    from loadtest.replay.retry import RetryPolicy

    return None if retry is None else RetryPolicy(max_attempts=retry + 1)


def credential_settings(key_file: Path | None, token_file: Path | None, azure_identity: bool) -> CredentialSettings:
    import os

    from loadtest.replay.credential_settings import choose

    return choose(key_file=key_file, token_file=token_file, azure_identity=azure_identity, environ=os.environ)


def set_tls(ca_file: Path | None, client_cert: Path | None, client_key: Path | None) -> None:
    """Let this process and its workers use these files."""
    import os

    from loadtest.replay.tls import tls_environment

    os.environ.update(tls_environment(ca_file, client_cert, client_key))


def replay_options(
    *, processes: int | None, expect_workers: int, master_bind: str | None, **others: Any
) -> ReplayOptions:
    """What the options mean together: workers elsewhere need an address, and without them there is one here."""
    from loadtest.replay.plan import ReplayOptions

    if expect_workers and master_bind is None:
        raise InputError(f"--expect-workers {expect_workers}: needs --master-bind HOST:PORT, where they connect")
    if master_bind is not None and not expect_workers:
        raise InputError(f"--master-bind {master_bind}: needs --expect-workers N, how many connect there")
    here = (0 if expect_workers else 1) if processes is None else processes
    if here + expect_workers < 1:
        raise InputError("--processes 0: nobody would send anything; needs --expect-workers N")
    bind = ("127.0.0.1", 0) if master_bind is None else read_address(master_bind, "--master-bind")
    return ReplayOptions(processes=here, expect_workers=expect_workers, master_bind=bind, **others)
