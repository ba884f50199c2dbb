"""`surgeproof replay-worker`: sends a share of a replay that another machine leads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli import replay_options as o
from planner.cli.options import OutOption


def command(
    master: Annotated[
        str, typer.Option("--master", metavar="HOST:PORT", help="The --master-bind of the leading machine.")
    ],
    processes: Annotated[int, typer.Option(min=1, max=256, metavar="N", help="Workers on this machine.")] = 1,
    allow_host: o.AllowHostOption = None,
    key_file: o.KeyFileOption = None,
    token_file: o.TokenFileOption = None,
    azure_identity: o.AzureIdentityOption = False,
    ca_file: o.CaFileOption = None,
    client_cert: o.ClientCertOption = None,
    client_key: o.ClientKeyOption = None,
    out: OutOption = None,
) -> None:
    """Wait for a replay's master and send what it asks for, until it is over.

    Schedule and payloads come from the master, credentials from this machine. Records are kept here until the master
    has said that it has them.

    Example: surgeproof replay-worker --master 10.0.0.4:5557 --allow-host my-endpoint.example
    """
    from loadtest.replay.join import join
    from loadtest.runfolder import RUNS

    o.set_tls(ca_file, client_cert, client_key)
    code = join(
        o.read_address(master, "--master"),
        processes=processes,
        away=out or Path(RUNS),
        allow_hosts=allow_host or (),
        credentials=o.credential_settings(key_file, token_file, azure_identity),
    )
    raise typer.Exit(code)
