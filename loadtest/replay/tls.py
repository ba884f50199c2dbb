"""TLS as an endpoint asks for it: a private CA, a client certificate. Files are known by name.

A passphrase comes from the environment alone, and neither it nor a key is kept."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from planner.errors import InputError

CA_VARIABLE = "SURGEPROOF_CA_FILE"
CERTIFICATE_VARIABLE = "SURGEPROOF_CLIENT_CERT"
CLIENT_KEY_VARIABLE = "SURGEPROOF_CLIENT_KEY"
PASSPHRASE_VARIABLE = "SURGEPROOF_CLIENT_KEY_PASSPHRASE"


def tls_environment(ca_file: Path | None, client_cert: Path | None, client_key: Path | None) -> dict[str, str]:
    """The options as every worker of this machine reads them: names of files, never what is in them."""
    given = {CA_VARIABLE: ca_file, CERTIFICATE_VARIABLE: client_cert, CLIENT_KEY_VARIABLE: client_key}
    return {name: str(file.absolute()) for name, file in given.items() if file is not None}


def tls_context(environ: Mapping[str, str], create: Callable[..., Any] = ssl.create_default_context) -> Any:
    """The context of a connection. A private CA takes the place of the system's. InputError where a file is bad."""
    ca_file, certificate = environ.get(CA_VARIABLE), environ.get(CERTIFICATE_VARIABLE)
    key = environ.get(CLIENT_KEY_VARIABLE)
    if key and not certificate:
        raise InputError(f"{CLIENT_KEY_VARIABLE} (--client-key): needs --client-cert, the certificate of this key")
    try:
        context = create(cafile=ca_file or None)
        if certificate:
            passphrase = environ.get(PASSPHRASE_VARIABLE, "")
            # Without a callback OpenSSL would ask the terminal.
            context.load_cert_chain(certificate, key or None, password=lambda: passphrase)
    except ssl.SSLError as error:
        which = f"{certificate}, {key or 'with its key'}" if certificate else str(ca_file)
        hint = "" if not certificate else f"; the passphrase of an encrypted key comes from {PASSPHRASE_VARIABLE}"
        why = error.reason or "wrong passphrase or no PEM file"
        raise InputError(f"{which}: not usable for TLS ({why}{hint})") from None
    except OSError as error:
        files = ", ".join(file for file in (ca_file, certificate, key) if file)
        raise InputError(f"{files}: cannot be read for TLS ({error.strerror or error})") from None
    return context
