"""Bodies, headers and response checks of a replay: built once, packed into one file, read by every worker."""

from loadtest.payloads.bodies import PayloadKind, Payloads
from loadtest.payloads.build import build_payloads
from loadtest.payloads.headers import content_type_warning, resolve_headers, secrets_of
from loadtest.payloads.pack import read_payloads, write_payloads

__all__ = [
    "PayloadKind",
    "Payloads",
    "build_payloads",
    "content_type_warning",
    "read_payloads",
    "resolve_headers",
    "secrets_of",
    "write_payloads",
]
