"""What a replay proves itself with: nothing, an endpoint key, or a token that is renewed in the background.

Plain threads, which gevent turns into greenlets where it has patched them. A request reads one attribute; a renewal
replaces it.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from loadtest.replay.credential_settings import (
    TOKEN_VARIABLE,
    CredentialSettings,
    Kind,
    choose,
    known_secrets,
)
from loadtest.replay.endpoint import KEY_VARIABLE
from loadtest.replay.redaction import redact
from loadtest.replay.tls import PASSPHRASE_VARIABLE
from loadtest.replay.tokens import Secret, checked, expiry_of, from_azure, from_file, signature
from planner.errors import InputError

__all__ = [
    "CredentialSettings",
    "Credentials",
    "Kind",
    "choose",
    "known_secrets",
    "redact",
]

SCOPE_VARIABLE = "SURGEPROOF_AZURE_SCOPE"
DEFAULT_SCOPE = "https://ml.azure.com/.default"
"""The data plane of Azure ML online endpoints (Microsoft Learn, "Authenticate clients for online endpoints")."""

LOOK_EVERY_S = 2.0
"""How often a token file is looked at."""

RENEW_BETWEEN = (0.5, 0.8)
"""Shares of a token's life between which it is renewed, drawn anew each time, so that a fleet does not ask at once."""

FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
SHORTEST_PAUSE_S = 0.5

_SOURCE = {
    Kind.NONE: "no credential",
    Kind.KEY_VARIABLE: f"the key in {KEY_VARIABLE}",
    Kind.KEY_FILE: "the key of --key-file",
    Kind.TOKEN_VARIABLE: f"the token in {TOKEN_VARIABLE}",
    Kind.TOKEN_FILE: "the token of --token-file",
    Kind.AZURE_IDENTITY: "the token of --azure-identity",
}


