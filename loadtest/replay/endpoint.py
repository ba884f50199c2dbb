"""The scoring URL: what may be called, by whom, and whether anybody answers there. Standard library only."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from loadtest.replay.tls import tls_context
from planner.errors import InputError

KEY_VARIABLE = "SURGEPROOF_ENDPOINT_KEY"
"""The environment variable that holds the endpoint key."""

CONNECT_TIMEOUT_S = 5.0
REFUSAL_WITHIN_S = 0.3
"""How long a server's refusal of a client certificate is waited for; most servers say nothing."""

SHORTEST_SECRET = 6
"""A shorter value of a query is no secret, and would be found in any text."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A scoring URL, taken apart. `path` includes the query; `shown` is the URL without it, fit for logs."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def secrets(self) -> list[str]:
        """What its query may hold, such as ?code=…"""
        return [value for _, value in parse_qsl(self.path.partition("?")[2]) if len(value) >= SHORTEST_SECRET]

    @property
    def shown(self) -> str:
        path, _, query = self.path.partition("?")
        return f"{self.origin}{path}{'?…' if query else ''}"


def parse_url(url: str) -> Endpoint:
    """Take a full scoring URL apart, or say what is wrong with it (never repeating what may be a secret)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError(f"--url {_without_secrets(url)}: not a URL") from None
    if parts.username is not None or parts.password is not None:
        raise InputError(f"--url: must not carry a user name or password; the key belongs in {KEY_VARIABLE}")
    shown = _without_secrets(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"--url {shown}: must be a full scoring URL, such as http://127.0.0.1:5001/score")
    if port == 0:
        raise InputError(f"--url {shown}: port 0, must be 1 to 65535")
    if "#" in url:
        raise InputError(f"--url {shown}: must not carry a #fragment, which no server is sent")
    path = parts.path or "/"
    if any(ord(c) <= 32 or ord(c) > 126 for c in path + parts.query + parts.hostname):
        raise InputError(f"--url {shown}: holds a character that a URL must percent-encode")
    return Endpoint(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or (443 if parts.scheme == "https" else 80),
        path=f"{path}?{parts.query}" if parts.query else path,
    )


def _without_secrets(url: str) -> str:
    """A URL that may be none, without its query and whatever may be a password: all from // to the last @."""
    shown, _, query = url.replace("#", "?").partition("?")
    if "@" not in url:
        return shown
    scheme = next((scheme for scheme in ("http://", "https://") if url.startswith(scheme)), "")
    return f"{scheme}…" if "@" in query else f"{scheme}…@{shown.rpartition('@')[2]}"


def resolve(endpoint: Endpoint) -> list[str]:
    """The addresses of the host."""
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        raise InputError(f"--url {endpoint.shown}: the host name {endpoint.host} does not resolve ({reason})") from None
    return sorted({str(info[4][0]) for info in found})


def is_loopback(addresses: Collection[str]) -> bool:
    """Whether every address is this machine."""
    return bool(addresses) and all(ipaddress.ip_address(a.split("%")[0]).is_loopback for a in addresses)


def check_allowed(
    endpoint: Endpoint,
    *,
    loopback: bool,
    allow_hosts: Collection[str],
    max_requests: int | None,
    max_rps: float | None,
    planned: int,
    peak_rate_rps: float,
) -> None:
    """Refuse a host that is neither loopback nor named, or a plan larger than the limits the user gave for it."""
    if max_requests is not None and max_requests < 1:
        raise InputError(f"--max-requests {max_requests}: must be at least 1")
    if max_rps is not None and peak_rate_rps > max_rps:
        raise InputError(
            f"--max-rps {max_rps:g}: the replay would send up to {peak_rate_rps:.0f} requests in one second; raise it, "
            f"or make the traffic less with --rate-scale {max_rps / peak_rate_rps:.2g}."
        )
    if loopback:
        return
    load = f"{planned} requests, at most {peak_rate_rps:.0f} in one second"
    if endpoint.host not in {host.lower() for host in allow_hosts}:
        raise InputError(
            f"{endpoint.host} is not this machine. The replay would send it {load}. "
            f"If it may be loaded like that, add --allow-host {endpoint.host} --max-requests {planned}."
        )
    if max_requests is None:
        raise InputError(
            f"{endpoint.host} is not this machine, so the replay ({load}) needs --max-requests {planned} too."
        )
    if max_requests < planned:
        raise InputError(
            f"--max-requests {max_requests}: the replay of {endpoint.host} would send {load}; raise it to {planned}, "
            "or shorten the scenario."
        )


def _wait_for_refusal(connection: ssl.SSLSocket) -> None:
    """With TLS 1.3 a server refuses a client certificate after the handshake, by an alert or by closing."""
    connection.settimeout(REFUSAL_WITHIN_S)
    try:
        if connection.recv(1) == b"":
            raise ConnectionResetError
    except TimeoutError:
        return
    except ConnectionResetError:
        raise ssl.SSLError(1, "closed after the handshake") from None


def check_reachable(endpoint: Endpoint) -> str:
    """Open one connection (with TLS where the URL says so) and close it again, without a request.

    Returns the address that took it.
    """
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=CONNECT_TIMEOUT_S) as plain:
            address = str(plain.getpeername()[0])
            if endpoint.is_tls:
                with tls_context(os.environ).wrap_socket(plain, server_hostname=endpoint.host) as wrapped:
                    _wait_for_refusal(wrapped)
            return address
    except ConnectionRefusedError:
        raise InputError(
            f"--url {endpoint.shown}: connection refused, nothing listens on port {endpoint.port}"
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise InputError(f"--url {endpoint.shown}: its TLS certificate is refused ({error.verify_message})") from None
    except ssl.SSLError as error:
        why = getattr(error, "reason", None) or str(error.args[-1])
        if why == "closed after the handshake" or ("ALERT" in why and "CERTIFICATE" in why):
            raise InputError(
                f"--url {endpoint.shown}: it refuses the client certificate, or wants one ({why}); "
                "give --client-cert and --client-key"
            ) from None
        raise InputError(f"--url {endpoint.shown}: no TLS connection ({error.reason})") from None
    except TimeoutError:
        raise InputError(f"--url {endpoint.shown}: no connection within {CONNECT_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise InputError(f"--url {endpoint.shown}: cannot be reached ({error.strerror or error})") from None