class Credentials:
    """The credential of one process.

    authorization: the header's value, replaced as a whole by each renewal. expires_at: seconds since 1970, None if
    unknown or never. problem: why the last renewal failed, None if it did not. refreshes: renewals that gave a new
    value.
    """

    def __init__(self, settings: CredentialSettings, environ: Mapping[str, str] = os.environ) -> None:
        self.settings = settings
        self.authorization: str | None = None
        self.expires_at: float | None = None
        self.problem: str | None = None
        self.refreshes = 0
        self._scope = environ.get(SCOPE_VARIABLE) or DEFAULT_SCOPE
        self._environ = environ
        self._seen: dict[str, None] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._current = Secret(value="")
        self._looked_at: tuple[int, int, int] | None = None

    @classmethod
    def from_settings(cls, settings: CredentialSettings, environ: Mapping[str, str] = os.environ) -> Credentials:
        """Credentials whose key or token has been read, unless Azure has to be asked. InputError if it is bad."""
        made = cls(settings, environ)
        if settings.kind is not Kind.AZURE_IDENTITY:
            made.first_authorization()
        return made

    @property
    def kind(self) -> str:
        return self.settings.kind.value

    def __repr__(self) -> str:
        return f"<Credentials: {_SOURCE[self.settings.kind]}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def first_authorization(self) -> str | None:
        """The header's value, got now if that has not been done yet. Raises InputError if there is none to be had."""
        if self.settings.kind is Kind.NONE or self.authorization is not None:
            return self.authorization
        if self.settings.kind is Kind.TOKEN_FILE:
            self._looked_at = signature(Path(str(self.settings.file)))
        self._take(self._fetch_fresh())
        return self.authorization

    def start(self) -> None:
        """Get the credential, and keep it fresh from now on. Raises InputError if there is none to be had."""
        self.first_authorization()
        keep = {Kind.TOKEN_FILE: self._watch_file, Kind.AZURE_IDENTITY: self._renew}.get(self.settings.kind)
        if keep is not None and self._thread is None:
            self._thread = threading.Thread(target=keep, name="credentials", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the renewals; a request for a token that is under way is not waited for."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
            self._thread = None

    def secrets(self) -> list[str]:
        """Every key and token that was seen so far, for redaction."""
        passphrase = self._environ.get(PASSPHRASE_VARIABLE)
        return [*self._seen, *([passphrase] if passphrase else [])]

    def warning(self, lasts_s: float) -> str | None:
        """A sentence if the credential ends before a run that begins now and nothing renews it."""
        if self.expires_at is None or self.settings.kind in (Kind.TOKEN_FILE, Kind.AZURE_IDENTITY):
            return None
        left_s = self.expires_at - time.time()
        if left_s > lasts_s:
            return None
        return (
            f"{self._source} expires at {_clock(self.expires_at)}, in {max(left_s, 0):.0f} s; the run lasts "
            f"{lasts_s:.0f} s, and only --token-file and --azure-identity are renewed"
        )

    def refused(self, status: int = 401) -> str:
        """What an answer 401 or 403 means, in a sentence for the user."""
        if self.settings.kind is Kind.NONE:
            return (
                f"HTTP {status}: the endpoint wants a credential; set {KEY_VARIABLE}, or give --key-file, --token-file "
                "or --azure-identity"
            )
        told = f"HTTP {status}: the endpoint refuses {self._source}"
        if self.expires_at is not None and self.expires_at <= time.time():
            told += f", which expired at {_clock(self.expires_at)}"
        return f"{told}; its last renewal failed: {self.problem}" if self.problem else told

    @property
    def _source(self) -> str:
        file = self.settings.file
        return _SOURCE[self.settings.kind] + (f" {file}" if file is not None else "")

    def _fetch_fresh(self) -> Secret:
        found = self._fetch()
        if found.expires_at is not None and found.expires_at <= time.time():
            raise InputError(f"{self._source}: expired at {_clock(found.expires_at)}")
        return found

    def _fetch(self) -> Secret:
        kind = self.settings.kind
        if kind in (Kind.KEY_VARIABLE, Kind.TOKEN_VARIABLE):
            name = KEY_VARIABLE if kind is Kind.KEY_VARIABLE else TOKEN_VARIABLE
            if not self._environ.get(name):
                raise InputError(f"{name}: not set in this worker's environment")
            value = checked(self._environ[name], name)
            return Secret(value=value, expires_at=expiry_of(value))
        if kind is Kind.AZURE_IDENTITY:
            return from_azure(self._scope)
        return from_file(Path(str(self.settings.file)), "--key-file" if kind is Kind.KEY_FILE else "--token-file")

    def _take(self, secret: Secret) -> None:
        """Make a secret the current one; it is known for redaction before any request carries it."""
        self._seen[secret.value] = None
        self._current = secret
        self.authorization = f"Bearer {secret.value}"
        self.expires_at = secret.expires_at
        self.problem = None

    def _try_again(self) -> Secret | None:
        """A new secret; None if there is none now, and `problem` says why."""
        try:
            fresh = self._fetch_fresh()
        except InputError as error:
            self.problem = redact(error.problems[0], self.secrets())
            return None
        if fresh.value not in self._seen:
            self.refreshes += 1
        self._take(fresh)
        return fresh

    def _watch_file(self) -> None:
        """Read the file anew when it has changed and then kept still for one look: who writes it may be half done."""
        file = Path(str(self.settings.file))
        before, taken = self._looked_at, self._looked_at
        while not self._stopping.wait(LOOK_EVERY_S):
            now = signature(file)
            if now is None:
                self.problem = f"{self._source}: no such file"
            elif now != taken and now == before and self._try_again() is not None:
                taken = now
            elif now == taken and self.problem is not None:
                self.problem = None
            before = now

    def _renew(self) -> None:
        failures = 0
        while not self._stopping.wait(_retry_s(failures) if failures else _pause_s(self._current)):
            failures = 0 if self._try_again() is not None else failures + 1


def _pause_s(secret: Secret) -> float:
    """How long to wait before a token is renewed: by its source's advice if that comes early enough."""
    if secret.expires_at is None:
        return 3600.0
    left_s = secret.expires_at - time.time()
    low, high = RENEW_BETWEEN
    pause_s = left_s * (low + (high - low) * secrets.randbelow(1 << 20) / (1 << 20))
    if secret.refresh_at is not None:
        pause_s = min(pause_s, max(secret.refresh_at - time.time(), 0.0))
    return max(pause_s, SHORTEST_PAUSE_S)


def _retry_s(failures: int) -> float:
    return float(min(FIRST_RETRY_S * 2.0 ** min(failures - 1, 10), LONGEST_RETRY_S))


def _clock(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
